import type { Backend } from './backend.js'
import { mapInBatches } from './batches.js'
import { type Names, RECORD_NAME_LENGTH } from './names.js'
import { FIELD } from './record-fields.js'
import type { Sealer } from './seal.js'

/** Marks the handle of a record, in place of a session id that nobody but its browser knows. No session id begins like this. */
const HANDLE = '#'

/** The Redis commands connect-redis uses, answered from sealed records. Its "keys" are session ids, or handles of records. */
export interface StoreClient {
  get(id: string): Promise<string | null>
  del(ids: readonly string[]): Promise<number>
  scan(): Promise<[cursor: string, handles: string[]]>
  handleOf(key: string): string
  /** `undefined` for what is no handle, a session id included. */
  keyOfHandle(handle: string): string | undefined
}

/** @param endRecord ends the record of a key */
export function createStoreClient(
  backend: Backend,
  names: Names,
  sealer: Sealer,
  endRecord: (key: string) => Promise<boolean>,
): StoreClient {
  const keyOf = (id: string) =>
    id.startsWith(HANDLE) ? names.recordPrefix + id.slice(HANDLE.length) : names.record(id)
  const handleOf = (key: string) => HANDLE + key.slice(names.recordPrefix.length)
  return {
    handleOf,
    keyOfHandle: handle => (/^#[\w-]{43}$/.test(handle) ? keyOf(handle) : undefined),
    async get(id) {
      const [session, life] = await backend.read(names.record(id), [FIELD.session, FIELD.life])
      if (!life) return null
      return (session ? sealer.open('session', id, session)?.toString() : undefined) ?? '{}'
    },
    async del(ids) {
      const ended = await mapInBatches(ids, id => endRecord(keyOf(id)))
      return ended.filter(Boolean).length
    },
    async scan() {
      const keys = await backend.keys(names.recordPrefix, RECORD_NAME_LENGTH)
      return ['0', keys.map(handleOf)]
    },
  }
}
