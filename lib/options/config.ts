import type { IncomingMessage } from 'node:http'
import type { Log } from '../diagnostics/log.js'
import type { AuthorizationParams } from '../protocol/authorization-request.js'
import type { ProofAlgorithm } from '../protocol/proof-algorithms.js'
import type { PushedAuthorization } from '../protocol/pushed-request.js'
import type { TenantPolicy } from '../protocol/tenants.js'
import type { ResponseMode, ResponseType } from '../protocol/wire.js'
import type { Provider } from '../provider/provider.js'
import { Recent } from '../store/bounded-map.js'
import type { AtProvider } from '../store/session-index.js'
import type { RecordStore } from '../store/store.js'
import { toEpochSeconds } from '../time.js'
import type { Audit } from './audit.js'
import type { Hooks } from './hooks.js'
import type { Pages } from './pages.js'

/** The paths of this package's routes, relative to where it is mounted. `false` leaves one out. */
export interface Routes {
  /** Starts a sign-in; `?returnTo=/path` says where to land. Default `/login`. */
  readonly login: string | false
  /** Receives the provider's response: the redirect URI to register. Default `/callback`. */
  readonly callback: string
  /** Signs out, by POST or by a link of this site. Default `/logout`. OpenID Connect RP-Initiated Logout 1.0. */
  readonly logout: string | false
  /** Where the provider sends the browser after its own sign-out: the post-logout redirect URI to register. Default `/logout/callback`. */
  readonly logoutCallback: string | false
  /** The provider's page loads it in a frame. Default `/logout/frontchannel`. OpenID Connect Front-Channel Logout 1.0. */
  readonly logoutFrontchannel: string | false
  /** The provider itself calls it. Default `/logout/backchannel`. OpenID Connect Back-Channel Logout 1.0. */
  readonly logoutBackchannel: string | false
  /** A page to embed that watches the session at the provider. Off by default. OpenID Connect Session Management 1.0. */
  readonly checkSession: string | false
  /** Where the provider or a portal sends browsers to sign in: the `initiate_login_uri` to register. Off by default. OpenID Connect Core 1.0 section 4. */
  readonly initiateLogin: string | false
  /** Where a sign-in in a window of its own ends: the page tells its opener and closes. Off by default. */
  readonly popup: string | false
  /** Where a form that was kept during a sign-in is sent from: `requiresAuth({ keepForm: true })` needs it. Off by default. */
  readonly keptForm: string | false
  /** Takes security events from a transmitter of shared signals. Off by default. RFC 8935. */
  readonly signals: string | false
  /** Ends every session of a user when the provider says so, such as Okta's Universal Logout. Off by default. OAuth Global Token Revocation (draft). */
  readonly revocation: string | false
  /** Where browsers register and prove the key of their device. Default `/session/device` where `session.deviceBound` is set. */
  readonly deviceProof: string | false
  /** Says to scripts of this site who is signed in. Off by default. */
  readonly user: string | false
  /** Hands the access token to scripts of this site. Off by default. */
  readonly token: string | false
  /** Publishes the public keys of this site, for the provider (`jwks_uri` of the client). Off by default. RFC 7517 section 5. */
  readonly jwks: string | false
}

/** How the session cookie and the session behind it behave. */
export interface SessionPolicy {
  readonly cookieName: string
  /** Whether the cookie outlives the browser. */
  readonly persistent: boolean
  /** Top-level keys of an anonymous session that survive a sign-in. */
  readonly keep: readonly string[]
  /** Requests for which this is true do not extend the session. */
  readonly isPolling: (req: IncomingMessage) => boolean
  /** `undefined`: sessions are bound to no device. */
  readonly device: DevicePolicy | undefined
}

/** How sessions are bound to devices. */
export interface DevicePolicy {
  /** Whether a session without a key counts only for a short time. */
  readonly required: boolean
  /** Seconds for which one proof counts. */
  readonly proofLifetime: number
}

/** Who may send security events and global revocations. */
export interface SignalPolicy {
  readonly issuer: string
  /** What `aud` of a security event token has to contain. */
  readonly audience: string
  /** The whole `Authorization` header of a pushed event. `undefined`: none is expected. */
  readonly authorization?: string | undefined
}

/** Where userinfo is fetched with which access token. */
export type UserInfoPlan = 'front-channel' | 'token-endpoint' | 'off'

