import type { Backend } from './backend/backend.js'
import { isExtensionDue, parseExpiry } from './backend/expiry.js'
import { FIELD } from './backend/record-fields.js'
import { Recent } from './bounded-map.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'
import { createSessionRecord, type SessionRecord } from './session-record.js'
import { parseDemand } from './sign-in-demands.js'
import { parseTokens, type Tokens } from './ticket.js'

/** Whether the request that a session is loaded for is a use of it. */
export type Extend = boolean | ((record: SessionRecord) => Promise<boolean>)

/** Reads what belongs to a session id. */
export interface Loader {
  /**
   * `undefined`: nothing there. `extend` (default true) extends the lifetime in the background, now and then; a function says so of what was
   * found: who may not use a session must not keep it alive.
   */
  load(id: string, options?: { readonly extend?: Extend }): Promise<SessionRecord | undefined>
  /** The tokens, which {@link load} leaves where they are. `undefined`: nothing there. */
  readTokens(id: string): Promise<Tokens | undefined>
}

interface LoaderSettings {
  readonly backend: Backend
  readonly redisKeys: RedisKeys
  readonly sealer: Sealer
  /** Seconds. */
  readonly idle: number
  /** Epoch s. */
  readonly now: () => number
  readonly log: (line: string) => void
  /** Whether records can have a demand: the others do not read it. */
  readonly readsDemands: boolean
  /** Whether sessions may be bound to devices: the key of the others is not read. */
  readonly readsDevices: boolean
  /** Ends the session of a key. */
  readonly endRecord: (key: string) => Promise<unknown>
}

const LOAD_FIELDS = [FIELD.ticket, FIELD.session, FIELD.version, FIELD.expiry, FIELD.previous] as const

/** What few sites use comes last. */
function fieldsToLoad({ readsDemands, readsDevices }: Pick<LoaderSettings, 'readsDemands' | 'readsDevices'>) {
  if (readsDevices) return [...LOAD_FIELDS, FIELD.demand, FIELD.device]
  return readsDemands ? [...LOAD_FIELDS, FIELD.demand] : LOAD_FIELDS
}

/** Keys of which it was said that they cannot be read. */
const MOST_REPORTED = 1000

export function createLoader(settings: LoaderSettings): Loader {
  const { backend, redisKeys, sealer, idle, now, log, endRecord, readsDemands } = settings
  const loadFields = fieldsToLoad(settings)
  const reported = new Recent<true>(MOST_REPORTED)

  /** Its user is signed out, and the next sign-in gets another key. */
  function report(key: string): void {
    if (reported.get(key)) return
    reported.keep(key, true)
    log(`${key} in Redis has a value that this package did not write, so it is treated as no session`)
  }

  /** The browser has this session now, and does not need the ones before it. */
  async function endPrevious(key: string, previous: string): Promise<void> {
    try {
      await Promise.all(previous.split(',').map(earlier => endRecord(earlier)))
      await backend.removeField(key, FIELD.previous)
    } catch {
      // The next request tries again, and they end by themselves.
    }
  }

  const extending = new Set<string>()

  async function extend(key: string): Promise<void> {
    if (extending.has(key)) return
    extending.add(key)
    // A failure shows at the next command that a caller waits for.
    try {
      await backend.extend(key, now(), idle)
    } catch {}
    extending.delete(key)
  }

  return {
    async load(id, options) {
      const key = redisKeys.record(id)
      const fields = await backend.read(key, loadFields)
      const [ticket = null, session = null, versionText, expiryText, previous, demandText, device = null] = fields
      const expiry = expiryText ? parseExpiry(expiryText.toString()) : undefined
      const time = now()
      const version = parseVersion(versionText)
      // A value of another type has no fields at all.
      if (fields.length === 0 || (expiryText && expiry === undefined) || version === undefined) report(key)
      if (expiry === undefined || expiry.endsAt <= time || version === undefined) {
        sealer.forget(id)
        return undefined
      }
      const { endsAt } = expiry
      const onDamaged = () => report(key)
      const demand = readsDemands ? parseDemand(demandText) : undefined
      const recordOf = (extendedAt: number) =>
        createSessionRecord(
          { id, ticket, session, version, endsAt, extendedAt, demand, device, onDamaged },
          sealer,
          now,
        )
      const { extend: wanted = true } = options ?? {}
      const isUse = typeof wanted === 'function' ? await wanted(recordOf(expiry.extendedAt)) : wanted
      if (previous && isUse) await endPrevious(key, previous.toString())
      const isExtended = isUse && isExtensionDue(expiry, time, idle)
      if (isExtended) void extend(key)
      return recordOf(isExtended ? time : expiry.extendedAt)
    },
    async readTokens(id) {
      const [tokens, expiry] = await backend.read(redisKeys.record(id), [FIELD.tokens, FIELD.expiry])
      const endsAt = expiry ? parseExpiry(expiry.toString())?.endsAt : undefined
      if (!tokens || endsAt === undefined || endsAt <= now()) return undefined
      return parseTokens(sealer.open('tokens', id, tokens))
    },
  }
}

/** A number that counts on by one exactly. */
function parseVersion(text: Buffer | null | undefined): number | undefined {
  const version = text ? text.toString() : '0'
  return /^\d{1,15}$/.test(version) ? Number(version) : undefined
}
