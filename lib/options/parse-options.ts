import { readAskedDetails } from '../protocol/authorization-details.js'
import { defaultProtocolClaims } from '../protocol/claims.js'
import { EXPLICIT_NEEDS } from '../protocol/metadata.js'
import { createCertificateSource } from '../provider/client-certificate.js'
import type { ProviderSettings } from '../provider/provider.js'
import type { RecordStoreSettings } from '../store/store.js'
import { isPlain } from '../validation/object-rule.js'
import type { Environment } from '../validation/place.js'
import { type Audit, createAudit } from './audit.js'
import { describeSession } from './audit-entries.js'
import { createClock, createPollingCheck } from './checked-functions.js'
import {
  DEFAULT_TIMEOUTS,
  parseCredentials,
  parseDecryption,
  parseRequestSigning,
  timeoutOf,
} from './client-options.js'
import type { Routes, SessionPolicy, SiteConfig } from './config.js'
import { checkRedisIsThere, checkTlsIsVerified, isProduction, warnOfLoopback } from './environment-checks.js'
import { addressesOf, type Hosts, readHosts } from './hosts.js'
import { createLog } from './log.js'
import { checkConflicts, checkDurations, checkRoutes } from './option-conflicts.js'
import { optionsRule, type ReadOptions } from './option-descriptions.js'
import { scope } from './option-rules.js'
import type { OidcOptions } from './options.js'
import type { Pages } from './pages.js'
import { applyProfile, needsCertificateBinding } from './profile.js'
import type { SeveralProvidersOptions } from './provider-options.js'
import {
  hasSeveralProviders,
  readSeveral,
  readSite,
  type SeveralProviders,
  siteAlone,
  withoutProvider,
} from './several-providers.js'
import { createTenantPolicy } from './tenants.js'

/** The options, complete, each part for the layer that needs it. */
export interface Configuration {
  readonly config: SiteConfig
  readonly hosts: Hosts
  readonly provider: ProviderSettings
  readonly store: RecordStoreSettings
  /** Where the site has several providers. `provider` is none of them then. */
  readonly several?: SeveralProviders
}

/** The library cannot make a function of the site show anything. */
const OWN_FETCH =
  'mtls and fetch are both set: fetch has to show the certificate of mtls itself, to the provider and to APIs; only oidc.proxy shows it here'

const DEVICES_NEED_HTTPS =
  'session.deviceBound is "required", but browsers bind no session on plain http: every session ends to count half a minute after its sign-in'

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
  initiateLogin: false,
  popup: false,
  keptForm: false,
  signals: false,
  revocation: false,
  deviceProof: false,
  user: false,
  token: false,
  jwks: false,
}

/**
 * Checks every option once, at start-up, fills in the defaults and freezes the result. What is done to the given object afterwards has
 * no effect.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS with a sentence that says what to do
 */
export function parseOptions(options: OidcOptions | SeveralProvidersOptions, environment: Environment): Configuration {
  if (isPlain(options) && hasSeveralProviders(options)) return parseSeveral(options, withoutProvider(environment))
  const given = applyProfile(optionsRule.read(options, { path: '', environment }))
  checkConflicts(given)
  checkRedisIsThere(given.redis, isProduction(environment))
  const hosts = readHosts(given)
  const config = Object.freeze(buildConfig(given, hosts))
  checkSurroundings(given, { config, hosts }, environment)
  return Object.freeze({
    config,
    hosts,
    provider: Object.freeze(buildProviderSettings(given, config)),
    store: Object.freeze(buildStoreSettings(given, config, hosts)),
  })
}

