import { OidcError } from '../errors.js'
import type { RequestContext } from '../http/request-context.js'
import type { AccessToken, AccessTokenOptions, AccessTokenRequest } from '../tokens/access-tokens.js'
import { keyOfToken } from '../tokens/bound-token.js'

/** Which token goes along. */
export type ApiFetchOptions = Pick<AccessTokenOptions, 'scope' | 'resource' | 'authorizationDetails' | 'minValidity'>

const MOST_REDIRECTS = 5

/**
 * `fetch` with the user's access token, to origins the site has named. A 401 that says the token is invalid leads to one
 * refresh and one more attempt, where the body can be sent again. Redirects are followed within the origin, for GET and HEAD; any
 * other is handed over as it is, so that the token goes nowhere else.
 *
 * @throws {OidcError} ERR_OIDC_API_ORIGIN, and those of the access token; a failing network throws what `fetch` throws
 */
export async function fetchApi(
  context: RequestContext,
  input: string | URL,
  init: RequestInit = {},
  options: ApiFetchOptions = {},
): Promise<Response> {
  const url = allowedUrl(context, input)
  context.signedIn()
  const { accessTokens } = context.services
  const token = await context.whileSignedIn(id => accessTokens.get(id, options))
  const response = await follow(context, url, init, token)
  if (!isInvalidToken(response) || !canBeSentAgain(init.body)) return response
  const refreshed = await refresh(context, { ...options, forceRefresh: true, refused: token.value })
  if (refreshed === undefined) return response
  await response.body?.cancel()
  return follow(context, url, init, refreshed)
}

function allowedUrl({ services: { config } }: RequestContext, input: string | URL): URL {
  const url = URL.canParse(String(input)) ? new URL(input) : undefined
  if (url !== undefined && config.apis.includes(url.origin) && url.username === '' && url.password === '') return url
  throw new OidcError(
    'ERR_OIDC_API_ORIGIN',
    'req.oidc.fetch sends the token only to the origins of the option "apis"',
    {
      cause: { origin: url?.origin },
    },
  )
}

async function follow(context: RequestContext, url: URL, init: RequestInit, token: AccessToken): Promise<Response> {
  for (let redirects = 0, target = url; ; redirects += 1) {
    const response = await call(context, target, init, token)
    const next = redirectWithin(target, response, init)
    if (next === undefined || redirects === MOST_REDIRECTS) return response
    if (init.redirect === 'error') throw new TypeError('the API responded with a redirect')
    await response.body?.cancel()
    target = next
  }
}

/** A token that is bound to a key goes with a proof, made for this very request. RFC 9449 section 7. */
async function call(context: RequestContext, url: URL, init: RequestInit, token: AccessToken): Promise<Response> {
  const { provider } = context.services
  const mayRepeat = canBeSentAgain(init.body)
  const send = (scheme: string, proof?: string) => {
    const headers = new Headers(init.headers)
    headers.set('authorization', `${scheme} ${token.value}`)
    if (proof !== undefined) headers.set('dpop', proof)
    return provider.callApi(url, { ...init, headers, ...(!mayRepeat && { duplex: 'half' as const }) })
  }
  const key = keyOfToken(token)
  if (key === undefined) return send('Bearer')
  const proofs = await provider.proofs()
  let earlier: Response | undefined
  return proofs.send({ key, method: methodOf(init), url, accessToken: token.value, mayRepeat }, async proof => {
    await earlier?.body?.cancel()
    earlier = await send('DPoP', proof())
    return earlier
  })
}

/** As `fetch` sends it: it spells these methods in capitals, and no other. */
function methodOf({ method = 'GET' }: RequestInit): string {
  return /^(?:delete|get|head|options|post|put)$/i.test(method) ? method.toUpperCase() : method
}

function redirectWithin(from: URL, response: Response, { method = 'GET', redirect }: RequestInit): URL | undefined {
  const location = response.headers.get('location')
  const isRedirect = [301, 302, 303, 307, 308].includes(response.status)
  if (!isRedirect || location === null || redirect === 'manual' || !URL.canParse(location, from.href)) return undefined
  const to = new URL(location, from)
  return to.origin === from.origin && /^(?:get|head)$/i.test(method) ? to : undefined
}

/** RFC 6750 section 3.1. */
export function isInvalidToken({ status, headers }: { readonly status: number; readonly headers: Headers }): boolean {
  return status === 401 && /\berror\s*=\s*"?invalid_token\b/i.test(headers.get('www-authenticate') ?? '')
}

/** A stream is gone when it was sent. */
function canBeSentAgain(body: RequestInit['body']): boolean {
  if (body === undefined || body === null || typeof body === 'string') return true
  return (
    body instanceof URLSearchParams ||
    body instanceof FormData ||
    body instanceof Blob ||
    body instanceof ArrayBuffer ||
    ArrayBuffer.isView(body)
  )
}

/** If that fails, the API's own response is returned, unless the session has ended with it. */
async function refresh(context: RequestContext, options: AccessTokenRequest): Promise<AccessToken | undefined> {
  try {
    return await context.whileSignedIn(id => context.services.accessTokens.get(id, options))
  } catch (error) {
    if (error instanceof OidcError && error.status !== 401) return undefined
    if (error instanceof OidcError && error.code === 'ERR_OIDC_ACCESS_TOKEN_EXPIRED') return undefined
    throw error
  }
}
