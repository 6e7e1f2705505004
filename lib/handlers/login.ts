import { randomBytes } from 'node:crypto'
import { attemptOf, publish } from '../diagnostics/publish.js'
import { showAddress, showFields } from '../diagnostics/values.js'
import { OidcError } from '../errors.js'
import { type AuthorizationParams, buildAuthorizationUrl } from '../protocol/authorization-request.js'
import { buildCodeChallenge } from '../protocol/pkce.js'
import type { Transaction } from '../protocol/transaction.js'
import { redirect } from './answers.js'
import { landingOf, parseLanding } from './landing.js'
import { isNavigation } from './navigation.js'
import { redirectUri } from './site.js'
import type { Visit } from './visit.js'

/** What one sign-in asks for beyond the site's options. */
export interface LoginOptions {
  /** Where to land afterwards: a path of this site. Anything else is ignored. Default: the page asked for, on a GET. */
  readonly returnTo?: string
  /**
   * `login` asks for a new sign-in, `consent` for a new consent, `select_account` for a choice; `none` for an answer without a page, and
   * the error `login_required` where there would be one. Default: the provider decides. OpenID Connect Core 1.0 section 3.1.2.1.
   */
  readonly prompt?: string
  /** Seconds since the person last proved who they are; enforced on `auth_time`. `0` asks for a new sign-in. */
  readonly maxAge?: number
  /** Authentication contexts wished for, in order of preference; not enforced. */
  readonly acrValues?: readonly string[]
  /** Authentication contexts of which one is required (asked for as an essential claim); enforced on `acr`. */
  readonly acr?: readonly string[]
  /** Who is probably about to sign in, such as an e-mail address, to fill in the provider's form. */
  readonly loginHint?: string
  /** Languages for the provider's pages, in order of preference. BCP 47. */
  readonly uiLocales?: readonly string[]
  /** Added to the configured scope. */
  readonly scope?: string
  /** The APIs that access tokens are wanted for. RFC 8707. */
  readonly resource?: string | readonly string[]
  /** Any other parameter, with the name it has on the wire. Protocol parameters cannot be replaced. */
  readonly params?: AuthorizationParams
}

/** `GET` or `POST /login`: takes nothing from the request but `returnTo`. */
export async function login(visit: Visit): Promise<void> {
  const { req, services } = visit
  if (!isNavigation(req)) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'only a page navigation can sign in')
  await startLogin(visit, { returnTo: landingOf(services.site, req.query.returnTo) })
}

/**
 * Sends the browser to the provider, and binds the attempt to it by a cookie.
 *
 * @throws {OidcError} ERR_OIDC_PROVIDER_UNAVAILABLE and other codes of discovery, ERR_OIDC_OPTIONS for parameters that replace protocol ones
 */
export async function startLogin(
  visit: Visit,
  options: LoginOptions,
  circumstances: Pick<Transaction, 'restarts' | 'continues'> = {},
): Promise<void> {
  const { services, req, res } = visit
  const { site, provider, transactions } = services
  const metadata = await provider.metadata()
  const params = {
    ...site.authorizationParams,
    ...(await site.hooks.authorizationParams?.(req)),
    ...wireParams(options),
  }
  const transaction: Transaction & { readonly scope: string } = {
    ...newBinding(visit),
    returnTo: parseLanding(site, options.returnTo) ?? pageAskedFor(visit),
    ...enforced(params),
    ...circumstances,
    scope: [...new Set([site.scope, options.scope].join(' ').split(' ').filter(Boolean))].join(' '),
  }
  const location = buildAuthorizationUrl({
    endpoint: metadata.authorization_endpoint,
    clientId: site.clientId,
    redirectUri: transaction.redirectUri,
    responseType: site.responseType,
    responseMode: site.responseMode,
    scope: transaction.scope,
    state: transaction.state,
    nonce: transaction.nonce,
    ...(site.pkce && { codeChallenge: buildCodeChallenge(transaction.codeVerifier) }),
    params,
  })
  transactions.save(req, res, transaction)
  publish(() => ({
    type: 'sign-in-started',
    site: site.baseUrl,
    attempt: attemptOf(transaction.state),
    path: req.path,
    endpoint: showAddress(location),
    params: showFields(new URL(location).searchParams),
  }))
  redirect(res, location)
}

/** The secrets of an attempt and everything the answer has to agree with. */
function newBinding({ services: { site, host, state }, req }: Visit) {
  const sessionId = host.idOf(req)
  return {
    state: randomToken(),
    nonce: randomToken(),
    codeVerifier: randomToken(),
    ...(!site.pkce && { pkce: false }),
    redirectUri: redirectUri(site),
    issuer: site.issuer,
    clientId: site.clientId,
    responseType: site.responseType,
    responseMode: site.responseMode,
    createdAt: site.now().getTime() / 1000,
    startedAt: state.startTime(),
    ...(sessionId !== undefined && { sessionId }),
  }
}

/** 256 bits as 43 URL-safe characters: enough for RFC 7636, and the longest nonce every provider takes. */
function randomToken(): string {
  return randomBytes(32).toString('base64url')
}

function wireParams(options: LoginOptions): AuthorizationParams {
  const acr = options.acr && { id_token: { acr: { essential: true, values: options.acr } } }
  return {
    ...options.params,
    ...given('prompt', options.prompt),
    ...given('max_age', options.maxAge),
    ...given('acr_values', (options.acrValues ?? options.acr)?.join(' ')),
    ...given('claims', acr),
    ...given('login_hint', options.loginHint),
    ...given('ui_locales', options.uiLocales?.join(' ')),
    ...given('resource', options.resource),
  }
}

function given<T>(name: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [name]: value }
}

/** What the ID Token must show, read from the parameters themselves, wherever they came from. */
function enforced(params: AuthorizationParams): Pick<Transaction, 'maxAge' | 'acrValues'> {
  const maxAge = params.max_age === undefined ? undefined : Number(params.max_age)
  if (maxAge !== undefined && !(Number.isInteger(maxAge) && maxAge >= 0)) {
    throw new OidcError('ERR_OIDC_OPTIONS', 'max_age must be a whole number of seconds')
  }
  const acr = essentialAcr(params.claims)
  return { ...(maxAge !== undefined && { maxAge }), ...(acr !== undefined && { acrValues: acr }) }
}

/** OpenID Connect Core 1.0 section 5.5.1.1. */
function essentialAcr(claims: unknown): readonly string[] | undefined {
  const request = typeof claims === 'string' ? parseClaimsRequest(claims) : claims
  const acr = (
    request as { id_token?: { acr?: { essential?: boolean; value?: string; values?: string[] } } } | undefined
  )?.id_token?.acr
  if (acr?.essential !== true) return undefined
  return acr.values ?? (acr.value === undefined ? [] : [acr.value])
}

function parseClaimsRequest(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new OidcError('ERR_OIDC_OPTIONS', 'the parameter "claims" is not JSON')
  }
}

/**
 * The page a signed-out visitor wanted. A script's call and a posted form have no page of their own: the one they came from has to do.
 */
export function pageAskedFor({ req, services: { site } }: Visit): string {
  const isPage = isNavigation(req) && (req.method === 'GET' || req.method === 'HEAD')
  return landingOf(site, isPage ? req.originalUrl : req.headers.referer)
}
