import { createPublicKey, type KeyObject } from 'node:crypto'
import type { NamedProvider, Settings } from '../settings.js'
import { type Accounts, claimsOfScopes } from './accounts.js'
import type { Consents } from './consents.js'
import { createCookieKeys, createSigningKeys } from './development-keys.js'
import { frontChannelMetadata } from './front-channel-logout.js'
import { createMemoryAdapter } from './memory-adapter.js'
import type { Pages } from './pages.js'
import { apiScopes } from './scopes.js'

export interface IdentityServerOptions {
  readonly issuer: string
  readonly siteUrl: string
  readonly settings: Settings
  /** What sets this server apart, where the site has several. */
  readonly provider: NamedProvider | undefined
}

/** What the configuration is made of besides. */
interface Parts {
  readonly accounts: Accounts
  readonly consents: Consents
  readonly pages: Pages
}

const minute = 60
const hour = 60 * minute
const day = 24 * hour

/** The configuration of oidc-provider: two clients, the hybrid flow, and pages of our own. */
export async function buildConfiguration(options: IdentityServerOptions, { accounts, consents, pages }: Parts) {
  const { settings, provider } = options
  return {
    adapter: createMemoryAdapter(),
    jwks: await createSigningKeys(settings.fapi2 === undefined ? ['RS256'] : ['RS256', 'PS256']),
    cookies: { keys: createCookieKeys(), ...(provider && { names: cookieNames(provider) }) },
    clients: [siteClient(options), apiClient(settings)],
    findAccount: accounts.find,
    claims: claimsOfScopes,
    scopes: ['openid', 'offline_access', ...apiScopes],
    responseTypes: ['code id_token token', 'code id_token', 'code token', 'code', 'id_token'],
    pkce: { required: () => true },
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    loadExistingGrant: consents.load,
    features: buildFeatures(settings, pages),
    ...(settings.fapi2 && { responseTypes: ['code'] }),
    extraClientMetadata: { properties: [frontChannelMetadata] },
    renderError: pages.showProviderError,
    // Access tokens are reference tokens, as in the original sample: a random text that only this
    // server understands. Userinfo of oidc-provider takes no JWT that was made for an API, so this is the kind that one token can be for
    // both; and revoking it takes effect at once.
    ttl: {
      AccessToken: hour,
      AuthorizationCode: minute,
      IdToken: 5 * minute,
      RefreshToken: 14 * day,
      Grant: 14 * day,
      Session: 14 * day,
      Interaction: hour,
    },
    // A refresh token is used once; the response brings the next one.
    rotateRefreshToken: true,
    // oidc-provider drops offline_access from a request that does not make the user consent again each time. Here, as in
    // IdentityServer, it is enough that the client is registered for refresh tokens.
    issueRefreshToken: async (_ctx: unknown, client: { grantTypeAllowed(type: string): boolean }) =>
      client.grantTypeAllowed('refresh_token'),
    // oidc-provider refuses to call addresses on the own machine, and that is where the site is.
    // DEVELOPMENT ONLY: a real provider keeps that guard.
    fetch: (url: string | URL, { dispatcher: _guard, ...options }: RequestInit & { dispatcher?: unknown }) =>
      fetch(url, options),
  }
}

/** A browser sends the cookies of a host to each of its ports: without names of their own, the servers would overwrite each other's. */
function cookieNames({ name }: NamedProvider) {
  return { session: `${name}_session`, interaction: `${name}_interaction`, resume: `${name}_resume` }
}

function buildFeatures({ api, fapi2 }: Settings, { showSignOut, showSignedOut }: Pages) {
  return {
    ...(fapi2 && fapiFeatures),
    devInteractions: { enabled: false },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true, logoutSource: showSignOut, postLogoutSuccessSource: showSignedOut },
    revocation: {
      enabled: true,
      // A client can revoke its own tokens only.
      allowedPolicy: async (_ctx: unknown, client: { clientId: string }, token: { clientId: string }) =>
        client.clientId === token.clientId,
    },
    jwtIntrospection: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: async (_ctx: unknown, client: { clientId: string }) => client.clientId === api.clientId,
    },
  }
}

/** What the FAPI 2.0 Security Profile asks of a provider, and signed responses (JARM). */
const fapiFeatures = {
  fapi: { enabled: true, profile: '2.0' },
  pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: true },
  dPoP: { enabled: true },
  jwtResponseModes: { enabled: true },
}

/** What the site is registered with: its public key instead of a secret. */
function fapiClient(key: KeyObject) {
  return {
    client_secret: undefined,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [{ ...createPublicKey(key).export({ format: 'jwk' }), use: 'sig', alg: 'ES256' }] },
    id_token_signed_response_alg: 'PS256',
    authorization_signed_response_alg: 'PS256',
    dpop_bound_access_tokens: true,
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
  }
}

/** The site, with the name it has in the original post. */
function siteClient({ siteUrl, settings: { clientId, clientSecret, fapi2 }, provider }: IdentityServerOptions) {
  // At each of several providers, the addresses of the site end with the name of that provider.
  const end = provider === undefined ? '' : `/${provider.name}`
  return {
    client_id: clientId,
    client_name: 'Hybrid Sample',
    client_secret: clientSecret,
    response_types: ['code id_token token', 'code id_token', 'code token', 'code', 'id_token'],
    grant_types: ['authorization_code', 'implicit', 'refresh_token'],
    redirect_uris: [`${siteUrl}/callback${end}`],
    post_logout_redirect_uris: [`${siteUrl}/logout/callback`],
    backchannel_logout_uri: `${siteUrl}/logout/backchannel${end}`,
    backchannel_logout_session_required: true,
    [frontChannelMetadata]: `${siteUrl}/logout/frontchannel${end}`,
    ...(fapi2 && fapiClient(fapi2)),
  }
}

/** The API does not sign users in; it may only ask what a token stands for. */
function apiClient({ api }: Settings) {
  return {
    client_id: api.clientId,
    client_secret: api.clientSecret,
    response_types: [],
    grant_types: [],
    redirect_uris: [],
    introspection_signed_response_alg: 'RS256',
  }
}
