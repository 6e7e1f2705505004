import { OidcError } from '../errors.js'
import type { Backend } from './backend/backend.js'
import { formatExpiry, ttlOf } from './backend/expiry.js'
import { isLater, type SignInTime } from './backend/logout-time.js'
import { FIELD, type Fields } from './backend/record-fields.js'
import { unavailable } from './backend/unavailable.js'
import type { EndRecord } from './end-record.js'
import type { ExpiredSessions } from './expired-sessions.js'
import type { RedisKeys } from './keys.js'
import type { Sealer } from './seal.js'
import { mergeSession, pickSession, type SessionChanges } from './session-changes.js'
import { createSessionId } from './session-id.js'
import type { SessionIndex } from './session-index.js'
import type { SessionRecord } from './session-record.js'
import type { SaveSession } from './session-save.js'
import type { Successors } from './successors.js'
import { type EndedSummary, isSamePerson, type KeptTokens, type SessionSummary, type Ticket } from './ticket.js'

export interface SignInInput {
  readonly ticket: Ticket
  readonly tokens: KeptTokens
  /** Ids of sessions that this one takes the place of, newest first. All of them end. */
  readonly previous: readonly string[]
  /**
   * Top-level keys of the site's session data that are carried over from the first of `previous` that lives, if no user was signed in there.
   * The same user goes on with all of it, and another user starts clean.
   */
  readonly keep: readonly string[]
  /** Told of every session among `previous` that ended. */
  readonly onEnded?: (summary: EndedSummary) => void
  /** Told of the handle of every session among `previous` that is the same user's, and ends without {@link onEnded}. */
  readonly onOverlap?: (handle: string) => void
  /** Runs while the session is written, and is finished before the last look at it; the sign-in fails with it. */
  readonly onWrite?: (id: string) => Promise<void>
  /** Runs when the session is written, together with the last look at it; the sign-in fails with it. */
  readonly onCreated?: (id: string) => Promise<void>
  /**
   * Whether sessions of the same user among `previous` live on for a while: until the browser shows the new one, and some minutes at
   * most. Default: they end at once.
   */
  readonly overlaps?: boolean
  /** Top-level keys of the site's session data with their values as JSON, on top of what is carried over. */
  readonly data?: SessionChanges
  /** The id to use, where the site's own session has one. Whatever is there ends. */
  readonly id?: string
  /** When it happened. Left out: it is not later than any logout that is remembered. */
  readonly time?: SignInTime
  /** What a list of sessions says about this one besides the identity. Readable with the secret. */
  readonly metadata?: SessionSummary['metadata']
}

interface SignInSettings {
  readonly backend: Backend
  readonly sealer: Sealer
  readonly redisKeys: RedisKeys
  readonly index: SessionIndex
  /** Seconds. */
  readonly idle: number
  /** Seconds. */
  readonly absolute: number
  /** Epoch s. */
  readonly now: () => number
  readonly load: (id: string, options: { readonly extend: false }) => Promise<SessionRecord | undefined>
  readonly endRecord: EndRecord
  readonly successors: Successors
  readonly save: SaveSession
  readonly expired: Pick<ExpiredSessions, 'remember' | 'forget'>
}

/** Seconds an earlier session lives on beside the one that takes its place, where the browser does not show the new one before. */
const longestOverlap = 5 * 60

/** Session data of an earlier session that was carried over. */
interface Carried {
  readonly id: string
  readonly version: number
  readonly text: string
  /** All of it, because it is the same user's. */
  readonly isWhole: boolean
}

/**
 * The index and the record are written first; then a look for logouts that came in between; then the end of what was there before. A logout
 * leaves its mark and reads the index after that, so one of the two sees the other; the browser gets the session id after the look. Where any of
 * it fails nothing is left behind, as far as Redis lets us, and the browser keeps what it had.
 *
 * The function throws {@link OidcError} ERR_OIDC_SIGN_IN_ENDED when such a logout won.
 */
