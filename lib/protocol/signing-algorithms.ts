import type { ProviderMetadata, SigningAlgorithm } from './wire.js'

/** Signatures that only a published key of the provider can verify. */
export const ASYMMETRIC = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const satisfies readonly SigningAlgorithm[]

/**
 * Signatures that a quantum computer does not forge (FIPS 204). Used only where an option names one: they need Node 24.7, and keys that few
 * providers have.
 */
export const ML_DSA = ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const satisfies readonly SigningAlgorithm[]

export function isMlDsa(algorithm: string): boolean {
  return ML_DSA.some(name => name === algorithm)
}

/**
 * What an ID Token may be signed with: what the site has named, and otherwise every asymmetric algorithm that the provider lists. Without a list
 * it is RS256, which every provider has to offer. A shared secret counts only where the site names it. OpenID Connect Core 1.0 section
 * 3.1.3.7 item 7, Discovery 1.0 section 3.
 */
export function idTokenAlgorithms(
  {
    id_token_signing_alg_values_supported: listed = [],
  }: Pick<ProviderMetadata, 'id_token_signing_alg_values_supported'>,
  named?: SigningAlgorithm,
): readonly SigningAlgorithm[] {
  if (named !== undefined) return [named]
  const found = ASYMMETRIC.filter(name => listed.includes(name))
  return found.length === 0 ? ['RS256'] : found
}
