import type { IncomingMessage, ServerResponse } from 'node:http'
import type { JWK } from 'jose'
import type { EndpointResponse, RecordedRequest } from '../hostile-faults.js'
import { json, record, write } from '../hostile-responses.js'
import { startLoopbackServer } from '../loopback-server.js'
import { secret } from '../secrets.js'
import { createSigningKey } from '../signing-keys.js'
import { authorize, consent, login } from './authorization.js'
import { createBook } from './book.js'
import { pageOf } from './pages.js'
import { addressOf, type ImitatedEndpoint, PATHS, type Registration, type Respond, type Setting } from './setting.js'
import { closeSession, confirmSignOut, endSession } from './sign-out.js'
import { answerTokenRequest } from './token-endpoint.js'
import { listedResponseTypes, type Traits } from './traits.js'
import { claimsOf, type ImitatedUser, subjectOf } from './users.js'

export interface ImitationOptions {
  /** Default: a new secret. */
  readonly clientSecret?: string
  /** Public keys for `private_key_jwt`. */
  readonly clientJwks?: readonly JWK[]
  /** Whether a page asks for consent. Default true. */
  readonly asksConsent?: boolean
  /** Default `one-time`. */
  readonly refreshTokens?: 'one-time' | 'reusable'
  /** Seconds. Default 3600. */
  readonly accessTokenLife?: number
  /** Signs ID Tokens; logout tokens and access tokens stay with RS256. Default RS256. */
  readonly idTokenAlgorithm?: 'RS256' | 'ES256' | 'PS256'
  /** Characters of path and query above which the response is 414. Default 8,192, as Kestrel has it; IIS takes 2,048 of the query. */
  readonly longestTarget?: number
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

/** A server of the family that the specification comes from, or one beside it, as far as a site can tell. */
export interface Imitation {
  readonly traits: Traits
  readonly issuer: string
  readonly tokenEndpoint: string
  readonly clientId: string
  readonly clientSecret: string
  /** What the server would write to its own log: why something was refused, what a back-channel logout was answered. */
  readonly log: readonly string[]
  requestsTo(endpoint: ImitatedEndpoint): RecordedRequest[]
  register(registration: Registration): void
  disable(user: ImitatedUser): void
  /** The client may no longer have this scope. */
  takeScope(scope: string): void
  /** An administrator ends every session of a user. The statuses that back-channel logouts were answered with. */
  endSessionsOf(user: ImitatedUser): Promise<(number | undefined)[]>
  isSignedIn(user: ImitatedUser): boolean
  close(): Promise<void>
}

const SCOPES = ['openid', 'profile', 'email', 'read', 'write', 'offline_access']

/** Starts an imitation of the server that `traits` describe, on a free loopback port, with the client `katanaclient`. */
export async function startImitation(traits: Traits, options: ImitationOptions = {}): Promise<Imitation> {
  const requests: RecordedRequest[] = []
  const log: string[] = []
  const longest = options.longestTarget ?? 8192
  let registration: Registration = { redirectUris: [], postLogoutRedirectUris: [] }
  let responses: Readonly<Record<string, Respond>> = {}

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await record(incoming)
    requests.push(request)
    const isTooLong = (incoming.url ?? '').length > longest
    const sent: EndpointResponse = isTooLong
      ? pageOf('<h1>URI Too Long</h1>', 414)
      : ((await responses[request.path]?.(request)) ?? pageOf('<h1>Not found</h1>', 404))
    write(response, sent, {})
  }

  const server = await startLoopbackServer((incoming, response) => {
    serve(incoming, response).catch(error => {
      log.push(`the imitation itself failed: ${error}`)
      response.destroy()
    })
  })
  const setting = await createSetting(traits, options, `http://127.0.0.1:${server.port}`, () => registration, log)
  responses = createEndpoints(setting)

