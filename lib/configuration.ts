import { parseCredentials, parsePkce } from './client-options.js'
import type { Site } from './handlers/site.js'
import {
  checkNames,
  checkTlsIsVerified,
  parseApis,
  parseRedis,
  parseResponseMode,
  parseRoutes,
  parseScope,
  parseSecrets,
  parseSession,
  parseUrl,
  parseUserInfoPlan,
  required,
  seconds,
  warnOfLoopback,
} from './option-checks.js'
import type { OidcOptions } from './options.js'
import { defaultProtocolClaims } from './protocol/claims.js'
import { parseResponseType } from './protocol/response-type.js'
import type { ProviderSettings } from './provider/provider.js'
import type { StateSettings } from './state/state.js'

/** The options, complete, each part for the layer that needs it. */
export interface Configuration {
  readonly site: Site
  readonly provider: ProviderSettings
  readonly state: StateSettings
}

type Environment = Readonly<Record<string, string | undefined>>

const day = 24 * 60 * 60

const knownOptions: Record<keyof OidcOptions, true> = {
  issuer: true,
  clientId: true,
  clientSecret: true,
  clientAuthentication: true,
  baseUrl: true,
  responseType: true,
  responseMode: true,
  pkce: true,
  scope: true,
  authorizationParams: true,
  secret: true,
  redis: true,
  redisPrefix: true,
  session: true,
  routes: true,
  userInfo: true,
  protocolClaims: true,
  hooks: true,
  rememberUserAgent: true,
  idTokenAlgorithm: true,
  metadata: true,
  metadataUrl: true,
  endpoints: true,
  fetch: true,
  now: true,
  clockTolerance: true,
  timeouts: true,
  log: true,
  apis: true,
  revokeTokens: true,
}

/**
 * Checks every option once, at start-up, fills in the defaults and freezes the result.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS with a sentence that says what to do
 */
export function parseOptions(options: OidcOptions, environment: Environment): Configuration {
  const production = environment.NODE_ENV === 'production'
  checkNames('option', options, knownOptions)
  const issuer = parseUrl('issuer', options.issuer ?? environment.OIDC_ISSUER, { keep: true })
  const clientId = required('clientId', options.clientId ?? environment.OIDC_CLIENT_ID, 'OIDC_CLIENT_ID')
  const baseUrl = parseUrl('baseUrl', options.baseUrl ?? environment.OIDC_BASE_URL, { keep: false })
  const responseType = parseResponseType(options.responseType ?? 'code id_token')
  const responseMode = parseResponseMode(options.responseMode ?? 'form_post', responseType)
  const log = options.log ?? ((line: string) => console.error(`express-hybrid-oidc: ${line}`))
  const now = options.now ?? (() => new Date())
  const idle = seconds('session.idle', options.session ? options.session.idle : undefined, day)
  const absolute = seconds('session.absolute', options.session ? options.session.absolute : undefined, 7 * day)
  const { timeouts = {} } = options
  const credentials = parseCredentials(options, environment.OIDC_CLIENT_SECRET)
  checkTlsIsVerified(environment, log, production)
  if (production) warnOfLoopback(baseUrl, log)

  const site: Site = {
    issuer,
    clientId,
    baseUrl,
    secure: baseUrl.startsWith('https:'),
    routes: parseRoutes(options.routes),
    responseType,
    responseMode,
    pkce: parsePkce(options.pkce, credentials),
    scope: parseScope(options.scope ?? 'openid profile email'),
    authorizationParams: options.authorizationParams ?? {},
    userInfo: parseUserInfoPlan(options.userInfo),
    protocolClaims: options.protocolClaims ?? defaultProtocolClaims,
    lifetime: absolute,
    idle,
    apis: parseApis(options.apis),
    revokesTokens: options.revokeTokens ?? true,
    clockTolerance: options.clockTolerance ?? 30,
    timeouts: { provider: timeouts.provider ?? 10_000, redis: timeouts.redis ?? 800 },
    session: options.session === false ? false : parseSession(options.session),
    hooks: options.hooks ?? {},
    rememberUserAgent: options.rememberUserAgent ?? false,
    now,
    log,
  }
  const provider: ProviderSettings = {
    issuer,
    clientId,
    ...credentials,
    metadata: options.metadata,
    metadataUrl: options.metadataUrl,
    endpoints: options.endpoints,
    idTokenAlgorithm: options.idTokenAlgorithm,
    userInfoAlgorithm: typeof options.userInfo === 'object' ? options.userInfo.algorithm : undefined,
    clockTolerance: site.clockTolerance,
    responseType,
    responseMode,
    fetch: options.fetch,
    timeout: site.timeouts.provider,
    now,
    log,
  }
  const state: StateSettings = {
    ...parseRedis(options.redis ?? environment.REDIS_URL, production),
    secrets: parseSecrets(options.secret ?? environment.SESSION_SECRET?.split(',')),
    // A sign-in at one provider, or to one client, is none at another.
    realm: JSON.stringify([issuer, clientId]),
    prefix: options.redisPrefix ?? 'oidc:',
    idle,
    absolute,
    timeout: site.timeouts.redis,
    now,
    log,
  }
  return Object.freeze({ site: Object.freeze(site), provider: Object.freeze(provider), state: Object.freeze(state) })
}