export function createSignIn(settings: SignInSettings): (input: SignInInput) => Promise<string> {
  const { backend, sealer, redisKeys, index, idle, absolute, now, load, endRecord, successors, expired } = settings

  /** Whether it is this sign-in that made the record. */
  async function create(
    { id, key }: { readonly id: string; readonly key: string },
    input: SignInInput,
    summary: SessionSummary,
    { text, overlapping }: { text: string; overlapping: readonly string[] },
  ): Promise<boolean> {
    const extendedAt = now()
    const endsAt = Math.min(Math.floor(input.ticket.expiresAt), extendedAt + absolute)
    const fields: Fields = {
      [FIELD.ticket]: sealer.seal('ticket', id, JSON.stringify(input.ticket)),
      [FIELD.tokens]: sealer.seal('tokens', id, JSON.stringify(input.tokens)),
      [FIELD.summary]: index.sealSummary(key, summary),
      [FIELD.expiry]: formatExpiry({ extendedAt, endsAt }),
      [FIELD.version]: '0',
      ...(text !== '{}' && { [FIELD.session]: sealer.seal('session', id, text) }),
      ...(overlapping.length > 0 && { [FIELD.previous]: overlapping.map(redisKeys.record).join() }),
    }
    return backend.create(key, fields, Math.max(1, ttlOf(endsAt, extendedAt, idle)))
  }

  /** A logout found the index entry and took it away, or it left a mark that this sign-in is not later than: it wins. */
  async function checkNotEnded(key: string, summary: SessionSummary): Promise<void> {
    const [isIndexed, logouts] = await Promise.all([index.has(key, summary), index.logoutsOf(summary)])
    if (isIndexed && logouts.every(logout => isLater(summary, logout))) return
    await endRecord(key)
    throw new OidcError('ERR_OIDC_SIGN_IN_ENDED', 'a logout ended the sign-in while it was under way')
  }

  /** Ends what was there before, or lets it go on beside the new session for a while. */
  async function replace(previous: readonly string[], overlapping: readonly string[], id: string, carried?: Carried) {
    // Written before anything ends, so that a request that finds its session gone finds out why.
    await Promise.all(previous.map(earlier => successors.set(earlier, overlapping.includes(earlier) ? id : undefined)))
    const others = previous.filter(earlier => !overlapping.includes(earlier))
    const ended = await Promise.all(others.map(earlier => endRecord(redisKeys.record(earlier), { reason: 'replaced' })))
    // One that cannot be reached now ends by itself, and it is the same user's.
    const source = carried?.isWhole ? carried : undefined
    await Promise.all(overlapping.map(earlier => retire(settings, earlier, id, source).catch(() => {})))
    return ended
  }

  return async function signIn(input) {
    const id = input.id ?? createSessionId()
    const key = redisKeys.record(id)
    const summary = summaryOf(input)
    const previous = input.previous.filter(earlier => earlier !== id)
    let isOurs = true
    try {
      if (input.id !== undefined) await endRecord(key)
      const prepared = Promise.all([index.add(key, summary), expired.remember(key, summary), input.onWrite?.(id)])
      prepared.catch(() => {})
      const records = previous.length === 0 ? [] : (await Promise.all([loadAll(previous, load), prepared]))[0]
      const theirs = records.filter(record => isSamePerson(record.ticket(), input.ticket))
      const overlapping = input.overlaps ? theirs.map(record => record.id) : []
      const carried = carryOver(input, records)
      const text = mergeSession(carried?.text ?? '{}', input.data ?? new Map())
      // Without an earlier session this is one round trip with the writes before it.
      isOurs = await create({ id, key }, input, summary, { text, overlapping })
      await prepared
      if (!isOurs) throw unavailable('create', 'another sign-in took this id')
      await Promise.all([checkNotEnded(key, summary), input.onCreated?.(id)])
      const ended = await replace(previous, overlapping, id, carried)
      for (const { existed, summary: earlier } of ended) if (existed && earlier !== undefined) input.onEnded?.(earlier)
      for (const earlier of overlapping) input.onOverlap?.(redisKeys.handle(redisKeys.record(earlier)))
    } catch (error) {
      if (isOurs) void Promise.allSettled([backend.remove(key), index.remove(key, summary), expired.forget(key)])
      throw error
    }
    return id
  }
}

/** From now on what slow requests change in the earlier session is stored in the new one, and so is what they changed meanwhile. */
async function retire(
  { backend, sealer, redisKeys, now, save, expired }: SignInSettings,
  earlier: string,
  id: string,
  carried: Carried | undefined,
): Promise<void> {
  const retired = await backend.retire(redisKeys.record(earlier), now(), longestOverlap)
  await expired.forget(redisKeys.record(earlier))
  if (retired === undefined || carried?.id !== earlier || retired.version === carried.version) return
  const text = retired.session && sealer.open('session', earlier, retired.session)?.toString()
  if (text === undefined) return
  const tracked = { id, generated: false, exists: true, base: carried.text, stored: undefined }
  await save(tracked, JSON.parse(text))
}

function summaryOf({ ticket, time, metadata }: SignInInput): SessionSummary {
  const { issuer, provider, tenant, baseUrl, subject, sid, signedInAt, expiresAt } = ticket
  return {
    issuer,
    ...(provider !== undefined && { provider }),
    ...(tenant !== undefined && { tenant }),
    ...(baseUrl !== undefined && { baseUrl }),
    subject,
    signedInAt,
    expiresAt,
    ...time,
    ...(sid !== undefined && { sid }),
    ...(metadata && { metadata }),
  }
}

/** What of the site's data is carried over: the newest of the earlier sessions decides. */
function carryOver({ keep, ticket }: SignInInput, records: readonly SessionRecord[]): Carried | undefined {
  for (const record of records) {
    const owner = record.ticket()
    // What another user left is of no other user, and neither is what lies behind it.
    if (owner !== undefined && !isSamePerson(owner, ticket)) return undefined
    const { id, version } = record
    const text = record.sessionText()
    if (owner !== undefined) return { id, version, text: text ?? '{}', isWhole: true }
    if (text !== undefined) return { id, version, text: pickSession(text, keep), isWhole: false }
  }
  return undefined
}

async function loadAll(ids: readonly string[], load: SignInSettings['load']): Promise<readonly SessionRecord[]> {
  const found = await Promise.all(ids.map(id => load(id, { extend: false })))
  return found.filter(record => record !== undefined)
}