  return {
    traits,
    issuer: setting.issuer,
    tokenEndpoint: addressOf(setting, 'token'),
    clientId: setting.clientId,
    clientSecret: setting.clientSecret,
    log,
    requestsTo: endpoint => requests.filter(({ path }) => path === PATHS[endpoint]),
    register(wanted) {
      registration = wanted
    },
    disable: user => void setting.book.disabledUsers.add(user),
    takeScope: scope => void setting.book.takenScopes.add(scope),
    endSessionsOf(user) {
      const ended = [...setting.book.sessions.values()].filter(session => session.user === user)
      return Promise.all(ended.map(session => closeSession(setting, session)))
    },
    isSignedIn: user => [...setting.book.sessions.values()].some(session => session.user === user),
    close: server.stop,
  }
}

async function createSetting(
  traits: Traits,
  options: ImitationOptions,
  issuer: string,
  registration: () => Registration,
  log: string[],
): Promise<Setting> {
  const defaultKey = await createSigningKey('RS256')
  const { idTokenAlgorithm = 'RS256' } = options
  return {
    traits,
    issuer,
    clientId: 'katanaclient',
    clientSecret: options.clientSecret ?? secret('client secret'),
    clientJwks: options.clientJwks ?? [],
    scopes: SCOPES,
    asksConsent: options.asksConsent ?? true,
    refreshTokens: options.refreshTokens ?? 'one-time',
    accessTokenLife: options.accessTokenLife ?? 3600,
    idTokenKey: idTokenAlgorithm === 'RS256' ? defaultKey : await createSigningKey(idTokenAlgorithm),
    defaultKey,
    book: createBook(),
    registration,
    now: options.now ?? Date.now,
    log,
  }
}

function createEndpoints(setting: Setting): Readonly<Record<string, Respond>> {
  return {
    [PATHS.discovery]: () => json(200, buildMetadata(setting)),
    [PATHS.jwks]: () =>
      json(200, { keys: [...new Set([setting.defaultKey, setting.idTokenKey])].map(key => key.publicJwk) }),
    [PATHS.authorize]: request => authorize(setting, request),
    [PATHS.login]: request => login(setting, request),
    [PATHS.consent]: request => consent(setting, request),
    [PATHS.token]: request => answerTokenRequest(setting, request),
    [PATHS.userinfo]: request => answerUserInfo(setting, request),
    [PATHS.revocation]: ({ form }) => {
      setting.book.revoke(form.token ?? '')
      return json(200, {})
    },
    [PATHS.endSession]: request => endSession(setting, request),
    [PATHS.signOut]: request => confirmSignOut(setting, request),
  }
}

function answerUserInfo({ book }: Setting, { headers }: RecordedRequest): EndpointResponse {
  const grant = book.accessTokens.get(/^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '')
  if (grant === undefined || grant.isRevoked)
    return json(401, {}, { 'www-authenticate': 'Bearer error="invalid_token"' })
  return json(200, { sub: subjectOf(grant.user), ...claimsOf(grant.user, grant.scope) })
}

function buildMetadata(setting: Setting): Readonly<Record<string, unknown>> {
  const { issuer, traits, scopes, defaultKey, idTokenKey, clientJwks } = setting
  return {
    issuer,
    jwks_uri: addressOf(setting, 'jwks'),
    authorization_endpoint: addressOf(setting, 'authorize'),
    token_endpoint: addressOf(setting, 'token'),
    userinfo_endpoint: addressOf(setting, 'userinfo'),
    end_session_endpoint: addressOf(setting, 'endSession'),
    revocation_endpoint: addressOf(setting, 'revocation'),
    scopes_supported: scopes,
    response_types_supported: listedResponseTypes,
    response_modes_supported: ['form_post', 'query', 'fragment'],
    grant_types_supported: ['authorization_code', 'client_credentials', 'refresh_token', 'implicit'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [...new Set([defaultKey.alg, idTokenKey.alg])],
    ...traits.metadata,
    // IdentityServer3 always lists the same two methods, whatever it takes.
    ...(clientJwks.length > 0 &&
      !traits.name.startsWith('IdentityServer3') && {
        token_endpoint_auth_methods_supported: ['private_key_jwt', ...methodsOf(traits)],
      }),
  }
}

function methodsOf({ metadata }: Traits): readonly unknown[] {
  const methods = metadata.token_endpoint_auth_methods_supported
  return Array.isArray(methods) ? methods : []
}
