import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import type { SigningAlgorithm } from '../../lib/protocol/wire.js'
import type { ProviderSettings } from '../../lib/provider/provider.js'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export type Responder = (request: SeenRequest, res: ServerResponse) => void

export interface LocalServer {
  readonly origin: string
  readonly seen: readonly SeenRequest[]
  /** Replaces what a path answers. */
  on(path: string, response: Responder): void
  count(path: string): number
  /** How many there have been. */
  connections(): number
  /** Takes the server off the net, and puts it back on the same port. */
  stop(): Promise<void>
  start(): Promise<void>
}

/** A real HTTP server on a loopback port of its own, which remembers everything it was asked. */
export async function createLocalServer(t: TestContext): Promise<LocalServer> {
  const responses = new Map<string, Responder>()
  const seen: SeenRequest[] = []
  const server = createServer(async (req, res) => {
    const request = await readRequest(req)
    seen.push(request)
    const response = responses.get(request.path) ?? text(404, 'text/plain', 'nothing here')
    response(request, res)
  })
  server.keepAliveTimeout = 60_000
  let connections = 0
  server.on('connection', () => {
    connections += 1
  })

  async function listen(port: number): Promise<number> {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }

  async function stop(): Promise<void> {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }

  const port = await listen(0)
  t.after(stop)
  return {
    origin: `http://127.0.0.1:${port}`,
    seen,
    on: (path, response) => void responses.set(path, response),
    count: path => seen.filter(request => request.path === path).length,
    connections: () => connections,
    stop,
    start: async () => void (await listen(port)),
  }
}

async function readRequest(req: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of req) chunks.push(chunk)
  const { method = '', url = '', headers } = req
  return { method, path: url, headers, body: Buffer.concat(chunks).toString() }
}

export function json(body: unknown, status = 200): Responder {
  return text(status, 'application/json', JSON.stringify(body))
}

export function text(status: number, contentType: string, body: string | Buffer): Responder {
  return (_, res) => void res.writeHead(status, { 'content-type': contentType }).end(body)
}

/** Cuts the connection, after the request was read and before anything was answered. */
export function reset(): Responder {
  return (_, res) => void res.socket?.resetAndDestroy()
}

/** Answers only when told to. */
export function createGate(response: Responder): { response: Responder; open(): void } {
  let open = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  return { response: (request, res) => void opened.then(() => response(request, res)), open: () => open() }
}

export interface Clock {
  readonly now: () => Date
  advance(seconds: number): void
}

export function createClock(start = Date.parse('2026-03-01T12:00:00Z')): Clock {
  let time = start
  return {
    now: () => new Date(time),
    advance(seconds) {
      time += seconds * 1000
    },
  }
}

export interface Signer {
  readonly jwk: JWK
  readonly privateKey: CryptoKey
  sign(claims: Record<string, unknown>, header?: { kid?: string | undefined; typ?: string }): Promise<string>
}

/** A real key pair. The header of what it signs carries its `kid`, unless that is set to `undefined`. */
export async function createSigner(alg: SigningAlgorithm, kid?: string): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk: JWK = { ...(await exportJWK(publicKey)), use: 'sig', ...(kid === undefined ? {} : { kid }) }
  return {
    jwk,
    privateKey,
    sign(claims, header) {
      const { kid: named, ...rest } = { kid, ...header }
      return new SignJWT(claims)
        .setProtectedHeader({ alg, ...rest, ...(named === undefined ? {} : { kid: named }) })
        .sign(privateKey)
    },
  }
}

/** A discovery document that has everything. */
export function metadataOf(issuer: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  const base = issuer.replace(/\/$/, '')
  return {
    issuer,
    authorization_endpoint: `${base}/authorize`,
    token_endpoint: `${base}/token`,
    userinfo_endpoint: `${base}/userinfo`,
    jwks_uri: `${base}/jwks`,
    response_types_supported: ['code', 'id_token code', 'token id_token code'],
    response_modes_supported: ['query', 'form_post'],
    id_token_signing_alg_values_supported: ['none', 'RS256', 'ES256', 'HS256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
    ...changes,
  }
}

/** Asserts the code, and hands over the error for a closer look at its cause. */
export async function rejected(promise: Promise<unknown>, code: OidcErrorCode): Promise<OidcError> {
  const outcome = await promise.then(
    () => 'success',
    (error: unknown) => error,
  )
  assert.ok(outcome instanceof OidcError, `expected ${code}, got ${outcome}`)
  assert.equal(outcome.code, code)
  return outcome
}

export const CLIENT_ID = 'katanaclient'
export const NONCE = 'nonce-of-this-attempt'

/** A whole provider with a key of its own, and the settings of a site that uses it. */
export async function createLocalProvider(t: TestContext, signer: Signer) {
  const server = await createLocalServer(t)
  const clock = createClock()
  const issuer = server.origin
  const epoch = () => Math.floor(clock.now().getTime() / 1000)
  const claims = (changes: Record<string, unknown> = {}) => ({
    iss: issuer,
    sub: 'alice',
    aud: CLIENT_ID,
    iat: epoch(),
    exp: epoch() + 300,
    nonce: NONCE,
    ...changes,
  })
  server.on('/.well-known/openid-configuration', json(metadataOf(issuer)))
  server.on('/jwks', json({ keys: [signer.jwk] }))
  server.on('/userinfo', json({ sub: 'alice', name: 'Alice' }))
  const settings = {
    issuer,
    clientId: CLIENT_ID,
    clientSecret: 'a-secret-that-no-other-test-uses',
    responseType: 'code id_token token',
    responseMode: 'form_post',
    fetch,
    now: clock.now,
  } as const satisfies ProviderSettings
  return { server, clock, claims, settings }
}
