import assert from 'node:assert/strict'
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { Agent, Page } from './agent.js'

type Json = Record<string, unknown>

export interface ProofOptions {
  /** Replace members of the header; `undefined` leaves one out. */
  readonly header?: Json
  readonly claims?: Json
}

/** The part of a browser that has a key: it registers it, and proves that it has it. */
export interface Device {
  readonly jwk: Json
  /** The proof of a registration. */
  prove(challenge: string, options?: ProofOptions): string
  /** The proof of a refresh, which brings no key. */
  proveAgain(challenge: string, options?: ProofOptions): string
}

export function createDevice(): Device {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
  const jwk = { kty, crv, x, y }
  const prove = (challenge: string, { header = {}, claims = {} }: ProofOptions = {}) =>
    signJwt(privateKey, { alg: 'ES256', typ: 'dbsc+jwt', jwk, ...header }, { jti: challenge, ...claims })
  return {
    jwk,
    prove,
    proveAgain: (challenge, { header, claims = {} } = {}) =>
      prove(challenge, { header: { jwk: undefined, ...header }, claims }),
  }
}

function signJwt(key: KeyObject, header: Json, claims: Json): string {
  const input = [header, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

/** What a site offers in `Secure-Session-Registration`. */
export interface Offer {
  readonly algorithms: string
  readonly path: string
  readonly challenge: string
}

/** The offer of the last sign-in; `undefined`: there was none. */
export function findOffer(page: Page): Offer | undefined {
  const header = page.hops
    .map(({ headers }) => headers['secure-session-registration'])
    .find(value => value !== undefined)
  if (header === undefined) return undefined
  const [, algorithms = '', path = '', challenge = ''] =
    /^\(([^)]*)\);path="([^"]*)";challenge="([\w-]+)"$/.exec(String(header)) ?? []
  return { algorithms, path, challenge }
}

export function offerOf(page: Page): Offer {
  const offer = findOffer(page)
  assert.ok(offer, 'the sign-in offered no registration')
  return offer
}

/** As Chromium sends it: by no page, and with an empty body. */
const HEADERS = { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'same-origin' }

/** @param headers - of the proof */
export function postProof(agent: Agent, url: string, headers: Readonly<Record<string, string>>): Promise<Page> {
  return agent.fetch(url, { method: 'POST', from: url, headers: { ...HEADERS, ...headers } })
}

export function register(agent: Agent, url: string, proof: string): Promise<Page> {
  return postProof(agent, url, { 'secure-session-response': proof })
}

/** @param proof - left out: the browser has no challenge yet */
export function refresh(agent: Agent, url: string, identifier: string, proof?: string): Promise<Page> {
  return postProof(agent, url, {
    'sec-secure-session-id': identifier,
    ...(proof !== undefined && { 'secure-session-response': proof }),
  })
}

/** The challenge in a response, and the session it is for. */
export function challengeOf(page: Page): { readonly challenge: string; readonly identifier: string } {
  const header = String(page.headers['secure-session-challenge'])
  const [, challenge, identifier] = /^"([\w-]+)";id="([\w-]+)"$/.exec(header) ?? []
  assert.ok(challenge && identifier, `no challenge: ${page.status} ${header}`)
  return { challenge, identifier }
}
