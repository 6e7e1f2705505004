import type { Backend } from './backend/backend.js'
import type { RedisKeys } from './keys.js'

interface LimiterSettings {
  readonly backend: Backend
  readonly redisKeys: RedisKeys
  /** Seconds. */
  readonly idle: number
  /** Epoch s. */
  readonly now: () => number
}

/** Ends a session at a time, in seconds since the epoch, but never past its absolute end. */
export function createLimiter({ backend, redisKeys, idle, now }: LimiterSettings) {
  return async (id: string, endsAt: number): Promise<void> => {
    await backend.limit(redisKeys.record(id), Math.max(0, Math.ceil(endsAt)), now(), idle)
  }
}
