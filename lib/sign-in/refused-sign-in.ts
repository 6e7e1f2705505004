import { OidcError, type ProviderError } from '../errors.js'
import type { ActiveTransaction } from '../http/transaction-state.js'
import type { SiteConfig } from '../options/config.js'
import { scopeWords } from '../protocol/granted-scope.js'
import { formatProviderError, isSilentRefusal } from '../protocol/provider-error.js'

/** Error codes of a provider that does not let this client use the response type. RFC 6749 section 4.1.2.1. */
const refusedTypes = ['unauthorized_client', 'unsupported_response_type']

/** The error of a response that is not a sign-in. The provider's error is logged here, because the error handler of the site may not log it. */
export function refusedSignIn(
  config: SiteConfig,
  providerError: ProviderError,
  transaction: Pick<ActiveTransaction, 'scope'>,
): OidcError {
  if (!isSilentRefusal(providerError))
    config.log(`the provider refused a sign-in: ${formatProviderError(providerError)}`, { error: providerError.error })
  return describeRefusal(config, providerError, transaction)
}

/** The same where the log has it already. */
export function describeRefusal(
  config: Pick<SiteConfig, 'scope' | 'responseType'>,
  providerError: ProviderError,
  transaction: Pick<ActiveTransaction, 'scope'>,
): OidcError {
  const { error } = providerError
  const options = { cause: { error }, providerError }
  if (error === 'access_denied') {
    return new OidcError('ERR_OIDC_ACCESS_DENIED', 'the provider responded that access was denied', options)
  }
  const more = error === 'invalid_scope' ? scopeBeyond(config.scope, transaction.scope) : []
  if (more.length > 0) {
    const message = `the provider refused the scope: "${more.join(' ')}" was requested in addition to that of the options`
    return new OidcError('ERR_OIDC_SCOPE_REQUIRED', message, options)
  }
  const message = refusedTypes.includes(error) ? refusedType(config.responseType) : describe(error)
  return new OidcError('ERR_OIDC_AUTHORIZATION_FAILED', message, options)
}

function describe(error: string): string {
  return error === 'invalid_authorization_details'
    ? 'the provider refused authorization_details: it does not know a type, or its members are not as the provider documents them'
    : 'the provider responded with an error'
}

/** What a page asked for, such as `requiresScope` with `ask`. Without such words the options themselves ask for too much. */
function scopeBeyond(configured: string, asked = ''): readonly string[] {
  const known = new Set(scopeWords(configured))
  return scopeWords(asked).filter(word => !known.has(word))
}

function refusedType(responseType: string): string {
  const allow = 'allow it for this client at the provider'
  if (responseType === 'code') return `the provider does not let this client use responseType 'code': ${allow}`
  return `the provider does not let this client use responseType '${responseType}': ${allow} (often called implicit or hybrid flow), or set responseType: 'code'`
}
