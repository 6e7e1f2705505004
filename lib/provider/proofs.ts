import { type KeyObject, randomUUID } from 'node:crypto'
import { asksForNonce, importProofKey, type ProofKey, parseNonce, signProof } from '../protocol/dpop.js'
import type { ResponseHeaders } from './transport.js'

/** What a proof is for. */
export interface ProvenRequest {
  readonly key: ProofKey
  readonly method: string
  readonly url: string | URL
  /** The token that goes along. */
  readonly accessToken?: string
  /** Whether it can be sent twice. Default `true`. */
  readonly mayRepeat?: boolean
}

/** As much of a response as says whether the server wants another nonce. */
export interface ProvenResponse {
  readonly status: number
  readonly headers: ResponseHeaders
  /** What a response of the provider says in its body. */
  readonly providerError?: { readonly error: string }
}

/** Proofs of possession for requests to the provider and to APIs. RFC 9449. */
export interface Proofs {
  /** A proof for one attempt. It is never sent twice. */
  sign(request: ProvenRequest, nonce?: string): string
  /** Remembers the nonce that a response has brought, for the next request to its origin. */
  rememberNonce(url: string | URL, headers: ResponseHeaders): void
  /** The nonce a response asks for. `undefined`: it asks for none, or does not say which. */
  challengeOf(response: ProvenResponse): string | undefined
  /**
   * Sends a request. Where the server wants another nonce, it is sent once more, with a fresh proof: what the second response says is
   * final, so that a server that is never content is not asked for ever.
   *
   * @param attempt - sends it, with everything in it that must not be used twice made anew; `proof` makes a fresh one at every call
   */
  send<T extends ProvenResponse>(request: ProvenRequest, attempt: (proof: () => string) => Promise<T>): Promise<T>
}

/** Origins whose nonce, and sessions whose imported key, are at hand. */
const MOST_ORIGINS = 100
const MOST_KEYS = 1000

export interface ProofsSettings {
  readonly now: () => Date
  readonly random?: (() => string) | undefined
}

export function createProofs({ now, random = randomUUID }: ProofsSettings): Proofs {
  const nonces = new Map<string, string>()
  const imported = new Map<string, KeyObject>()

  function privateKeyOf(key: ProofKey): KeyObject {
    const known = imported.get(key.x)
    if (known !== undefined) return known
    const privateKey = importProofKey(key)
    keepNewest(imported, key.x, privateKey, MOST_KEYS)
    return privateKey
  }

  function sign({ key, mayRepeat: _, ...request }: ProvenRequest, nonce = nonces.get(originOf(request.url))): string {
    const context = { ...request, nonce, jti: random(), now: Math.floor(now().getTime() / 1000) }
    return signProof(key, privateKeyOf(key), context)
  }

  function rememberNonce(url: string | URL, headers: ResponseHeaders, known?: string): void {
    const nonce = parseNonce(headers.get('dpop-nonce')) ?? known
    if (nonce !== undefined) keepNewest(nonces, originOf(url), nonce, MOST_ORIGINS)
  }

  return {
    sign,
    rememberNonce,
    challengeOf,
    async send(request, attempt) {
      const response = await attempt(() => sign(request))
      const nonce = request.mayRepeat === false ? undefined : challengeOf(response)
      if (nonce === undefined) {
        rememberNonce(request.url, response.headers)
        return response
      }
      // The nonce of this very response, which no other request is given before: a server may take each nonce once.
      const second = await attempt(() => sign(request, nonce))
      rememberNonce(request.url, second.headers, nonce)
      return second
    },
  }
}

function challengeOf({ status, headers, providerError }: ProvenResponse): string | undefined {
  if (status !== 400 && status !== 401) return undefined
  const isAsked = providerError?.error === 'use_dpop_nonce' || asksForNonce(headers.get('www-authenticate'))
  return isAsked ? parseNonce(headers.get('dpop-nonce')) : undefined
}

function originOf(url: string | URL): string {
  return new URL(url).origin
}

function keepNewest<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  for (const oldest of map.keys()) {
    if (map.size <= most) return
    map.delete(oldest)
  }
}
