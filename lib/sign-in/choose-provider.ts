import { OidcError } from '../errors.js'
import { pathOf } from '../http/node-http.js'
import type { MiddlewareServices, RequestContext } from '../http/request-context.js'
import { redirect } from '../http/response.js'
import { pageAskedFor, readReturnTo, returnToInHead } from '../http/return-to.js'
import { publicPath } from '../options/config.js'
import type { LoginOptions } from './login-options.js'

/**
 * Which provider a sign-in goes to: the one that is named, by the code of the site or by the path; else that of the user who is signed in; else the
 * default. Where none of them decides, the browser is sent to the page of the site on which the user chooses, and the result is `undefined`.
 *
 * @throws {OidcError} ERR_OIDC_PROVIDER_UNKNOWN, ERR_OIDC_PROVIDER_UNAVAILABLE; ERR_OIDC_OPTIONS where nothing decides
 */
export async function chooseProvider(
  context: RequestContext,
  options: Pick<LoginOptions, 'provider' | 'returnTo'>,
): Promise<MiddlewareServices | undefined> {
  const { services } = context
  const { providers } = services
  if (providers === undefined) {
    if (options.provider === undefined) return services
    throw new OidcError('ERR_OIDC_OPTIONS', 'a provider is named, but the site has one only: set the option providers')
  }
  const name = options.provider ?? services.config.providerName ?? providers.defaultName
  if (name === undefined) {
    sendToPage(context, providers.page, options.returnTo)
    return undefined
  }
  return name === services.config.providerName ? services : findProvider(providers, name)
}

/** @throws {OidcError} ERR_OIDC_PROVIDER_UNKNOWN, ERR_OIDC_PROVIDER_UNAVAILABLE, ERR_OIDC_OPTIONS */
export async function findProvider<T>(
  providers: { find(name: string): Promise<T | undefined> },
  name: string,
): Promise<T> {
  const found = await providers.find(name)
  if (found !== undefined) return found
  throw new OidcError('ERR_OIDC_PROVIDER_UNKNOWN', 'there is no provider with this name')
}

function sendToPage(
  { req, res, services: { config } }: RequestContext,
  page: string | undefined,
  asked?: string,
): void {
  if (page === undefined)
    throw new OidcError(
      'ERR_OIDC_OPTIONS',
      'no provider was named for this sign-in: set the option defaultProvider or chooseProvider, or name one',
    )
  if (publicPath(config, page) === pathOf({ url: req.originalUrl ?? req.url }))
    throw new OidcError('ERR_OIDC_OPTIONS', 'the page of chooseProvider must not require a sign-in itself')
  const returnTo = returnToInHead(config, readReturnTo(config, asked) ?? pageAskedFor(req, config))
  redirect(res, `${publicPath(config, page)}?${new URLSearchParams({ returnTo })}`)
}