/** The options of the site, and those of each provider on top of them. */
function parseSeveral(options: object, environment: Environment): Configuration {
  const site = readSite(options, environment)
  const alone = siteAlone(site)
  checkConflicts(alone)
  checkRedisIsThere(site.redis, isProduction(environment))
  const routes = completeRoutes(site)
  const hosts = readHosts(site)
  const config = Object.freeze({ ...buildConfig(alone, hosts), routes, hasSeveralProviders: true })
  checkSurroundings(site, { config, hosts }, environment)
  const several = readSeveral(options, site, given => {
    checkConflicts(given)
    const own = { ...buildConfig(given, hosts), hasSeveralProviders: true }
    return { config: own, provider: Object.freeze(buildProviderSettings(given, own)) }
  })
  // Users stay signed in when another provider or another host comes or goes: sessions name theirs.
  const realm = JSON.stringify(['several', hosts.only?.baseUrl ?? 'hosts'])
  return Object.freeze({
    config,
    hosts,
    provider: Object.freeze(buildProviderSettings(alone, config)),
    store: Object.freeze({ ...buildStoreSettings(site, config, hosts), realm }),
    several,
  })
}

function checkSurroundings(
  given: ReadOptions,
  { config, hosts }: Pick<Configuration, 'config' | 'hosts'>,
  environment: Environment,
): void {
  checkTlsIsVerified(environment, config.log)
  if (given.mtls !== undefined && given.fetch !== undefined) config.log(OWN_FETCH)
  const addresses = addressesOf(hosts).map(({ baseUrl }) => baseUrl)
  if (isProduction(environment)) for (const baseUrl of addresses) warnOfLoopback(baseUrl, config.log)
  const isPlain = addresses.some(baseUrl => !baseUrl.startsWith('https:'))
  if (isPlain && config.session !== false && config.session.device?.required) config.log(DEVICES_NEED_HTTPS)
}

function buildConfig(given: ReadOptions, { siteName, only }: Hosts): SiteConfig {
  const { issuer, clientId } = given
  const log = createLog(given.log)
  const now = createClock(given.now)
  const { absolute = DEFAULT_ABSOLUTE, idle = Math.min(DEFAULT_IDLE, absolute) } = given.session || {}
  checkDurations(idle, absolute)
  const routes = completeRoutes(given)
  checkRoutes(routes)
  return {
    issuer,
    clientId,
    tenants: createTenantPolicy(given),
    hasSeveralProviders: false,
    siteName,
    hasSeveralHosts: only === undefined,
    routes,
    responseType: given.responseType ?? 'code id_token',
    responseMode: given.responseMode ?? 'form_post',
    pkce: given.pkce ?? true,
    requiresResponseIssuer: given.profile !== undefined,
    pushedAuthorization: given.pushedAuthorization ?? 'auto',
    signsRequests: (given.requestObject ?? false) !== false,
    proofAlgorithm: proofAlgorithm(given.dpop),
    scope: given.scope ?? scope.read('openid profile email', { path: 'scope' }),
    authorizationParams: given.authorizationParams ?? {},
    userInfo: userInfoPlan(given.userInfo),
    protocolClaims: given.protocolClaims ?? defaultProtocolClaims,
    lifetime: absolute,
    idle,
    apis: given.apis ?? [],
    revokesTokens: given.revokeTokens ?? true,
    sendsIdTokenHint: given.idTokenHint ?? true,
    clockTolerance: given.clockTolerance ?? 30,
    timeouts: { ...DEFAULT_TIMEOUTS, ...given.timeouts },
    session: given.session === false ? false : buildSessionPolicy(given.session, log),
    signals: signalPolicy(given),
    hooks: given.hooks ?? {},
    audit: createAudit(given.hooks ?? {}, { now, log }),
    rememberUserAgent: given.rememberUserAgent ?? false,
    clearsSiteData: given.clearSiteData ?? true,
    pages: pagesOf(given.pages),
    now,
    log,
  }
}

function completeRoutes({ session, routes }: Pick<ReadOptions, 'session' | 'routes'>): Routes {
  const { deviceBound = false } = session || {}
  const deviceProof = deviceBound === false ? false : '/session/device'
  return Object.freeze({ ...defaultRoutes, deviceProof, ...routes })
}

function proofAlgorithm(given: ReadOptions['dpop'] = false): SiteConfig['proofAlgorithm'] {
  if (given === false) return undefined
  return given === true ? 'ES256' : (given.algorithm ?? 'ES256')
}

