import { OidcError } from '../errors.js'
import { checkDetailTypesAsked, isWithinDetails } from '../protocol/authorization-details.js'
import type { AuthorizationDetail, TokenResponse } from '../protocol/wire.js'
import type { Tokens } from '../store/ticket.js'

/**
 * What a token of its own was granted, where it was asked for. A provider that says nothing has ignored the request: what the token can do is not
 * known then. RFC 9396 section 7.
 *
 * @throws {OidcError} ERR_OIDC_TOKEN_DENIED, ERR_OIDC_TOKEN_RESPONSE
 */
export function grantedDetails(
  { authorization_details: granted }: TokenResponse,
  asked: readonly AuthorizationDetail[] | undefined,
): readonly AuthorizationDetail[] | undefined {
  if (asked === undefined) return undefined
  if (granted === undefined) throw unsaid()
  checkDetailTypesAsked(granted, asked)
  return granted
}

/**
 * What a refreshed token is good for. Where the response does not say, the main token keeps what it had. More than before is refused: no user
 * was there to grant it. Where none was known, none is from now on. RFC 9396 sections 6 and 7.
 *
 * @param asked - for a token beside the main one: what it was asked for
 * @throws {OidcError} ERR_OIDC_TOKEN_DENIED for a token beside the main one, ERR_OIDC_TOKEN_RESPONSE for the main one
 */
export function refreshedDetails(
  response: TokenResponse,
  { purpose, authorizationDetails: asked }: RefreshedToken,
  { authorizationDetails: known }: Pick<Tokens, 'authorizationDetails'> = {},
): readonly AuthorizationDetail[] | undefined {
  const limit = asked ?? known
  if (limit === undefined) return undefined
  const { authorization_details: granted } = response
  if (granted === undefined && asked !== undefined) throw unsaid()
  if (granted === undefined) return purpose === '' ? known : undefined
  if (isWithinDetails(granted, limit)) return granted
  if (purpose !== '') throw denied('the provider issued a token with more authorization_details than were requested')
  throw new OidcError(
    'ERR_OIDC_TOKEN_RESPONSE',
    'the refreshed token has more authorization_details than the user has granted: start another sign-in to ask for more',
  )
}

interface RefreshedToken {
  /** Empty for the main access token. */
  readonly purpose: string
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

function unsaid(): OidcError {
  return denied('the provider issued a token without saying what authorization_details it has')
}

function denied(message: string): OidcError {
  return new OidcError('ERR_OIDC_TOKEN_DENIED', message)
}
