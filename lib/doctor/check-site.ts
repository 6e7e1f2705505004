import { type Config, pathSuffix, redirectUri } from '../options/config.js'
import { isPushed } from '../protocol/pushed-request.js'
import { isPosted } from '../protocol/response-mode.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import { networkErrorCode, openAsBrowser } from './browser-request.js'
import { type Finding, failure, good, info, warning } from './finding.js'
import { type PageResponse, readPage } from './page-response.js'
import type { HostSetup } from './setup.js'

/** Bytes of request heads that are tried, and up to which a sign-in may need them. */
const HEADS = [4, 6, 8, 12].map(kibibytes => kibibytes * 1024)
const NEEDED_HEAD = 8 * 1024

/** Characters of the longest return path that a sign-in carries. */
const LONG_PATH = 2000

/** The running site as a browser reaches it: through every proxy that stands in front of it. */
export async function checkSite(setup: HostSetup, metadata: ProviderMetadata): Promise<readonly Finding[]> {
  const { config } = setup
  if (config.routes.login === false) return []
  const url = config.baseUrl + config.routes.login + pathSuffix(config)
  const open = async (query = '', headers = {}) =>
    readPage(await openAsBrowser(url + query, headers, config.timeouts.provider), url)
  const first = await open().catch(networkErrorCode)
  if (typeof first === 'string') {
    const remedy = 'Start the site and run the doctor again: it then also checks the proxies in front of the site.'
    return [info('site.unavailable', `The site does not respond at ${config.baseUrl}.`, { cause: first, remedy })]
  }
  const problems = checkLogin(first, { config, metadata })
  if (problems.length > 0) return problems
  const long = await open(`?returnTo=/${'a'.repeat(LONG_PATH)}`).catch(() => undefined)
  return [
    good('site', `A sign-in starts at ${url}.`),
    ...(long !== undefined && isSignIn(long, metadata) ? [] : [describeResponseHead(long)]),
    ...(await checkRequestHead(headers => open('', headers), metadata)),
  ]
}

/** The login route sends the browser to the provider, by a redirect or by a form. */
function isSignIn(page: PageResponse, { authorization_endpoint: endpoint }: ProviderMetadata): boolean {
  const { origin, pathname } = new URL(endpoint)
  return page.location === undefined
    ? page.status === 200 && page.html.includes(endpoint)
    : page.path === origin + pathname
}

function checkLogin(
  page: PageResponse,
  { config, metadata }: { readonly config: Config; readonly metadata: ProviderMetadata },
): readonly Finding[] {
  if (!isSignIn(page, metadata)) return [describeOtherPage(page, config)]
  const sent = page.location?.searchParams
  const uri = sent?.get('redirect_uri') ?? undefined
  if (uri !== undefined && uri !== redirectUri(config) && !isPushed(metadata, config.pushedAuthorization)) {
    const remedy = 'Run the doctor with the options and the environment of the site.'
    const cause = `The site sends the redirect URI ${uri}, and these options have ${redirectUri(config)}.`
    return [failure('site.options', 'The site runs with other options than these.', { cause, remedy })]
  }
  const { cookies } = page
  if (cookies.length === 0) {
    const remedy = 'Look for a proxy or a middleware that removes Set-Cookie.'
    return [failure('site.cookies', 'The response that starts a sign-in has no cookie.', { remedy })]
  }
  const needsSecure = config.secure || isPosted(config.responseMode)
  const weak = cookies.some(text => /^(?:__Host-)?oidc\./.test(text) && !/;\s*secure/i.test(text))
  if (!needsSecure || !weak) return []
  const remedy = 'Look for a proxy that rewrites cookies (nginx: proxy_cookie_flags).'
  return [failure('site.cookies', 'The cookie of the sign-in arrives without Secure.', { remedy })]
}

function describeOtherPage(page: PageResponse, { baseUrl }: Config): Finding {
  const cause = `It responded with status ${page.status}${page.location ? ` and a redirect to ${page.path}` : ''}${page.text ? `, "${page.text}"` : ''}.`
  if (page.status === 404) {
    const remedy = `Mount the middleware so that ${baseUrl} leads to it; a proxy in front must not change the path.`
    return failure('site.login', 'The site has no login route at this address.', { cause, remedy })
  }
  if (page.status === 502 || page.status === 504) {
    const remedy =
      'Start the site behind the proxy, or raise the size of response heads there (nginx: proxy_buffer_size 16k).'
    return failure('site.login', 'The proxy in front of the site does not get a response from it.', { cause, remedy })
  }
  return failure('site.login', 'The login route does not send the browser to the provider.', {
    cause,
    remedy: 'The log of the site says why.',
  })
}

function describeResponseHead(page: PageResponse | undefined): Finding {
  return failure(
    'site.response-head',
    'A sign-in fails for a page with a long address, but not for a page with a short one.',
    {
      cause: page && `It responded with status ${page.status}${page.text ? `, "${page.text}"` : ''}.`,
      remedy: 'Raise the size of response heads in the proxy (nginx: proxy_buffer_size 16k; proxy_buffers 8 16k).',
    },
  )
}

/** Cookies of the site and the provider's response add up, so that a proxy with small buffers refuses some users and not others. */
async function checkRequestHead(
  open: (headers: Readonly<Record<string, string>>) => Promise<PageResponse>,
  metadata: ProviderMetadata,
): Promise<readonly Finding[]> {
  for (const size of HEADS) {
    const page = await open({ cookie: `doctor=${'a'.repeat(size - 512)}` }).catch(() => undefined)
    if (page !== undefined && isSignIn(page, metadata)) continue
    const sentence = `A request with a head of ${size / 1024} KB is refused.`
    const cause = page ? `The response has status ${page.status}.` : 'The connection ended without a response.'
    const remedy =
      'Raise the size of request heads in the proxy (nginx: large_client_header_buffers 4 16k; HAProxy: tune.bufsize 32768; Node: --max-http-header-size).'
    const say = size <= NEEDED_HEAD ? failure : warning
    return [say('site.request-head', sentence, { cause, remedy })]
  }
  return [good('site.heads', `Requests with heads of ${(HEADS.at(-1) ?? 0) / 1024} KB reach the site.`)]
}
