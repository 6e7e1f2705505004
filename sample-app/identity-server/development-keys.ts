import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK } from 'jose'

// DEVELOPMENT ONLY: keys made anew at every start and kept nowhere. A real provider keeps them in a vault and rotates them.

/** The keys that sign the tokens, one for each algorithm, private part included. */
export async function createSigningKeys(algorithms: readonly string[]): Promise<{ keys: JWK[] }> {
  const create = async (alg: string) => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    return { ...(await exportJWK(privateKey)), use: 'sig', alg }
  }
  return { keys: await Promise.all(algorithms.map(create)) }
}

/** The key that signs the cookies. */
export function createCookieKeys(): string[] {
  return [randomBytes(32).toString('base64url')]
}
