import type { Backend } from './backend/backend.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/** Which session took the place of another in the same browser. Only a request that holds the earlier id can ask. */
export interface Successors {
  /** @param successor - left out where another user signed in, whose session is none of the earlier one's business */
  set(id: string, successor: string | undefined): Promise<void>
  /** The session of the same user that goes on in place of `id`. */
  of(id: string): Promise<string | undefined>
  /** Whether another session took the place of `id`, of the same user or of another. */
  has(id: string): Promise<boolean>
}

/** Seconds after which no request is under way any more that began with the earlier session. */
const remembered = 15 * 60

export function createSuccessors(backend: Backend, redisKeys: RedisKeys, sealer: Sealer): Successors {
  return {
    set(id, successor) {
      const sealed = successor && sealer.seal('successor', id, successor).toString('base64url')
      return backend.setText(redisKeys.successor(id), sealed ?? '', remembered)
    },
    async of(id) {
      const text = await backend.getText(redisKeys.successor(id))
      return text ? sealer.open('successor', id, Buffer.from(text, 'base64url'))?.toString() : undefined
    },
    has: async id => (await backend.getText(redisKeys.successor(id))) !== undefined,
  }
}
