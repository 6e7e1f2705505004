import { randomBytes } from 'node:crypto'
import { OidcError } from '../errors.js'
import { type Config, redirectUri } from '../options/config.js'
import { addToEndpoint, buildAuthorizationParams, buildCodeChallenge } from '../protocol/authorization-request.js'
import { prepareRequest } from '../provider/authorization-request.js'
import { describeRefusedRequest, readResponse } from './authorization-response.js'
import { networkErrorCode, openAsBrowser, openByFetch } from './browser-request.js'
import { createProofKey } from './check-client.js'
import { type KnownProvider, trustedBy } from './check-provider.js'
import { type Finding, failure, good, info, warning } from './finding.js'
import { type PageResponse, readAuthorizationResponse, readPage } from './page-response.js'
import type { HostSetup, Setup } from './setup.js'

/** The addresses that the provider has to know: asked with requests that show no page to a user. */
export async function checkRedirects(setup: HostSetup, known: KnownProvider): Promise<readonly Finding[]> {
  const uri = redirectUri(setup.config)
  return [await checkRedirectUri(setup, known, uri), ...(await checkLogout(setup, known))]
}

async function checkRedirectUri(setup: Setup, known: KnownProvider, uri: string): Promise<Finding> {
  const remedy = `Register exactly this redirect URI for the client "${setup.config.clientId}": ${uri}`
  try {
    const page = await ask(setup, known, uri)
    const response = readAuthorizationResponse(page, uri)
    if (response !== undefined)
      return await readResponse(response, known.provider, { uri, responseMode: setup.config.responseMode })
    // A provider that ignores prompt=none: how does it receive an address that it cannot know?
    const control = await ask(setup, known, `${uri}-${randomBytes(6).toString('hex')}`).catch(() => undefined)
    return comparePages(page, control, { uri, remedy })
  } catch (error) {
    if (error instanceof OidcError) return describeRefusedRequest(error, remedy)
    return warning('redirect-uri.unclear', 'The authorization endpoint did not respond.', {
      cause: networkErrorCode(error),
    })
  }
}

/** Sends the authorization request of a sign-in as the site sends it, with `prompt=none`. */
async function ask(setup: Setup, { provider, metadata }: KnownProvider, uri: string): Promise<PageResponse> {
  const { config } = setup
  const proofKey = await createProofKey(setup)
  const random = () => randomBytes(32).toString('base64url')
  const params = buildAuthorizationParams({
    clientId: config.clientId,
    redirectUri: uri,
    responseType: config.responseType,
    responseMode: config.responseMode,
    scope: config.scope,
    state: random(),
    nonce: random(),
    ...(config.pkce && { codeChallenge: buildCodeChallenge(random()) }),
    ...(proofKey && { proofKeyThumbprint: (await import('../protocol/dpop.js')).proofKeyThumbprint(proofKey) }),
    params: { ...config.authorizationParams, prompt: 'none' },
  })
  const sent = await prepareRequest(provider, metadata, params, { settings: config, proofKey })
  return openPage(addToEndpoint(metadata.authorization_endpoint, sent), setup)
}

/** @param control - the response to an address that cannot be registered */
function comparePages(
  page: PageResponse,
  control: PageResponse | undefined,
  { uri, remedy }: { readonly uri: string; readonly remedy: string },
): Finding {
  const isSame = control !== undefined && page.status === control.status && page.path === control.path
  const cause = `It responded with ${describePage(page)}${isSame ? ', and to an address that is not registered in the same way' : ''}.`
  if (page.status >= 400 || (isSame && page.looksLikeError))
    return failure(
      'redirect-uri.refused',
      'The provider refuses the authorization request before it asks the user to sign in.',
      {
        cause,
        remedy: `${remedy}. If it is registered, compare the client id.`,
      },
    )
  if (isSame)
    return info('redirect-uri.unclear', `Whether the redirect URI ${uri} is registered shows at the first sign-in.`, {
      cause,
      remedy,
    })
  return good('redirect-uri', `The provider accepts the redirect URI ${uri}.`)
}

async function checkLogout(setup: HostSetup, { metadata }: KnownProvider): Promise<readonly Finding[]> {
  const { config } = setup
  if (config.routes.logout === false || config.routes.logoutCallback === false) return []
  const { end_session_endpoint: endpoint } = metadata
  if (endpoint === undefined) {
    const cause = 'Its metadata has no end_session_endpoint.'
    return [
      info('logout.local', 'A sign-out ends the session of this site only: the provider offers no sign-out.', {
        cause,
      }),
    ]
  }
  const uri = config.baseUrl + config.routes.logoutCallback
  const page = await openPage(addToEndpoint(endpoint, logoutParams(config, uri)), setup).catch(() => undefined)
  if (page === undefined) return [warning('logout.unclear', 'The end_session_endpoint did not respond.')]
  if (page.status < 400 && !page.looksLikeError)
    return [good('logout', `The provider does not refuse the post-logout redirect URI ${uri}.`)]
  return [
    warning('logout.refused', 'The provider refuses to send users back after a sign-out.', {
      cause: `It responded with ${describePage(page)}.`,
      remedy: `Register this post-logout redirect URI for the client: ${uri}`,
    }),
  ]
}

function logoutParams({ clientId }: Config, uri: string): URLSearchParams {
  return new URLSearchParams({ client_id: clientId, post_logout_redirect_uri: uri })
}

function describePage({ status, text }: PageResponse): string {
  return text === '' ? `status ${status}` : `status ${status}, "${text}"`
}

async function openPage(url: string, { provider, config }: Setup): Promise<PageResponse> {
  const timeout = config.timeouts.provider
  const { fetch } = provider
  const response =
    fetch === undefined
      ? await openAsBrowser(url, {}, timeout, await trustedBy(provider))
      : await openByFetch(fetch, url, timeout)
  return readPage(response, url)
}
