import type { Backend } from './backend/backend.js'
import { FIELD } from './backend/record-fields.js'
import { mapInBatches } from './batches.js'
import { HANDLE, RECORD_NAME_LENGTH, type RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'

/** The Redis commands connect-redis uses, served from sealed records. Its "keys" are session ids, or handles of records. */
export interface StoreClient {
  get(id: string): Promise<string | null>
  del(ids: readonly string[]): Promise<number>
  scan(): Promise<[cursor: string, handles: string[]]>
  /** `undefined` for what is no handle, a session id included. */
  keyOfHandle(handle: string): string | undefined
}

/** @param endRecord ends the record of a key */
export function createStoreClient(
  backend: Backend,
  redisKeys: RedisKeys,
  sealer: Sealer,
  endRecord: (key: string) => Promise<boolean>,
): StoreClient {
  const keyOf = (id: string) =>
    id.startsWith(HANDLE) ? redisKeys.recordPrefix + id.slice(HANDLE.length) : redisKeys.record(id)
  return {
    keyOfHandle: handle => (/^#[\w-]{43}$/.test(handle) ? keyOf(handle) : undefined),
    async get(id) {
      const [session, expiry] = await backend.read(redisKeys.record(id), [FIELD.session, FIELD.expiry])
      if (!expiry) return null
      return (session ? sealer.open('session', id, session)?.toString() : undefined) ?? '{}'
    },
    async del(ids) {
      const ended = await mapInBatches(ids, id => endRecord(keyOf(id)))
      return ended.filter(Boolean).length
    },
    async scan() {
      const keys = await backend.keys(redisKeys.recordPrefix, RECORD_NAME_LENGTH)
      return ['0', keys.map(redisKeys.handle)]
    },
  }
}
