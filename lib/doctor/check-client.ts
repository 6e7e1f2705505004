import { randomBytes } from 'node:crypto'
import { OidcError } from '../errors.js'
import { redirectUri } from '../options/config.js'
import type { ProofKey } from '../protocol/dpop.js'
import { returnsCode } from '../protocol/response-type.js'
import { describeCause, type KnownProvider } from './check-provider.js'
import { type Finding, failure, good, warning } from './finding.js'
import type { HostSetup, Setup } from './setup.js'

const SECRET_REMEDY =
  'Compare clientId, clientSecret (or the key) and the authentication method with the registration at the provider. The option clientAuthentication sets another method.'

/**
 * Redeems a code that does not exist. A provider that knows this client says `invalid_grant`: RFC 6749 section 5.2. Every other response
 * says what a real sign-in would run into.
 */
export async function checkClient(setup: HostSetup, { provider }: KnownProvider): Promise<readonly Finding[]> {
  const { config } = setup
  if (!returnsCode(config.responseType)) return []
  try {
    await provider.redeemCode({
      code: `doctor-${randomBytes(16).toString('hex')}`,
      redirectUri: redirectUri(config),
      ...(config.pkce && { codeVerifier: randomBytes(32).toString('base64url') }),
      proofKey: await createProofKey(setup),
    })
    const sentence = 'The token endpoint accepted a code that does not exist.'
    return [failure('client.open', sentence, { remedy: 'Do not use this provider: it issues tokens to every client.' })]
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    return [describeRefusal(error)]
  } finally {
    // What the middleware logs about a refusal is what the finding says.
    setup.takeLines()
  }
}

function describeRefusal(error: OidcError): Finding {
  const said = error.providerError?.error
  const cause = describeCause(error)
  if (error.code === 'ERR_OIDC_CODE_REJECTED')
    return good('client', 'The provider accepts this client and how it authenticates at the token endpoint.')
  if (said === 'unauthorized_client' || said === 'unsupported_grant_type') {
    const remedy = 'Allow the grant type authorization_code (or the hybrid flow) for this client at the provider.'
    return failure('client.grant', 'The provider does not let this client redeem codes.', { cause, remedy })
  }
  if (error.code === 'ERR_OIDC_CLIENT_REJECTED') {
    return failure('client.rejected', 'The provider does not accept the credentials of this client.', {
      cause,
      remedy: SECRET_REMEDY,
    })
  }
  return warning(
    'client.unclear',
    `The token endpoint did not respond with invalid_grant to a code that does not exist: ${error.message}.`,
    {
      cause,
      remedy: 'If sign-ins fail with the same error, the cause is the registration of this client.',
    },
  )
}

/** Where tokens are bound to keys, the request needs a proof. RFC 9449 section 5. */
export async function createProofKey({ config: { proofAlgorithm } }: Setup): Promise<ProofKey | undefined> {
  if (proofAlgorithm === undefined) return undefined
  const { deriveProofKey } = await import('../protocol/dpop.js')
  return deriveProofKey(proofAlgorithm, randomBytes(64))
}
