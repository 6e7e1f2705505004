import { OidcError } from '../errors.js'
import { isNavigation } from '../http/fetch-metadata.js'
import { readFormFields } from '../http/form-body.js'
import { queryOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { readReturnTo, returnToOf } from '../http/return-to.js'
import type { Config } from '../options/config.js'
import { issuerNamed } from '../options/tenants.js'
import { parseInitiatedLogin } from '../protocol/initiated-login.js'
import { startLogin } from './login.js'
import { checkCookiesAreKept } from './redirect-loops.js'

/**
 * `GET` or `POST` of `initiate_login_uri`: the provider, or a portal, sends the browser here to sign in. OpenID Connect Core 1.0 section 4.
 * Whatever site sends it, only the provider of this site is asked, and the user lands on a page of this site. A frame is refused, as at the
 * login route.
 *
 * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED for what is no page navigation; ERR_OIDC_REQUEST_MALFORMED, ERR_OIDC_RESPONSE_ISSUER and the
 *   other codes of a posted form
 */
export async function initiateLogin(context: RequestContext): Promise<void> {
  const { req, services } = context
  if (!isNavigation(req))
    throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'only a page navigation can start a sign-in, and not in a frame')
  const fields = req.method === 'POST' ? await readFormFields(req) : queryOf(req)
  const { loginHint, targetLinkUri } = parseInitiatedLogin(fields, iss => issuerNamed(services.config, iss))
  const returnTo = targetOf(services.config, targetLinkUri)
  if (req.method === 'POST' || checkCookiesAreKept(context, returnTo))
    await startLogin(context, { returnTo, ...(loginHint !== undefined && { loginHint }) })
}

/** Section 4: the client must not send the user anywhere else. A page that is not one of this site is refused rather than replaced. */
function targetOf(config: Config, targetLinkUri: string | undefined): string {
  if (targetLinkUri === undefined) return returnToOf(config, undefined)
  const path = readReturnTo(config, targetLinkUri)
  if (path !== undefined) return path
  throw new OidcError(
    'ERR_OIDC_REQUEST_MALFORMED',
    'a sign-in that was started elsewhere: target_link_uri is not a page of this site',
  )
}
