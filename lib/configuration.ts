import { createClock, createLog, createPollingCheck } from './checked-functions.js'
import { parseCredentials } from './client-options.js'
import { checkRedisIsThere, checkTlsIsVerified, isProduction, warnOfLoopback } from './environment-checks.js'
import type { Routes, SessionPolicy, Site } from './handlers/site.js'
import { checkConflicts, checkDurations, checkRoutes } from './option-conflicts.js'
import { optionsRule, type ReadOptions } from './option-descriptions.js'
import { scope } from './option-rules.js'
import type { OidcOptions } from './options.js'
import { defaultProtocolClaims } from './protocol/claims.js'
import { EXPLICIT_NEEDS } from './protocol/metadata.js'
import type { ProviderSettings } from './provider/provider.js'
import type { StateSettings } from './state/state.js'
import type { Environment } from './validation/place.js'

/** The options, complete, each part for the layer that needs it. */
export interface Configuration {
  readonly site: Site
  readonly provider: ProviderSettings
  readonly state: StateSettings
}

const DAY = 24 * 60 * 60
const DEFAULT_IDLE = DAY
const DEFAULT_ABSOLUTE = 7 * DAY

const defaultRoutes: Routes = {
  login: '/login',
  callback: '/callback',
  logout: '/logout',
  logoutCallback: '/logout/callback',
  logoutFrontchannel: '/logout/frontchannel',
  logoutBackchannel: '/logout/backchannel',
  checkSession: false,
  user: false,
  token: false,
}

/**
 * Checks every option once, at start-up, fills in the defaults and freezes the result. What is done to the given object afterwards has
 * no effect.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS with a sentence that says what to do
 */
export function parseOptions(options: OidcOptions, environment: Environment): Configuration {
  const given = optionsRule.read(options, { path: '', environment })
  checkConflicts(given)
  checkRedisIsThere(given.redis, isProduction(environment))
  const site = buildSite(given)
  checkTlsIsVerified(environment, site.log)
  if (isProduction(environment)) warnOfLoopback(site.baseUrl, site.log)
  return Object.freeze({
    site: Object.freeze(site),
    provider: Object.freeze(buildProviderSettings(given, site)),
    state: Object.freeze(buildStateSettings(given, site)),
  })
}

function buildSite(given: ReadOptions): Site {
  const { issuer, clientId, baseUrl } = given
  const log = createLog(given.log)
  const now = createClock(given.now)
  const { absolute = DEFAULT_ABSOLUTE, idle = Math.min(DEFAULT_IDLE, absolute) } = given.session || {}
  checkDurations(idle, absolute)
  const routes = Object.freeze({ ...defaultRoutes, ...given.routes })
  checkRoutes(routes)
  return {
    issuer,
    clientId,
    baseUrl,
    secure: baseUrl.startsWith('https:'),
    routes,
    responseType: given.responseType ?? 'code id_token',
    responseMode: given.responseMode ?? 'form_post',
    pkce: given.pkce ?? true,
    scope: given.scope ?? scope.read('openid profile email', { path: 'scope' }),
    authorizationParams: given.authorizationParams ?? {},
    userInfo: userInfoPlan(given.userInfo),
    protocolClaims: given.protocolClaims ?? defaultProtocolClaims,
    lifetime: absolute,
    idle,
    apis: given.apis ?? [],
    revokesTokens: given.revokeTokens ?? true,
    clockTolerance: given.clockTolerance ?? 30,
    timeouts: { provider: 10_000, redis: 800, ...given.timeouts },
    session: given.session === false ? false : buildSessionPolicy(given.session, log),
    hooks: given.hooks ?? {},
    rememberUserAgent: given.rememberUserAgent ?? false,
    clearsSiteData: given.clearSiteData ?? true,
    now,
    log,
  }
}

function userInfoPlan(given: ReadOptions['userInfo'] = true): Site['userInfo'] {
  if (given === false) return 'off'
  return given === true ? 'front-channel' : (given.token ?? 'front-channel')
}

function buildSessionPolicy(given: Exclude<ReadOptions['session'], false>, log: Site['log']): SessionPolicy {
  const { name = 'sid', persistent = false, keep = [], isPolling } = given ?? {}
  return Object.freeze({ cookieName: name, persistent, keep, isPolling: createPollingCheck(isPolling, log) })
}

function buildProviderSettings(given: ReadOptions, site: Site): ProviderSettings {
  const { userInfo } = given
  return {
    issuer: site.issuer,
    clientId: site.clientId,
    ...parseCredentials(given),
    metadata: given.metadata,
    metadataUrl: given.metadataUrl,
    endpoints: given.endpoints,
    idTokenAlgorithm: given.idTokenAlgorithm,
    userInfoAlgorithm: typeof userInfo === 'object' ? userInfo.algorithm : undefined,
    clockTolerance: site.clockTolerance,
    responseType: site.responseType,
    responseMode: site.responseMode,
    explicit: EXPLICIT_NEEDS.filter(name => given[name] !== undefined),
    fetch: given.fetch,
    timeout: site.timeouts.provider,
    now: site.now,
    log: site.log,
  }
}

function buildStateSettings(given: ReadOptions, site: Site): StateSettings {
  return {
    ...(given.redis !== undefined && { redis: given.redis }),
    secrets: given.secret,
    // A sign-in at one provider, or to one client, is none at another.
    realm: JSON.stringify([site.issuer, site.clientId]),
    prefix: given.redisPrefix ?? 'oidc:',
    idle: site.idle,
    absolute: site.lifetime,
    timeout: site.timeouts.redis,
    now: site.now,
    log: site.log,
  }
}