/** Everything the middleware knows about the site it runs in, at whichever host. Complete and frozen; made once by the factory. */
export interface SiteConfig {
  /** What diagnostics call the site: its base URL, or the first of a list. */
  readonly siteName: string
  readonly issuer: string
  /** The tenants, where the issuer is that of many. */
  readonly tenants: TenantPolicy | undefined
  /** Whether the site has several providers, and each has paths of its own below some of the routes. */
  readonly hasSeveralProviders: boolean
  /** Whether the site has several hosts, whose cookies and sessions are apart. */
  readonly hasSeveralHosts: boolean
  /** What the site calls this provider, where it has several and this is one of them. */
  readonly providerName?: string
  readonly clientId: string
  readonly routes: Routes
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  /** Whether codes are protected by PKCE besides the nonce. */
  readonly pkce: boolean
  /** Whether an authorization response has to name its issuer, whatever the metadata say. */
  readonly requiresResponseIssuer: boolean
  /** Whether authorization requests are handed over before the browser leaves. */
  readonly pushedAuthorization: PushedAuthorization
  /** Whether authorization requests are signed. */
  readonly signsRequests: boolean
  /** What binds tokens to a key of their session. `undefined`: they are bearer tokens. */
  readonly proofAlgorithm: ProofAlgorithm | undefined
  readonly scope: string
  readonly authorizationParams: AuthorizationParams
  readonly userInfo: UserInfoPlan
  readonly protocolClaims: readonly string[]
  /** Seconds after which a sign-in ends, even if it is in use. */
  readonly lifetime: number
  /** Seconds without a request after which a session ends. */
  readonly idle: number
  /** Origins of the APIs that `req.oidc.fetch` sends the access token to. */
  readonly apis: readonly string[]
  /** Whether a sign-out gives the tokens back to the provider. */
  readonly revokesTokens: boolean
  /** Whether a sign-out sends the ID Token to the provider. */
  readonly sendsIdTokenHint: boolean
  /** Seconds by which clocks may differ. */
  readonly clockTolerance: number
  /** Milliseconds: one exchange with the provider, one command to Redis. */
  readonly timeouts: { readonly provider: number; readonly redis: number }
  /** `false`: the site mounts express-session itself. */
  readonly session: SessionPolicy | false
  readonly signals: SignalPolicy
  readonly hooks: Readonly<Hooks>
  readonly pages: Pages
  /** `undefined`: the site has no such hook. */
  readonly audit: Audit | undefined
  /** Whether a list of sessions says in which browser each of them began. */
  readonly rememberUserAgent: boolean
  /** Whether browsers are told to drop the pages of a user who has gone. */
  readonly clearsSiteData: boolean
  readonly now: () => Date
  readonly log: Log
}

/** The same at one host, which is all that a request knows. */
export interface Config extends SiteConfig {
  /** Origin and path, without a trailing slash. The one authority on where this site is. */
  readonly baseUrl: string
  /** Whether the site is reached by https. */
  readonly secure: boolean
}

/** What belongs to the site at all of its hosts. */
export interface Services {
  readonly config: SiteConfig
  readonly provider: Provider
  readonly store: RecordStore
}

/**
 * The configuration at one host. With several providers, the site itself is in the place of a provider: no sign-in uses that.
 *
 * @param baseUrl - an address that the options allow, and never text of a request
 */
export function atHost(config: SiteConfig, baseUrl: string): Config {
  const isSite = config.hasSeveralProviders && config.providerName === undefined
  return Object.freeze({
    ...config,
    ...(isSite && { issuer: baseUrl }),
    ...(config.hasSeveralHosts && { session: sessionAt(config.session, baseUrl) }),
    baseUrl,
    secure: baseUrl.startsWith('https:'),
  })
}

/** Browsers send cookies to every port of a host: without a name of its own, the cookie of one port would take the place of that of another. RFC 6265 section 8.5. */
function sessionAt(session: SiteConfig['session'], baseUrl: string): SiteConfig['session'] {
  const { port } = new URL(baseUrl)
  return session === false || port === '' ? session : { ...session, cookieName: `${session.cookieName}.${port}` }
}

/** Seconds since the epoch, the unit of every time on the wire and in Redis. */
export function epochSeconds(config: Pick<SiteConfig, 'now'>): number {
  return toEpochSeconds(config.now())
}

/** The address the provider sends the browser back to. */
export function redirectUri(config: Config): string {
  return config.baseUrl + config.routes.callback + pathSuffix(config)
}

/** Each of several providers has redirect URIs of its own, so that a response tells who sent it. RFC 9700 section 4.4.2.2. */
export function pathSuffix({ providerName }: Pick<SiteConfig, 'providerName'>): string {
  return providerName === undefined ? '' : `/${providerName}`
}

/** Where the users and sessions of a provider are known by their names. */
export function atProvider({ issuer, providerName }: Pick<SiteConfig, 'issuer' | 'providerName'>): AtProvider {
  return { issuer, ...(providerName !== undefined && { provider: providerName }) }
}

/** Paths of routes at their hosts. Every sign-in asks for several, and to parse one takes as long as a hash. */
const publicPaths = new Recent<string>(1000)

/** Path of one of our routes as a browser has to ask for it, which differs from the route when the site lives below a path. */
export function publicPath({ baseUrl }: Config, route: string): string {
  const address = baseUrl + route
  return publicPaths.get(address) ?? publicPaths.keep(address, new URL(address).pathname)
}
