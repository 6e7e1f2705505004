import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { JWK } from 'jose'
import { delay, readBody, startLoopbackServer } from './loopback-server.js'
import { loadOidcProvider, type OidcProvider } from './oidc-provider-types.js'
import { createAdapterFactory } from './provider-adapter.js'
import {
  buildConfiguration,
  type ClientMetadata,
  type ConfigurationSettings,
  ROUTES,
  type TestUser,
  USERS,
} from './provider-configuration.js'
import { keepSecret, secret } from './secrets.js'
import { createSigningKey, exportPrivateJwk } from './signing-keys.js'

export type { TestUser } from './provider-configuration.js'
export { USERS } from './provider-configuration.js'

export interface ProviderOptions {
  /** Default `client`. */
  readonly clientId?: string
  /** Default: a new secret. */
  readonly clientSecret?: string
  /** More client metadata, with the names of the specification: `token_endpoint_auth_method`, `jwks`, … */
  readonly client?: Readonly<Record<string, unknown>>
  /** Base URL of the site, if known already; otherwise {@link TestProvider.register} it. */
  readonly site?: string
  /** Default `127.0.0.1`, another site than a site on `localhost`. */
  readonly host?: string
  /** `automatic`: every user is signed in as {@link TestProvider.user}. `form`: a page asks for a name. Default `automatic`. */
  readonly signIn?: 'automatic' | 'form'
  /** Format of access tokens for the resources. Default `opaque`. */
  readonly accessTokens?: 'opaque' | 'jwt'
  /** Resource indicators that can be asked for. Default one, `https://api.example.com/`. */
  readonly resources?: readonly string[]
  /** Default true, whatever scope was asked for. */
  readonly refreshTokens?: boolean
  /** Default true. */
  readonly pkceRequired?: boolean
  /** Seconds. Default 3600. */
  readonly accessTokenLife?: number
  /** Whether DPoP proofs need a nonce of the provider. Default false. */
  readonly proofNonces?: boolean
  /** More features of `oidc-provider`, or others. */
  readonly features?: Readonly<Record<string, object>>
  /** More algorithms. */
  readonly enabledJWA?: Readonly<Record<string, readonly string[]>>
  /** Ways of clients to authenticate. Default: those of `oidc-provider`. */
  readonly clientAuthMethods?: readonly string[]
  /** More keys of the provider: algorithms. Default none. */
  readonly moreKeys?: readonly string[]
  /** Private keys that requests to the provider are encrypted to, asked for whenever the client is registered. Default none. */
  readonly encryptionKeys?: () => readonly JWK[]
  /** Groups of every user, for an ID Token as large as they are. Default: none, and an ID Token without the claims of userinfo. */
  readonly groups?: readonly string[]
  /**
   * Whether the authorization and the end-session endpoint take POST, which `oidc-provider` does not by itself. It then wants
   * `SameSite=None`; browsers take that only over https, so the cookies are sent as `Lax`: run it on the same site as the client.
   */
  readonly takesPost?: boolean
  /** Changes every `oidc-provider` that is made, before it is used. */
  readonly customise?: (provider: OidcProvider) => void
}

export type ProviderEndpoint = 'discovery' | 'authorize' | 'token' | 'userinfo' | 'jwks' | 'endSession' | 'revocation'

export interface ProviderRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
}

export interface TestProvider {
  readonly issuer: string
  readonly port: number
  readonly clientId: string
  readonly clientSecret: string
  /** Who is signed in by the automatic sign-in. */
  user: TestUser
  readonly requests: readonly ProviderRequest[]
  /** Errors the provider reported, for a test that wonders. */
  readonly errors: readonly string[]
  count(endpoint: ProviderEndpoint): number
  /** Milliseconds that each request to an endpoint waits; 0 ends it. */
  delay(endpoint: ProviderEndpoint, milliseconds: number): void
  /** Registers the client anew, with the redirect URIs and logout addresses of the site. Sessions live on. */
  register(site: string, client?: Readonly<Record<string, unknown>>): void
  stop(): Promise<void>
  start(): Promise<void>
  close(): Promise<void>
}

const PATHS: Readonly<Record<ProviderEndpoint, string>> = {
  discovery: '/.well-known/openid-configuration',
  authorize: ROUTES.authorization,
  token: ROUTES.token,
  userinfo: ROUTES.userinfo,
  jwks: ROUTES.jwks,
  endSession: ROUTES.end_session,
  revocation: ROUTES.revocation,
}

const Provider = await loadOidcProvider()

