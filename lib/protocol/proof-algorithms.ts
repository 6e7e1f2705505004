/** Algorithms that DPoP proofs can be signed with. `EdDSA` and `Ed25519` are two names of one algorithm: RFC 8037 and RFC 9864. */
export const PROOF_ALGORITHMS = ['ES256', 'EdDSA', 'Ed25519'] as const

export type ProofAlgorithm = (typeof PROOF_ALGORITHMS)[number]
