import { OidcError } from '../errors.js'
import { isSigned } from '../protocol/response-mode.js'
import type { ResponseMode } from '../protocol/wire.js'
import type { Provider } from '../provider/provider.js'
import { describeCause } from './check-provider.js'
import { type Finding, failure, good } from './finding.js'

/** Errors by which a provider says that all is well but the user, whom `prompt=none` forbids it to ask. Core 1.0 section 3.1.2.6. */
const EXPECTED = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required']

const REMEDIES: Readonly<Record<string, string>> = {
  invalid_scope: 'Correct the option scope, or allow these scopes for this client at the provider.',
  unsupported_response_type: 'Set responseType to one that the provider offers for this client: docs/which-flow.md.',
  unauthorized_client: 'Allow the response type of this site for this client at the provider (its grant or flow type).',
  unsupported_response_mode: "Set responseType: 'code' and responseMode: 'query'.",
  invalid_target: 'Correct resource in authorizationParams, or register the API at the provider.',
  invalid_request_object:
    'Register the public key of requestObject (or of clientAuthentication) at the provider: routes.jwks publishes it.',
}

/** What the provider says about the authorization request, in the way that the site asks for it. */
export async function readResponse(
  fields: ReadonlyMap<string, string>,
  provider: Pick<Provider, 'openResponse'>,
  { uri, responseMode }: { readonly uri: string; readonly responseMode: ResponseMode },
): Promise<Finding> {
  if (!isSigned(responseMode)) return describeResponse(fields, uri)
  const signed = fields.get('response')
  if (signed === undefined)
    return failure(
      'authorization.unsigned',
      `The provider does not sign its response, but responseMode is "${responseMode}".`,
      {
        cause: `The response has ${[...fields.keys()].join(', ') || 'no fields'}.`,
        remedy: 'Choose signed responses (JARM) for this client at the provider, or set another responseMode.',
      },
    )
  try {
    const opened = await provider.openResponse(signed)
    return describeResponse(new Map(await opened.verify()), uri)
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    return failure('authorization.unverified', `The signed response of the provider is refused: ${error.message}.`, {
      cause: describeCause(error),
      remedy: 'Compare idTokenAlgorithm and decryption with the registration of this client.',
    })
  }
}

function describeResponse(fields: ReadonlyMap<string, string>, uri: string): Finding {
  const error = fields.get('error')
  if (error === undefined || EXPECTED.includes(error))
    return good('redirect-uri', `The provider knows the redirect URI ${uri} and accepts the authorization request.`)
  return describeRefusal(error, fields.get('error_description') ?? '')
}

/** The provider knows where to send the browser, and refuses what is asked. */
function describeRefusal(error: string, description: string): Finding {
  const cause = `The provider said ${[error, description].filter(Boolean).join(': ')}.`
  const remedy = remedyFor(error, description)
  return failure(
    'authorization.refused',
    'The provider knows the redirect URI and refuses the authorization request.',
    { cause, remedy },
  )
}

/** Providers say `invalid_request` for much that has a code of its own; the description then names the parameter. */
function remedyFor(error: string, description: string): string {
  const named = /response_type|response_mode|scope/.exec(description)?.[0]
  return (
    REMEDIES[error] ??
    REMEDIES[named === 'scope' ? 'invalid_scope' : `unsupported_${named}`] ??
    'Change the option that the provider names, or the registration of this client.'
  )
}

/** A request that the provider has refused before a browser came: pushed, or not even sent. RFC 9126 section 2.3. */
export function describeRefusedRequest(error: OidcError, remedy: string): Finding {
  const cause = describeCause(error)
  const { error: said, error_description: description = '' } = error.providerError ?? {}
  if (error.code === 'ERR_OIDC_AUTHORIZATION_FAILED' && said !== undefined && !/redirect_uri/.test(description))
    return failure('authorization.refused', 'The provider refuses the pushed authorization request.', {
      cause,
      remedy: remedyFor(said, description),
    })
  if (error.code === 'ERR_OIDC_AUTHORIZATION_FAILED')
    return failure('redirect-uri.refused', `${error.message}.`, { cause, remedy })
  return failure('authorization.request', `${error.message}.`, { cause })
}
