import type { TokenTimes } from './token-freshness.js'

/** Tokens in the memory of this process, the oldest of which go when there are too many. */
export interface TokenCache<T extends TokenTimes> {
  get(key: string): T | undefined
  set(key: string, token: T): void
}

export function createTokenCache<T extends TokenTimes>(most: number): TokenCache<T> {
  const tokens = new Map<string, T>()
  return {
    get: key => tokens.get(key),
    set(key, token) {
      tokens.delete(key)
      tokens.set(key, token)
      for (const oldest of tokens.keys()) {
        if (tokens.size <= most) return
        tokens.delete(oldest)
      }
    },
  }
}
