import type { IncomingMessage, ServerResponse } from 'node:http'
import type { JWK } from 'jose'
import { createEndpoints, type Endpoint, PATHS, trimSlash } from './hostile-endpoints.js'
import type { Claims, EndpointFault, Faults, JwtFault, RecordedRequest } from './hostile-faults.js'
import { createGrants } from './hostile-grants.js'
import { createHostileKeys, type HostileKeys } from './hostile-keys.js'
import { createProofChecks, type Proven } from './hostile-proofs.js'
import { createAuthorizationRequests, type FapiDemands } from './hostile-requests.js'
import { adorn, endsEarly, pickFault, record, replaceResponse, write } from './hostile-responses.js'
import { startLoopbackServer } from './loopback-server.js'
import { keepPersonal, keepSecret, secret } from './secrets.js'
import type { SigningKey } from './signing-keys.js'

export type { Endpoint } from './hostile-endpoints.js'
export * from './hostile-faults.js'

export interface HostileProviderOptions {
  /** Default `client`. */
  readonly clientId?: string
  /** Default: a new secret. */
  readonly clientSecret?: string
  /** Public keys for `private_key_jwt`. */
  readonly clientJwks?: readonly JWK[]
  /** Signs ID Tokens. Default RS256. */
  readonly alg?: string
  /** The first key, for tests that start many providers. Default: a new one. */
  readonly signingKey?: SigningKey
  /** Default `127.0.0.1`, another site than a site on `localhost`. */
  readonly host?: string
  readonly port?: number
  /** Behind the host in the issuer, such as `/tenant/`. */
  readonly issuerPath?: string
  /** What userinfo says. Default: alice. */
  readonly user?: Claims & { readonly sub: string }
  /** Added to every ID Token. */
  readonly idTokenClaims?: Claims
  /** The session id at the provider; `null` leaves it out. Default `sid-1`. */
  readonly sid?: string | null
  /** Seconds; `null` leaves `expires_in` out. Default 3600. */
  readonly expiresIn?: number | null
  /** Default `when asked` (scope offline_access). */
  readonly refreshTokens?: 'always' | 'when asked' | 'never'
  /** Default true. */
  readonly rotatesRefreshTokens?: boolean
  /** Default false. */
  readonly frontTokenDiesOnRedeem?: boolean
  /** `refused`: the challenge is ignored and a verifier is an invalid grant, as IdentityServer3 does. Default `required`. */
  readonly pkce?: 'required' | 'optional' | 'refused'
  /** The `iss` field of RFC 9207. Default true. */
  readonly sendsIss?: boolean
  /** Merged over the discovery document for good. */
  readonly metadata?: Claims
  /** Holds clients to FAPI. Default: it does not. */
  readonly demands?: FapiDemands
  /** Seconds since the epoch. */
  readonly now?: () => number
}

