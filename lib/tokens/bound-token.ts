import type { ProofKey } from '../protocol/dpop.js'

/** Kept beside the tokens, so that nothing that shows, copies or sends a token does so with its key. */
const keys = new WeakMap<object, ProofKey>()

const known = new WeakSet<object>()

/** Remembers the key that an access token is bound to. A bearer token has none. */
export function bindToken<T extends { readonly type: string }>(token: T, key: ProofKey | undefined): T {
  known.add(token)
  if (key !== undefined && token.type.toLowerCase() === 'dpop') keys.set(token, key)
  return token
}

/** Whether a token came from {@link bindToken}, and is no copy. */
export function isKnownToken(token: object): boolean {
  return known.has(token)
}

/** The key of an access token; `undefined` for a bearer token. */
export function keyOfToken(token: object): ProofKey | undefined {
  return keys.get(token)
}