/** A real provider, the npm package `oidc-provider`, on a free loopback port. */
export async function startProvider(options: ProviderOptions = {}): Promise<TestProvider> {
  const clientId = options.clientId ?? 'client'
  const clientSecret = options.clientSecret ?? secret('client secret')
  const requests: ProviderRequest[] = []
  const errors: string[] = []
  const delays = new Map<string, number>()
  const signingKeys = await Promise.all(
    ['RS256', 'ES256', 'EdDSA', ...(options.moreKeys ?? [])].map(alg => createSigningKey(alg)),
  )
  const settings: Omit<ConfigurationSettings, 'client'> = {
    adapter: createAdapterFactory(),
    jwks: signingKeys.map(key => ({ ...exportPrivateJwk(key), use: 'sig' })),
    cookieSecret: secret('cookie secret of the provider'),
    accessTokens: options.accessTokens ?? 'opaque',
    resources: options.resources ?? ['https://api.example.com/'],
    refreshTokens: options.refreshTokens ?? true,
    pkceRequired: options.pkceRequired ?? true,
    accessTokenLife: options.accessTokenLife ?? 3600,
    groups: options.groups,
    takesPost: options.takesPost ?? false,
    proofNonces: options.proofNonces ?? false,
    features: options.features ?? {},
    enabledJWA: options.enabledJWA ?? {},
    clientAuthMethods: options.clientAuthMethods,
  }
  let provider: OidcProvider
  let receive: (request: IncomingMessage, response: ServerResponse) => void

  const server = await startLoopbackServer((request, response) => {
    serve(request, response).catch(error => {
      errors.push(String(error))
      response.destroy()
    })
  })
  const issuer = `http://${options.host ?? '127.0.0.1'}:${server.port}`

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname: path } = new URL(request.url ?? '/', issuer)
    requests.push({ method: request.method ?? '', path, headers: request.headers })
    const wait = delays.get(path) ?? 0
    if (wait > 0) await delay(wait)
    if (settings.takesPost) sendLaxCookies(response)
    if (path.startsWith('/interaction/')) return signIn(request, response)
    receive(request, response)
  }

  async function signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = options.signIn === 'form' ? await readName(request) : result.user
    if (name === undefined) return askForName(response)
    const { params } = await provider.interactionDetails(request, response)
    const grantId = await grantEverything(provider, name, params, settings.resources)
    await provider.interactionFinished(request, response, { login: { accountId: name }, consent: { grantId } })
  }

  const result: TestProvider = {
    issuer,
    port: server.port,
    clientId,
    clientSecret,
    user: 'alice',
    requests,
    errors,
    count: endpoint => requests.filter(({ path }) => path === PATHS[endpoint]).length,
    delay: (endpoint, milliseconds) => void delays.set(PATHS[endpoint], milliseconds),
    register(site, client = {}) {
      const metadata = buildClient(clientId, clientSecret, site, { ...options.client, ...client })
      const encryptionKeys = options.encryptionKeys?.().map(key => ({ ...key, use: 'enc' })) ?? []
      const jwks = [...settings.jwks, ...encryptionKeys]
      provider = createOidcProvider(issuer, { ...settings, jwks, client: metadata }, errors)
      options.customise?.(provider)
      receive = provider.callback()
    },
    stop: server.stop,
    start: server.start,
    close: server.stop,
  }
  result.register(options.site ?? 'http://localhost:9')
  return result
}

function sendLaxCookies(response: ServerResponse): void {
  const setHeader = response.setHeader.bind(response)
  const laxer = (text: string) => text.replace(/samesite=none/i, 'samesite=lax')
  response.setHeader = (name, value) => {
    if (name.toLowerCase() !== 'set-cookie') return setHeader(name, value)
    return setHeader(
      name,
      [value].flat().map(text => laxer(String(text))),
    )
  }
}

function buildClient(clientId: string, clientSecret: string, site: string, more: object): ClientMetadata {
  return {
    client_id: clientId,
    client_secret: clientSecret,
    redirect_uris: [`${site}/callback`],
    post_logout_redirect_uris: [`${site}/`, site, `${site}/logout/callback`],
    backchannel_logout_uri: `${site}/logout/backchannel`,
    backchannel_logout_session_required: true,
    response_types: ['code', 'id_token', 'code id_token', 'code token', 'code id_token token'],
    grant_types: ['authorization_code', 'implicit', 'refresh_token', 'client_credentials'],
    ...more,
  }
}

function createOidcProvider(issuer: string, settings: ConfigurationSettings, errors: string[]): OidcProvider {
  const provider = new Provider(issuer, buildConfiguration(settings))
  const { prototype } = provider.Client.Schema
  const { invalidate } = prototype
  // Hybrid clients on http and on localhost are refused, rightly so; the tests have nothing else.
  prototype.invalidate = function (message, code) {
    if (!code?.startsWith('implicit-')) invalidate.call(this, message, code)
  }
  for (const event of [
    'server_error',
    'authorization.error',
    'grant.error',
    'userinfo.error',
    'backchannel.error',
    'end_session.error',
  ]) {
    provider.on(event, (_ctx, error) => errors.push(`${event}: ${describe(error)}`))
  }
  provider.on('authorization.success', (_ctx, fields) => rememberTokens(fields))
  provider.on('grant.success', ctx => rememberTokens((ctx as { body: unknown }).body))
  return provider
}

function describe(error: unknown): string {
  const { error_description: description, message } = error as { error_description?: string; message?: string }
  return description ?? message ?? String(error)
}

function rememberTokens(response: unknown): void {
  for (const name of ['code', 'access_token', 'refresh_token', 'id_token']) {
    const value = (response as Record<string, unknown>)[name]
    if (typeof value === 'string') keepSecret(`${name} of the provider`, value)
  }
}

async function readName(request: IncomingMessage): Promise<TestUser | undefined> {
  if (request.method !== 'POST') return undefined
  const name = new URLSearchParams(await readBody(request)).get('login')
  return name !== null && name in USERS ? (name as TestUser) : undefined
}

function askForName(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
  response.end(
    '<!doctype html><title>Sign in</title><form method="post"><input name="login"><button>Sign in</button></form>',
  )
}

async function grantEverything(
  provider: OidcProvider,
  accountId: TestUser,
  { client_id: clientId, scope }: Readonly<Record<string, string | undefined>>,
  resources: readonly string[],
): Promise<string> {
  const grant = new provider.Grant({ accountId, clientId })
  grant.addOIDCScope(scope ?? 'openid')
  for (const resource of resources) grant.addResourceScope(resource, 'read write')
  return grant.save()
}
