import { OidcError } from '../errors.js'
import { warnOfUnlistedTypes } from '../protocol/authorization-details.js'
import { selectEncryption } from '../protocol/encryption-algorithms.js'
import { chooseListed, type Warn } from '../protocol/listed.js'
import { checkProviderSupports, findDoubt } from '../protocol/metadata.js'
import type { ProofAlgorithm } from '../protocol/proof-algorithms.js'
import { returnsCode } from '../protocol/response-type.js'
import type { ProviderMetadata, SigningAlgorithm } from '../protocol/wire.js'
import type { ProviderSettings } from './provider-settings.js'

/** What the site needs of the provider is asked once per metadata, not once per sign-in. */
export function createMetadataCheck(
  {
    responseType,
    responseMode,
    proofAlgorithm,
    needsCertificateBinding = false,
    explicit,
    pushedAuthorization,
    requestSigning,
    authorizationDetails,
    log = () => {},
  }: ProviderSettings,
  signingAlgorithm: SigningAlgorithm,
  authentication: (metadata: ProviderMetadata, warn: Warn) => unknown,
): (metadata: ProviderMetadata) => void {
  let said: readonly string[] = []
  return function checkUsable(metadata) {
    const doubts: string[] = []
    const warn: Warn = doubt => doubts.push(doubt)
    const needs = {
      responseType,
      responseMode,
      signingAlgorithm,
      explicit,
      pushedAuthorization,
      signsRequests: requestSigning !== undefined,
    }
    checkProviderSupports(metadata, needs, warn)
    if (returnsCode(responseType)) authentication(metadata, warn)
    if (proofAlgorithm !== undefined) checkProofAlgorithm(metadata, proofAlgorithm, warn)
    if (needsCertificateBinding) checkCertificateBinding(metadata)
    if (requestSigning?.encryption !== undefined) selectEncryption(metadata, requestSigning.encryption, warn)
    warnOfUnlistedTypes(metadata, authorizationDetails, warn)
    const doubt = findDoubt(metadata, { responseMode })
    if (doubt !== undefined) warn(doubt)
    for (const line of doubts.filter(each => !said.includes(each))) log(line)
    said = doubts
  }
}

/** A provider that lists no algorithm may offer it all the same: it shows in the token response. RFC 9449 section 5.1. */
function checkProofAlgorithm(metadata: ProviderMetadata, algorithm: ProofAlgorithm, warn: Warn): void {
  const wish = {
    what: 'algorithm of DPoP proofs',
    candidates: [algorithm],
    isExplicit: false,
    advice: 'set dpop.algorithm',
  }
  chooseListed(wish, metadata.dpop_signing_alg_values_supported, warn)
}

/** RFC 8705 section 3.3: a provider that does not say so binds no token, and nothing in a token response shows it. */
function checkCertificateBinding(metadata: ProviderMetadata): void {
  const { tls_client_certificate_bound_access_tokens: isBinding } = metadata as { [member: string]: unknown }
  if (isBinding === true || isBinding === 'true') return
  throw new OidcError(
    'ERR_OIDC_UNSUPPORTED',
    'the provider does not bind access tokens to certificates (tls_client_certificate_bound_access_tokens): set dpop to bind them to keys',
  )
}
