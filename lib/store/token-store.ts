import type { Backend } from './backend/backend.js'
import { parseExpiry } from './backend/expiry.js'
import { type Commit, type CommitOutcome, fingerprint, type LeaseOutcome, parseLease } from './backend/lease.js'
import { FIELD, type Fields, type RemoveResult } from './backend/record-fields.js'
import { addFailure, formatFailures, parseFailures, type RefreshFailure, withoutFailure } from './refresh-failure.js'
import type { Sealer, SealPurpose } from './seal.js'
import { type KeptTokens, parseTicket, parseTokens, type Ticket } from './ticket.js'

/** What a token store held at one time. */
export interface StoredTokens {
  readonly tokens: KeptTokens | undefined
  readonly ticket: Ticket | undefined
  /** A failure that is about all of them. */
  readonly failure: RefreshFailure | undefined
  /** All failures, also those about one token. */
  readonly failures?: readonly RefreshFailure[]
  /** Until when a lease lasts, in ms since the epoch on the clock of the store; 0 for none. */
  readonly leasedUntil: number
  /** What tells this view from a later one. */
  readonly version: { readonly tokens: string; readonly ticket: string; readonly failure: string }
}

/** What is written; what is left out stays. With tokens, the failure that is about all of them is forgotten unless a new one is written. */
export interface TokenChange {
  readonly tokens?: KeptTokens
  readonly ticket?: Ticket
  readonly failure?: RefreshFailure
  /** The token that was refreshed: an earlier failure of it is forgotten. */
  readonly refreshed?: string
}

/**
 * Tokens that are refreshed by many processes and must not be refreshed twice. Every method is one command on one key, but where the session
 * at the provider gets another name.
 */
export interface TokenStore {
  /** `undefined`: the session has ended. */
  open(): Promise<StoredTokens | undefined>
  /** Asks for the sole right to refresh, for `duration` ms, given that nothing has changed since `view`. */
  acquire(owner: string, view: StoredTokens, duration: number): Promise<LeaseOutcome>
  /** Writes, given that nothing that is written has changed since `view`, and releases the lease. */
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
  /** Removes the record, given the version of its tokens. */
  readonly removeIf: (tokensVersion: string) => Promise<RemoveResult>
  /** Forgets what leads to a record that is gone. */
  readonly forget: (summary: Buffer | undefined) => Promise<void>
  /** Writes, and makes the session be found by another name of the session at the provider. */
  readonly rename: (sid: string, write: (fields: Fields) => Promise<CommitOutcome>) => Promise<CommitOutcome>
}

const OPEN_FIELDS = [FIELD.tokens, FIELD.ticket, FIELD.failure, FIELD.lease, FIELD.expiry] as const

/** How long tokens of unknown lifetime are kept, in ms. */
const UNKNOWN_LIFETIME = 10 * 60 * 1000

export function createTokenStore(settings: TokenStoreSettings): TokenStore {
  const { backend, sealer, key, context, purpose, now, forget, rename, removeIf } = settings
  const isSession = purpose === 'tokens'

  function ttlOf({ tokens }: TokenChange): { ttl?: number } {
    if (isSession || tokens === undefined) return {}
    const duration = tokens.expiresAt === undefined ? UNKNOWN_LIFETIME : (tokens.expiresAt - now()) * 1000
    return { ttl: Math.max(1000, duration) }
  }

  /** A ticket that ends earlier than the one before takes the record with it. */
  function endOf({ ticket: before }: StoredTokens, { ticket }: TokenChange): Pick<Commit, 'end'> {
    if (ticket === undefined || before === undefined || ticket.expiresAt >= before.expiresAt) return {}
    return { end: { endsAt: Math.floor(ticket.expiresAt), now: now() } }
  }

  const sealed = (change: TokenChange): Fields => ({
    ...(change.tokens && { [FIELD.tokens]: sealer.seal(purpose, context, JSON.stringify(change.tokens)) }),
    ...(change.ticket && { [FIELD.ticket]: sealer.seal('ticket', context, JSON.stringify(change.ticket)) }),
  })

  /** The failures that are written; `undefined` for none. */
  function failuresAfter(
    { failures = [] }: StoredTokens,
    { tokens, failure, refreshed }: TokenChange,
  ): string | undefined {
    const current = tokens === undefined ? failures : withoutFailure(failures, undefined)
    const others = refreshed === undefined ? current : withoutFailure(current, refreshed)
    const remaining = failure === undefined ? others : addFailure(others, failure)
    return remaining.length === 0 || remaining === failures ? undefined : formatFailures(remaining)
  }

  return {
    async open() {
      const [tokens = null, ticket = null, failure, lease, expiry] = await backend.read(key, OPEN_FIELDS)
      const endsAt = expiry ? (parseExpiry(expiry.toString())?.endsAt ?? 0) : 0
      if (isSession && (!ticket || endsAt <= now())) return undefined
      const failures = parseFailures(String(failure ?? ''))
      return {
        tokens: tokens ? parseTokens(sealer.open(purpose, context, tokens)) : undefined,
        ticket: ticket ? parseTicket(sealer.open('ticket', context, ticket)) : undefined,
        failure: failures.find(({ token }) => token === undefined),
        failures,
        leasedUntil: parseLease(String(lease ?? '')).endsAt,
        version: { tokens: fingerprint(tokens), ticket: fingerprint(ticket), failure: String(failure ?? '') },
      }
    },
    acquire: (owner, { version }, duration) =>
      backend.acquire(key, {
        owner,
        duration,
        tokensVersion: version.tokens,
        failureVersion: version.failure,
        needsTicket: isSession,
      }),
    commit(owner, view, change) {
      const { version, ticket } = view
      const remaining = failuresAfter(view, change)
      const write = (more: Fields) =>
        backend.commit(key, {
          owner,
          needsTicket: isSession,
          ...(change.tokens && { tokensVersion: version.tokens }),
          ...(change.ticket && { ticketVersion: version.ticket }),
          clearsFailure: change.tokens !== undefined && remaining === undefined,
          ...ttlOf(change),
          ...endOf(view, change),
          fields: { ...sealed(change), ...(remaining !== undefined && { [FIELD.failure]: remaining }), ...more },
        })
      const sid = change.ticket?.sid
      return sid === undefined || sid === ticket?.sid ? write({}) : rename(sid, write)
    },
    async endIf({ version }) {
      const { existed, summary } = await removeIf(version.tokens)
      if (existed) await forget(summary)
      return existed
    },
  }
}
