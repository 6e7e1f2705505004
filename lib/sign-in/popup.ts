import { OidcError } from '../errors.js'
import type { RequestContext } from '../http/request-context.js'
import { type Config, publicPath } from '../options/config.js'
import type { LoginOptions } from './login-options.js'

/** A window of another policy than the page before it loses its opener, and a redirect is such a page. HTML section 7.1.3. */
export function keepOpener({ res }: RequestContext): void {
  res.removeHeader('Cross-Origin-Opener-Policy')
}

/** The same for a step on the way: only where the way ends there. */
export function keepOpenerOf(context: RequestContext, returnTo: string): void {
  if (isPopup(context.services.config, returnTo)) keepOpener(context)
}

/** Whether a sign-in ends in a window that closes. Nothing of a user is shown there. */
export function isPopup(config: Config, returnTo: string): boolean {
  const { popup } = config.routes
  return popup !== false && publicPath(config, popup) === returnTo
}

/**
 * The options of a sign-in, with the place that `popup` means.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function withPopup({ config }: RequestContext['services'], options: LoginOptions): LoginOptions {
  const { popup = false, ...others } = options
  if (!popup) return options
  if (options.returnTo !== undefined)
    throw new OidcError('ERR_OIDC_OPTIONS', 'req.oidc.login: popup and returnTo cannot both be given')
  if (config.routes.popup === false)
    throw new OidcError('ERR_OIDC_OPTIONS', 'req.oidc.login: popup needs the option routes.popup')
  return { ...others, returnTo: publicPath(config, config.routes.popup) }
}
