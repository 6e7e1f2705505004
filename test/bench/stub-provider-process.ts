import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { CLIENT } from './contender.js'

/** A provider that checks nothing and keeps everything, so that what is measured is the site and not the provider. */
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 })
const kid = 'bench-1'
const grants = new Map<string, string>()
const calls: Record<string, number> = {}
let delay = 0
let people = 1
let issued = 0
let issuer = ''

const server = createServer((req, res) => void answer(req, res)).listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  process.send?.({ issuer })
})

/** Milliseconds every back-channel response takes, and among how many people the sign-ins go round. */
export interface ProviderCommand {
  readonly delay?: number
  readonly people?: number
}

process.on('message', (command: ProviderCommand) => {
  delay = command.delay ?? delay
  people = command.people ?? people
  process.send?.({ ...calls })
  for (const name of Object.keys(calls)) delete calls[name]
})
process.on('disconnect', () => process.exit())

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = new URL(req.url ?? '/', issuer)
  const body = req.method === 'POST' ? await text(req) : ''
  calls[url.pathname] = (calls[url.pathname] ?? 0) + 1
  if (url.pathname === '/authorize') return send(res, authorize(url.searchParams))
  if (delay > 0) await sleep(delay)
  if (url.pathname === '/token') {
    const tokens = JSON.parse(grants.get(new URLSearchParams(body).get('code') ?? '') ?? '{}') as object
    return send(res, { ...tokens, ...(req.headers.dpop !== undefined && { token_type: 'DPoP' }) })
  }
  if (url.pathname === '/userinfo') return send(res, personOf(req.headers.authorization))
  if (url.pathname === '/jwks')
    return send(res, { keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid, alg: 'RS256', use: 'sig' }] })
  return send(res, metadata())
}

function send(res: ServerResponse, value: object): void {
  const json = JSON.stringify(value)
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }).end(json)
}

/** The form as JSON, with everything signed beforehand, so that the token endpoint only looks it up. */
function authorize(query: URLSearchParams): object {
  const type = query.get('response_type') ?? 'code'
  issued += 1
  const sub = `person-${issued % people}`
  const code = randomBytes(24).toString('base64url')
  const accessToken = createAccessToken(sub)
  const frontToken = type.includes(' token') ? createAccessToken(sub) : undefined
  const nonce = query.get('nonce') ?? undefined
  grants.set(
    code,
    JSON.stringify({
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: randomBytes(48).toString('base64url'),
      scope: query.get('scope'),
      id_token: createIdToken(sub, { nonce, at_hash: hashOf(accessToken) }),
    }),
  )
  const front = { nonce, c_hash: hashOf(code), ...(frontToken && { at_hash: hashOf(frontToken) }) }
  return {
    code,
    state: query.get('state'),
    iss: issuer,
    ...(type.includes('id_token') && { id_token: createIdToken(sub, front) }),
    ...(frontToken && { access_token: frontToken, token_type: 'Bearer', expires_in: '3600' }),
  }
}

function createIdToken(sub: string, claims: object): string {
  const iat = Math.floor(Date.now() / 1000)
  const base = { iss: issuer, aud: CLIENT.id, iat, exp: iat + 3600, auth_time: iat, sid: `sid-${issued}`, amr: ['pwd'] }
  return createJwt({ ...base, ...claims, ...describe(sub) })
}

function createAccessToken(sub: string): string {
  const iat = Math.floor(Date.now() / 1000)
  const groups = Array.from({ length: 12 }, (_, at) => `urn:example:api:permission:${at}`)
  return createJwt({
    iss: issuer,
    aud: 'https://api.example.com',
    iat,
    exp: iat + 3600,
    jti: randomBytes(16).toString('hex'),
    sub,
    groups,
  })
}

function createJwt(claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'RS256', kid, typ: 'JWT' })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), keys.privateKey).toString('base64url')}`
}

function hashOf(token: string): string {
  return createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url')
}

function personOf(authorization = ''): object {
  const payload = authorization.split('.')[1] ?? ''
  return describe((JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub: string }).sub)
}

/** 35 claims. */
function describe(sub: string): object {
  const more = Array.from({ length: 29 }, (_, at) => [
    `attribute_${at}`,
    at % 4 ? `the value of the claim with number ${at}` : [at, at + 1],
  ])
  return {
    sub,
    name: `Person Number ${sub}`,
    given_name: 'Person',
    email: `${sub}@example.com`,
    email_verified: true,
    role: ['editor', 'approver', 'auditor'],
    ...Object.fromEntries(more),
  }
}

function metadata(): object {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/logout`,
    response_types_supported: ['code', 'code id_token', 'code id_token token'],
    response_modes_supported: ['query', 'form_post'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    code_challenge_methods_supported: ['S256'],
    authorization_response_iss_parameter_supported: true,
  }
}
