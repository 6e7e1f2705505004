import { OidcError } from '../errors.js'
import type { Backend } from './backend.js'
import type { EndedRecord } from './end-all.js'
import { formatLife, ttlOf } from './life.js'
import { isLater, type SignInMoment } from './moments.js'
import type { Names } from './names.js'
import { FIELD, type Fields } from './record-fields.js'
import type { Sealer } from './seal.js'
import { pickSession } from './session-changes.js'
import { createSessionId } from './session-id.js'
import type { SessionIndex } from './session-index.js'
import type { SessionRecord } from './session-record.js'
import { isSamePerson, type SessionSummary, type Ticket, type Tokens } from './ticket.js'
import { unavailable } from './unavailable.js'

export interface SignInInput {
  readonly ticket: Ticket
  readonly tokens: Tokens
  /** Ids of sessions that this one takes the place of, newest first. All of them end. */
  readonly previous: readonly string[]
  /**
   * Top-level keys of the site's session data that are carried over from the first of `previous` that lives, if nobody was signed in there.
   * The same user goes on with all of it, and another user starts clean.
   */
  readonly keep: readonly string[]
  /** Told of every session among `previous` that ended. */
  readonly onEnded?: (summary: SessionSummary) => void
  /** Runs when the session is written, together with the last look at it; the sign-in fails with it. */
  readonly onCreated?: (id: string) => Promise<void>
  /** The id to use, where somebody else made one. Whatever is there ends. */
  readonly id?: string
  /** When it happened. Left out: it is not later than any logout that is remembered. */
  readonly moment?: SignInMoment
  /** What a list of sessions says about this one besides the identity. Readable to whoever knows the secret. */
  readonly note?: SessionSummary['note']
}

interface SignInSettings {
  readonly backend: Backend
  readonly sealer: Sealer
  readonly names: Names
  readonly index: SessionIndex
  /** Seconds. */
  readonly idle: number
  /** Seconds. */
  readonly absolute: number
  /** Epoch s. */
  readonly now: () => number
  readonly load: (id: string, options: { readonly extend: false }) => Promise<SessionRecord | undefined>
  readonly endRecord: (key: string) => Promise<EndedRecord>
}

/**
 * The index comes first, so that no session is ever out of reach of a logout; then the record, which is the sign-in; then a look for
 * logouts that came in between; then the end of what was there before. Where any of it fails nothing is left behind, as far as Redis
 * lets us, and the browser keeps what it had.
 *
 * The function throws {@link OidcError} ERR_OIDC_SIGN_IN_ENDED when such a logout won.
 */
export function createSignIn(settings: SignInSettings): (input: SignInInput) => Promise<string> {
  const { backend, sealer, names, index, idle, absolute, now, load, endRecord } = settings

  async function carryOver(input: SignInInput): Promise<string | undefined> {
    for (const id of input.previous) {
      const record = await load(id, { extend: false })
      const ticket = record?.ticket()
      if (ticket !== undefined && !isSamePerson(ticket, input.ticket)) return undefined
      const text = record?.sessionText()
      if (text === undefined) continue
      const kept = ticket === undefined ? pickSession(text, input.keep) : text
      return kept === '{}' ? undefined : kept
    }
    return undefined
  }

  /** Whether it is this sign-in that made the record. */
  async function create(
    id: string,
    input: SignInInput,
    summary: SessionSummary,
    kept: string | undefined,
  ): Promise<boolean> {
    const key = names.record(id)
    const extendedAt = now()
    const endsAt = Math.min(Math.floor(input.ticket.expiresAt), extendedAt + absolute)
    const fields: Fields = {
      [FIELD.ticket]: sealer.seal('ticket', id, JSON.stringify(input.ticket)),
      [FIELD.tokens]: sealer.seal('tokens', id, JSON.stringify(input.tokens)),
      [FIELD.summary]: index.sealSummary(key, summary),
      [FIELD.life]: formatLife({ extendedAt, endsAt }),
      [FIELD.version]: '0',
      ...(kept !== undefined && { [FIELD.session]: sealer.seal('session', id, kept) }),
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

  return async function signIn(input) {
    const id = input.id ?? createSessionId()
    const key = names.record(id)
    const summary = summaryOf(input)
    const previous = input.previous.filter(earlier => earlier !== id)
    let isOurs = true
    try {
      if (input.id !== undefined) await endRecord(key)
      const [kept] = await Promise.all([carryOver(input), index.add(key, summary)])
      isOurs = await create(id, input, summary, kept)
      if (!isOurs) throw unavailable('create', 'another sign-in took this id')
      await Promise.all([checkNotEnded(key, summary), input.onCreated?.(id)])
      const ended = await Promise.all(previous.map(earlier => endRecord(names.record(earlier))))
      for (const { existed, summary: earlier } of ended) if (existed && earlier !== undefined) input.onEnded?.(earlier)
    } catch (error) {
      if (isOurs) void Promise.allSettled([backend.remove(key), index.remove(key, summary)])
      throw error
    }
    return id
  }
}

function summaryOf({ ticket, moment, note }: SignInInput): SessionSummary {
  const { issuer, subject, sid, signedInAt, expiresAt } = ticket
  return { issuer, subject, signedInAt, expiresAt, ...moment, ...(sid !== undefined && { sid }), ...(note && { note }) }
}
