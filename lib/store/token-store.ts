import type { Backend } from './backend/backend.js'
import { parseExpiry } from './backend/expiry.js'
import { type CommitOutcome, fingerprint, type LeaseOutcome, parseLease } from './backend/lease.js'
import { FIELD, type Fields } from './backend/record-fields.js'
import { addFailure, formatFailures, parseFailures, type RefreshFailure, withoutFailure } from './refresh-failure.js'
import type { Sealer, SealPurpose } from './seal.js'
import { type KeptTokens, parseTicket, parseTokens, type Ticket } from './ticket.js'

/** What a token store held at one moment. */
export interface StoredTokens {
  readonly tokens: KeptTokens | undefined
  readonly ticket: Ticket | undefined
  /** The note of a failure that is about all of them. */
  readonly failure: RefreshFailure | undefined
  /** All notes of failures, also those about one token. */
  readonly failures?: readonly RefreshFailure[]
  /** Until when somebody claims the right to renew, in ms since the epoch on the clock of the store; 0 for nobody. */
  readonly leasedUntil: number
  /** What tells this moment from another. */
  readonly version: { readonly tokens: string; readonly ticket: string; readonly failure: string }
}

/** What is written; what is left out stays. With tokens, the failure that is about all of them is forgotten unless a new one is written. */
export interface TokenChange {
  readonly tokens?: KeptTokens
  readonly ticket?: Ticket
  readonly failure?: RefreshFailure
  /** The token that was renewed: the note of an earlier failure of it is forgotten. */
  readonly refreshed?: string
}

/**
 * Tokens that are renewed by many processes and must not be renewed twice. Every method is one command on one key, but where the session
 * at the provider gets another name.
 */
export interface TokenStore {
  /** `undefined`: the session has ended. */
  open(): Promise<StoredTokens | undefined>
  /** Asks for the sole right to renew, for `life` ms, given that nothing has changed since `view`. */
  acquire(owner: string, view: StoredTokens, duration: number): Promise<LeaseOutcome>
  /** Writes, given that nothing that is written has changed since `view`, and gives the claim back. */
  commit(owner: string, view: StoredTokens, change: TokenChange): Promise<CommitOutcome>
  /** Ends the session, given that its tokens are still those of `view`. Whether it did. */
  endIf(view: StoredTokens): Promise<boolean>
}

export interface TokenStoreSettings {
  readonly backend: Backend
  readonly sealer: Sealer
  readonly key: string
  /** What the values are sealed with besides the secret. */
  readonly context: string
  readonly purpose: Extract<SealPurpose, 'tokens' | 'client'>
  /** Epoch s. */
  readonly now: () => number
  /** Forgets what leads to a record that is gone. */
  readonly forget: (summary: Buffer | undefined) => Promise<void>
  /** Writes, and makes the session be found by another name of the session at the provider. */
  readonly rename: (sid: string, write: (fields: Fields) => Promise<CommitOutcome>) => Promise<CommitOutcome>
}

const OPEN_FIELDS = [FIELD.tokens, FIELD.ticket, FIELD.failure, FIELD.lease, FIELD.expiry] as const

/** How long tokens of unknown life are kept, in ms. */
const UNKNOWN_LIFETIME = 10 * 60 * 1000

export function createTokenStore(settings: TokenStoreSettings): TokenStore {
  const { backend, sealer, key, context, purpose, now, forget, rename } = settings
  const isSession = purpose === 'tokens'

  function ttlOf({ tokens }: TokenChange): { ttl?: number } {
    if (isSession || tokens === undefined) return {}
    const duration = tokens.expiresAt === undefined ? UNKNOWN_LIFETIME : (tokens.expiresAt - now()) * 1000
    return { ttl: Math.max(1000, duration) }
  }

  const sealed = (change: TokenChange): Fields => ({
    ...(change.tokens && { [FIELD.tokens]: sealer.seal(purpose, context, JSON.stringify(change.tokens)) }),
    ...(change.ticket && { [FIELD.ticket]: sealer.seal('ticket', context, JSON.stringify(change.ticket)) }),
  })

  /** The note that is written; `undefined` for none. */
  function failuresAfter(
    { failures = [] }: StoredTokens,
    { tokens, failure, refreshed: renewed }: TokenChange,
  ): string | undefined {
    const current = tokens === undefined ? failures : withoutFailure(failures, undefined)
    const others = renewed === undefined ? current : withoutFailure(current, renewed)
    const notes = failure === undefined ? others : addFailure(others, failure)
    return notes.length === 0 || notes === failures ? undefined : formatFailures(notes)
  }

  return {
    async open() {
      const [tokens = null, ticket = null, failure, hold, life] = await backend.read(key, OPEN_FIELDS)
      const endsAt = life ? (parseExpiry(life.toString())?.endsAt ?? 0) : 0
      if (isSession && (!ticket || endsAt <= now())) return undefined
      const failures = parseFailures(String(failure ?? ''))
      return {
        tokens: tokens ? parseTokens(sealer.open(purpose, context, tokens)) : undefined,
        ticket: ticket ? parseTicket(sealer.open('ticket', context, ticket)) : undefined,
        failure: failures.find(({ token }) => token === undefined),
        failures,
        leasedUntil: parseLease(String(hold ?? '')).endsAt,
        version: { tokens: fingerprint(tokens), ticket: fingerprint(ticket), failure: String(failure ?? '') },
      }
    },
    acquire: (owner, { version: seen }, duration) =>
      backend.acquire(key, {
        owner,
        duration,
        tokensVersion: seen.tokens,
        failureVersion: seen.failure,
        needsTicket: isSession,
      }),
    commit(owner, view, change) {
      const { version: seen, ticket } = view
      const notes = failuresAfter(view, change)
      const write = (more: Fields) =>
        backend.commit(key, {
          owner,
          needsTicket: isSession,
          ...(change.tokens && { tokensVersion: seen.tokens }),
          ...(change.ticket && { ticketVersion: seen.ticket }),
          clearsFailure: change.tokens !== undefined && notes === undefined,
          ...ttlOf(change),
          fields: { ...sealed(change), ...(notes !== undefined && { [FIELD.failure]: notes }), ...more },
        })
      const sid = change.ticket?.sid
      return sid === undefined || sid === ticket?.sid ? write({}) : rename(sid, write)
    },
    async endIf({ version: seen }) {
      const { existed, summary } = await backend.removeIf(key, seen.tokens)
      if (existed) await forget(summary)
      return existed
    },
  }
}
