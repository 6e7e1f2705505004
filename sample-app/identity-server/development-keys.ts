import { randomBytes } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK } from 'jose'

// DEVELOPMENT ONLY: keys made anew at every start and kept nowhere. A real provider keeps them in a vault and rotates them.

/** The key that signs the tokens, private part included. */
export async function createSigningKeys(): Promise<{ keys: JWK[] }> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'RS256' }] }
}

/** The key that signs the cookies. */
export function createCookieKeys(): string[] {
  return [randomBytes(32).toString('base64url')]
}