export interface HostileProvider {
  readonly issuer: string
  readonly port: number
  readonly clientId: string
  readonly clientSecret: string
  /** Every request, in the order of arrival. */
  readonly requests: readonly RecordedRequest[]
  /** Requests to unknown paths, and authorization requests that are not what they should be. A good test ends with none. */
  readonly problems: readonly string[]
  /** Refresh tokens that came a second time after they had been replaced. */
  readonly reusedRefreshTokens: readonly string[]
  readonly keys: HostileKeys
  /** Every DPoP proof that has passed, in the order of arrival. */
  readonly proofs: readonly Proven[]
  requestsTo(endpoint: Endpoint): RecordedRequest[]
  count(endpoint: Endpoint): number
  /** From now on. Faults add up; the same one again replaces the earlier. */
  break(faults: Faults): void
  heal(): void
  /** A correct logout token for alice's session unless `claims` or `fault` say otherwise. */
  createLogoutToken(claims?: Claims, fault?: JwtFault): Promise<string>
  /** All access tokens issued so far are void. */
  revokeAccessTokens(): void
  /** All grants, and so all tokens, issued so far are void. */
  revokeGrants(): void
  /** Away, and back again on the same port. */
  stop(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

const ALICE = {
  sub: 'alice-0001',
  name: 'Alice Adams',
  email: 'alice@example.com',
  email_verified: true,
  role: ['editor', 'admin'],
}

/** A provider that behaves correctly until a test sets a fault. It shows no login page. */
export async function startHostileProvider(options: HostileProviderOptions = {}): Promise<HostileProvider> {
  const clientId = options.clientId ?? 'client'
  const clientSecret = options.clientSecret ?? secret('client secret')
  const alg = options.alg ?? 'RS256'
  const now = options.now ?? (() => Math.floor(Date.now() / 1000))
  const user = options.user ?? ALICE
  if (typeof user.email === 'string') keepPersonal('e-mail address', user.email)
  const sid = options.sid === null ? undefined : (options.sid ?? 'sid-1')
  const pkce = options.pkce ?? 'required'
  const path = options.issuerPath ?? ''
  const requests: RecordedRequest[] = []
  const problems: string[] = []
  const used = new Map<EndpointFault, number>()
  let faults: Faults = {}
  let issuer = ''

  const keys = await createHostileKeys(alg, clientSecret, options.signingKey)
  const proofs = createProofChecks(now)
  const grants = createGrants({
    issuer: () => issuer,
    clientId,
    clientSecret,
    clientJwks: options.clientJwks ?? [],
    alg,
    now,
    user,
    idTokenClaims: options.idTokenClaims ?? {},
    sid,
    expiresIn: options.expiresIn === null ? undefined : (options.expiresIn ?? 3600),
    refreshTokens: options.refreshTokens ?? 'when asked',
    rotatesRefreshTokens: options.rotatesRefreshTokens ?? true,
    frontTokenDiesOnRedeem: options.frontTokenDiesOnRedeem ?? false,
    pkce,
    keys,
    faults: () => faults,
    proofs,
    demands: options.demands,
  })

  const endpoints = createEndpoints({
    issuer: () => issuer,
    clientId,
    alg,
    sendsIss: options.sendsIss ?? true,
    metadata: options.metadata ?? {},
    pkce,
    keys,
    grants,
    requests: createAuthorizationRequests({
      issuer: () => issuer,
      clientId,
      clientJwks: options.clientJwks ?? [],
      demands: options.demands ?? {},
      now,
    }),
    demands: options.demands,
    proofs,
    faults: () => faults,
    problems,
    now,
  })
  const requestsTo = (endpoint: Endpoint) =>
    requests.filter(request => request.path === trimSlash(path) + PATHS[endpoint])

  async function listen(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await record(incoming)
    requests.push(request)
    keepSecretsOf(request)
    const endpoint = (Object.keys(PATHS) as Endpoint[]).find(name => request.path === trimSlash(path) + PATHS[name])
    if (!endpoint) {
      problems.push(`${request.method} ${request.path}: there is no such path`)
      response.writeHead(404).end()
      return
    }
    const fault = pickFault(faults[endpoint], used)
    if (await endsEarly(fault, request, response)) return
    const answer = replaceResponse(fault) ?? (await endpoints[endpoint](request))
    write(response, fault.respond?.(answer, request) ?? adorn(answer, fault), fault)
  }

  const server = await startLoopbackServer((incoming, response) => {
    listen(incoming, response).catch(error => {
      problems.push(`the provider itself failed: ${error}`)
      response.destroy()
    })
  }, options.port)
  issuer = `http://${options.host ?? '127.0.0.1'}:${server.port}${path}`

  return {
    issuer,
    port: server.port,
    clientId,
    clientSecret,
    requests,
    problems,
    reusedRefreshTokens: grants.reusedRefreshTokens,
    keys,
    proofs: proofs.seen,
    requestsTo,
    count: endpoint => requestsTo(endpoint).length,
    break(more) {
      faults = { ...faults, ...more }
    },
    heal() {
      faults = {}
    },
    createLogoutToken(claims = {}, fault = {}) {
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const jti = secret('logout token id')
      const whole = {
        iss: issuer,
        aud: clientId,
        iat: now(),
        exp: now() + 120,
        jti,
        events,
        sub: user.sub,
        sid,
        ...claims,
      }
      return keys.sign(whole, fault, 'logout+jwt')
    },
    revokeAccessTokens: grants.revokeAccessTokens,
    revokeGrants: grants.revokeAll,
    stop: server.stop,
    start: server.start,
    close: server.stop,
  }
}

/** What a site made up for one sign-in, and how it proved who it is. Faults of a test may have made it short. */
function keepSecretsOf({ query, form, headers }: RecordedRequest): void {
  const found = {
    state: query.state,
    nonce: query.nonce,
    'code verifier': form.code_verifier,
    'client assertion': form.client_assertion,
  }
  for (const [label, value] of Object.entries({ ...found, credentials: headers.authorization })) {
    // What a test made of one letter is no secret, and stands in names of tests.
    if (value !== undefined && value.length >= 32 && new Set(value).size >= 8) keepSecret(label, value)
  }
}