function userInfoPlan(given: ReadOptions['userInfo'] = true): SiteConfig['userInfo'] {
  if (given === false) return 'off'
  return given === true ? 'front-channel' : (given.token ?? 'front-channel')
}

function pagesOf({ languages = [], ...pages }: NonNullable<ReadOptions['pages']> = {}): Pages {
  const [first = 'en', ...others] = languages
  return Object.freeze({ ...pages, languages: Object.freeze([first, ...others] as const) })
}

function signalPolicy({ issuer, clientId, signals = {} }: ReadOptions): SiteConfig['signals'] {
  const { jwksUri: _, ...policy } = signals
  return Object.freeze({ issuer, audience: clientId, ...policy })
}

function buildSessionPolicy(given: Exclude<ReadOptions['session'], false>, log: SiteConfig['log']): SessionPolicy {
  const {
    name = 'sid',
    persistent = false,
    keep = [],
    isPolling,
    deviceBound = false,
    deviceProofLifetime = 600,
  } = given ?? {}
  return Object.freeze({
    cookieName: name,
    persistent,
    keep,
    isPolling: createPollingCheck(isPolling, log),
    device:
      deviceBound === false
        ? undefined
        : Object.freeze({ required: deviceBound === 'required', proofLifetime: deviceProofLifetime }),
  })
}

function buildProviderSettings(given: ReadOptions, config: SiteConfig): ProviderSettings {
  const { userInfo } = given
  return {
    issuer: config.issuer,
    clientId: config.clientId,
    tenants: config.tenants,
    ...parseCredentials(given),
    metadata: given.metadata,
    metadataUrl: given.metadataUrl,
    endpoints: given.endpoints,
    idTokenAlgorithm: given.idTokenAlgorithm,
    userInfoAlgorithm: typeof userInfo === 'object' ? userInfo.algorithm : undefined,
    clockTolerance: config.clockTolerance,
    responseType: config.responseType,
    responseMode: config.responseMode,
    proofAlgorithm: config.proofAlgorithm,
    needsCertificateBinding: needsCertificateBinding(given),
    pushedAuthorization: config.pushedAuthorization,
    requestSigning: parseRequestSigning(given),
    authorizationDetails: readAskedDetails(given.authorizationParams?.authorization_details),
    explicit: EXPLICIT_NEEDS.filter(name => given[name] !== undefined),
    fetch: given.fetch,
    certificate: given.mtls && createCertificateSource(given.mtls, timeoutOf(given)),
    decryption: parseDecryption(given),
    transmitterKeys: given.signals?.jwksUri,
    timeout: config.timeouts.provider,
    now: config.now,
    log: config.log,
  }
}

/** What the code of the site ends by way of the session store is known to the store alone. */
function auditedStore(audit: Audit): Pick<RecordStoreSettings, 'remembersExpired' | 'onDestroyed'> {
  return {
    remembersExpired: true,
    onDestroyed(ended) {
      const { handle, signedInAt } = ended
      audit({ type: 'sign-out', by: 'site', reason: 'destroyed', signedInAt, ...describeSession(ended, handle) })
    },
  }
}

function buildStoreSettings(given: ReadOptions, config: SiteConfig, { only }: Hosts): RecordStoreSettings {
  return {
    ...(given.redis !== undefined && { redis: given.redis }),
    secrets: given.secret,
    // A sign-in at one provider, or to one client, is none at another.
    realm: JSON.stringify([config.issuer, config.clientId]),
    prefix: given.redisPrefix ?? 'oidc:',
    idle: config.idle,
    absolute: config.lifetime,
    timeout: config.timeouts.redis,
    now: config.now,
    log: config.log,
    readsDemands: config.routes.signals !== false,
    ...(config.audit && auditedStore(config.audit)),
    keepsForms: config.routes.keptForm !== false,
    readsDevices: config.session !== false && config.session.device !== undefined,
    cookie: {
      secure: only?.baseUrl.startsWith('https:') ?? true,
      sameSite: 'lax',
      ...(config.session !== false && config.session.persistent && { maxAge: config.lifetime * 1000 }),
    },
  }
}
