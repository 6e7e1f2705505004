import { OidcError, type ProviderError } from '../errors.js'
import { spellProviderError } from '../protocol/provider-error.js'
import type { Site } from './site.js'
import type { ActiveTransaction } from './transaction-state.js'

/** Answers to `prompt=none`, which a site asks for in order to get them. OpenID Connect Core 1.0 section 3.1.2.6. */
const expected = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required']

/** The error of an answer that is none of a sign-in. What the provider said goes to the log here: the site's own error handler may not write it. */
export function refusedSignIn(
  site: Site,
  providerError: ProviderError,
  attempt: Pick<ActiveTransaction, 'scope'>,
): OidcError {
  const { error } = providerError
  if (!expected.includes(error)) site.log(`the provider refused a sign-in: ${spellProviderError(providerError)}`)
  const options = { cause: { error }, providerError }
  if (error === 'access_denied') {
    return new OidcError('ERR_OIDC_ACCESS_DENIED', 'the provider answered that access was denied', options)
  }
  const more = error === 'invalid_scope' ? scopeBeyond(site.scope, attempt.scope) : []
  if (more.length > 0) {
    const message = `the provider refused the scope: "${more.join(' ')}" was asked for besides that of the options`
    return new OidcError('ERR_OIDC_SCOPE_REQUIRED', message, options)
  }
  return new OidcError('ERR_OIDC_AUTHORIZATION_FAILED', 'the provider answered with an error', options)
}

/** What a page asked for, such as `requiresScope` with `ask`. Without such words the options themselves ask for too much. */
function scopeBeyond(configured: string, asked = ''): readonly string[] {
  const known = new Set(configured.split(' '))
  return asked.split(' ').filter(word => word !== '' && !known.has(word))
}
