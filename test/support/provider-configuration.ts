import type { JWK } from 'jose'

export type TestUser = 'alice' | 'bob'

export const USERS: Readonly<Record<TestUser, Readonly<Record<string, unknown> & { sub: string }>>> = {
  alice: {
    sub: 'alice',
    name: 'Alice Adams',
    given_name: 'Alice',
    family_name: 'Adams',
    email: 'alice@example.com',
    email_verified: true,
    role: ['editor', 'admin'],
  },
  bob: {
    sub: 'bob',
    name: 'Bob Brown',
    given_name: 'Bob',
    family_name: 'Brown',
    email: 'bob@example.com',
    email_verified: false,
    role: ['reader'],
  },
}

export const ROUTES = {
  authorization: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  end_session: '/end_session',
  revocation: '/revocation',
}

export interface ClientMetadata {
  readonly client_id: string
  readonly redirect_uris: readonly string[]
  readonly [member: string]: unknown
}

export interface ConfigurationSettings {
  readonly client: ClientMetadata
  readonly adapter: (model: string) => object
  readonly jwks: readonly JWK[]
  readonly cookieSecret: string
  readonly accessTokens: 'opaque' | 'jwt'
  readonly resources: readonly string[]
  readonly refreshTokens: boolean
  readonly pkceRequired: boolean
  /** Seconds. */
  readonly accessTokenLife: number
  readonly groups: readonly string[] | undefined
  readonly takesPost: boolean
  /** Whether proofs need a nonce of the provider. */
  readonly proofNonces: boolean
  readonly features: Readonly<Record<string, object>>
  readonly enabledJWA: Readonly<Record<string, readonly string[]>>
  readonly clientAuthMethods: readonly string[] | undefined
}

/** How `oidc-provider` is set up for the tests: everything this package can use is switched on. */
export function buildConfiguration(settings: ConfigurationSettings): object {
  const { accessTokens, resources, accessTokenLife } = settings
  return {
    clients: [settings.client],
    adapter: settings.adapter,
    extraClientMetadata: { properties: ['frontchannel_logout_uri'] },
    jwks: { keys: settings.jwks },
    cookies: { keys: [settings.cookieSecret], ...(settings.takesPost && { long: { sameSite: 'none' } }) },
    ...(settings.takesPost && { enableHttpPostMethods: true }),
    ...(settings.groups && { conformIdTokenClaims: false }),
    routes: ROUTES,
    responseTypes: ['code', 'id_token', 'code id_token', 'code token', 'code id_token token', 'none'],
    scopes: ['openid', 'offline_access', 'read', 'write'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'given_name', 'family_name', 'role', 'groups'],
      email: ['email', 'email_verified'],
    },
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'],
      userinfoSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'],
      clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519', 'HS256', 'HS384', 'HS512'],
      ...settings.enabledJWA,
    },
    ...(settings.clientAuthMethods && { clientAuthMethods: settings.clientAuthMethods }),
    pkce: { required: () => settings.pkceRequired },
    interactions: { url: (_ctx: unknown, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_ctx: unknown, id: string) => {
      const user = USERS[id as TestUser]
      return user && { accountId: id, claims: () => ({ ...user, ...(settings.groups && { groups: settings.groups }) }) }
    },
    issueRefreshToken: () => settings.refreshTokens,
    rotateRefreshToken: true,
    expiresWithSession: () => false,
    ttl: {
      AccessToken: accessTokenLife,
      ClientCredentials: accessTokenLife,
      AuthorizationCode: 60,
      IdToken: 300,
      RefreshToken: 86_400,
      Interaction: 600,
      Session: 86_400,
      Grant: 86_400,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 'nonce'), requireNonce: () => settings.proofNonces },
      jwtUserinfo: { enabled: true },
      claimsParameter: { enabled: true },
      ...settings.features,
      backchannelLogout: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: confirmLogout, postLogoutSuccessSource: sayGoodbye },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx: unknown, resource: string) => {
          if (!resources.includes(resource)) throw new Error(`The resource ${resource} is not known`)
          return {
            scope: 'read write',
            audience: resource,
            accessTokenTTL: accessTokenLife,
            accessTokenFormat: accessTokens,
            ...(accessTokens === 'jwt' && { jwt: { sign: { alg: 'RS256' } } }),
          }
        },
      },
    },
    // Without the dispatcher that keeps a provider from calling loopback addresses, where the sites of the tests are.
    fetch: (url: string, { dispatcher: _, ...options }: RequestInit & { dispatcher?: unknown }) => fetch(url, options),
  }
}

interface PageContext {
  type: string
  body: string
}

/** Users are not asked whether they want to sign out. */
function confirmLogout(ctx: PageContext, form: string): void {
  const answered = form.replace('</form>', '<input type="hidden" name="logout" value="yes"/></form>')
  ctx.body = `<!doctype html><title>Signing out</title>${answered}<script>document.forms[0].submit()</script>`
}

function sayGoodbye(ctx: PageContext): void {
  ctx.body = '<!doctype html><title>Signed out</title><p>Signed out at the provider.</p>'
}
