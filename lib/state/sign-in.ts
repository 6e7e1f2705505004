import { type Backend, FIELD, type Fields } from './backend.js'
import { formatLife, ttlOf } from './life.js'
import type { Names } from './names.js'
import type { Sealer } from './seal.js'
import { pickSession } from './session-changes.js'
import { createSessionId } from './session-id.js'
import type { SessionIndex } from './session-index.js'
import type { SessionRecord } from './session-record.js'
import type { SessionSummary, Ticket, Tokens } from './ticket.js'
import { unavailable } from './unavailable.js'

export interface SignInInput {
  readonly ticket: Ticket
  readonly tokens: Tokens
  /** Ids of sessions that this one takes the place of, newest first. All of them end. */
  readonly previous: readonly string[]
  /** Top-level keys of the site's session data that are carried over from the first of `previous` that lives. */
  readonly keep: readonly string[]
  /** The id to use, where somebody else made one. Whatever is there ends. */
  readonly id?: string
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
  readonly endRecord: (key: string) => Promise<boolean>
}

/**
 * The index comes first, so that no session is ever out of reach of a logout; then the record, which is the sign-in; then the end of
 * what was there before. Where any of it fails nothing is left behind, as far as Redis lets us, and the browser keeps what it had.
 */
export function createSignIn(settings: SignInSettings): (input: SignInInput) => Promise<string> {
  const { backend, sealer, names, index, idle, absolute, now, load, endRecord } = settings

  async function carryOver({ previous, keep }: SignInInput): Promise<string | undefined> {
    if (keep.length === 0) return undefined
    for (const id of previous) {
      const text = (await load(id, { extend: false }))?.sessionText()
      if (text === undefined) continue
      const kept = pickSession(text, keep)
      return kept === '{}' ? undefined : kept
    }
    return undefined
  }

  async function create(id: string, input: SignInInput, summary: SessionSummary): Promise<void> {
    const key = names.record(id)
    const kept = await carryOver(input)
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
    const created = await backend.create(key, fields, Math.max(1, ttlOf(endsAt, extendedAt, idle)))
    if (!created) throw unavailable('create', 'the session exists')
  }

  return async function signIn(input) {
    const id = input.id ?? createSessionId()
    const key = names.record(id)
    const summary = summaryOf(input)
    const previous = input.previous.filter(earlier => earlier !== id)
    try {
      if (input.id !== undefined) await endRecord(key)
      await index.add(key, summary)
      await create(id, input, summary)
      // A logout that came in between found the index entry but no record yet; it took the entry away, and it wins.
      if (!(await index.has(key, summary))) await endRecord(key)
      await Promise.all(previous.map(earlier => endRecord(names.record(earlier))))
    } catch (error) {
      void Promise.allSettled([backend.remove(key), index.remove(key, summary)])
      throw error
    }
    return id
  }
}

function summaryOf({ ticket, note }: SignInInput): SessionSummary {
  const { issuer, subject, sid, signedInAt, expiresAt } = ticket
  return { issuer, subject, signedInAt, expiresAt, ...(sid !== undefined && { sid }), ...(note && { note }) }
}
