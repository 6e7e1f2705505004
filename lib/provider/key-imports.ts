import type { CryptoKey, JWK } from 'jose'
import { importJWK } from 'jose/key/import'

/** Imports of public keys, done when a key is first needed and once as long as the provider publishes it unchanged. */
export interface KeyImports {
  /** The same list, with the object that is known already wherever a key has not changed. */
  keepKnown(keys: readonly JWK[]): readonly JWK[]
  /** Leaves out what cannot be imported: one bad key must not take the others with it. */
  importAll(keys: readonly JWK[], alg: string): Promise<readonly CryptoKey[]>
}

export function createKeyImports(): KeyImports {
  let known = new Map<string, JWK>()
  const imports = new WeakMap<JWK, Map<string, Promise<CryptoKey | undefined>>>()

  function keepKnown(keys: readonly JWK[]): readonly JWK[] {
    const entries = keys.map(key => [JSON.stringify(key), key] as const)
    known = new Map(entries.map(([text, key]) => [text, known.get(text) ?? key]))
    return [...known.values()]
  }

  function importOnce(key: JWK, alg: string): Promise<CryptoKey | undefined> {
    const byAlgorithm = imports.get(key) ?? new Map<string, Promise<CryptoKey | undefined>>()
    imports.set(key, byAlgorithm)
    const imported = byAlgorithm.get(alg) ?? importPublicKey(key, alg)
    byAlgorithm.set(alg, imported)
    return imported
  }

  return {
    keepKnown,
    async importAll(keys, alg) {
      const imported = await Promise.all(keys.map(key => importOnce(key, alg)))
      return imported.filter(key => key !== undefined)
    },
  }
}

async function importPublicKey(jwk: JWK, alg: string): Promise<CryptoKey | undefined> {
  try {
    const key = await importJWK(jwk, alg)
    return key instanceof Uint8Array ? undefined : key
  } catch {
    return undefined
  }
}
