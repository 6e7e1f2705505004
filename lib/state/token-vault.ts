import type { Backend } from './backend.js'
import { type ClaimOutcome, fingerprint, parseHold, type SettleOutcome } from './claims.js'
import { parseLife } from './life.js'
import { FIELD, type Fields } from './record-fields.js'
import { addFailure, formatFailures, parseFailures, type RenewalFailure, withoutFailure } from './renewal-failure.js'
import type { Sealer, SealPurpose } from './seal.js'
import { parseTicket, parseTokens, type Ticket, type Tokens } from './ticket.js'

/** What a vault held at one moment. */
export interface VaultView {
  readonly tokens: Tokens | undefined
  readonly ticket: Ticket | undefined
  /** The note of a failure that is about all of them. */
  readonly failure: RenewalFailure | undefined
  /** All notes of failures, also those about one token. */
  readonly failures?: readonly RenewalFailure[]
  /** Until when somebody claims the right to renew, in ms since the epoch on the clock of the store; 0 for nobody. */
  readonly heldUntil: number
  /** What tells this moment from another. */
  readonly seen: { readonly tokens: string; readonly ticket: string; readonly failure: string }
}

/** What is written; what is left out stays. With tokens, the failure that is about all of them is forgotten unless a new one is written. */
export interface VaultChange {
  readonly tokens?: Tokens
  readonly ticket?: Ticket
  readonly failure?: RenewalFailure
  /** The token that was renewed: the note of an earlier failure of it is forgotten. */
  readonly renewed?: string
}

/**
 * Tokens that are renewed by many processes and must not be renewed twice. Every method is one command on one key, but where the session
 * at the provider gets another name.
 */
export interface TokenVault {
  /** `undefined`: the session has ended. */
  open(): Promise<VaultView | undefined>
  /** Asks for the sole right to renew, for `life` ms, given that nothing has changed since `view`. */
  claim(owner: string, view: VaultView, life: number): Promise<ClaimOutcome>
  /** Writes, given that nothing that is written has changed since `view`, and gives the claim back. */
  settle(owner: string, view: VaultView, change: VaultChange): Promise<SettleOutcome>
  /** Ends the session, given that its tokens are still those of `view`. Whether it did. */
  endIf(view: VaultView): Promise<boolean>
}

export interface VaultSettings {
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
  readonly rename: (sid: string, write: (fields: Fields) => Promise<SettleOutcome>) => Promise<SettleOutcome>
}

const OPEN_FIELDS = [FIELD.tokens, FIELD.ticket, FIELD.failure, FIELD.hold, FIELD.life] as const

/** How long tokens of unknown life are kept, in ms. */
const UNKNOWN_LIFE = 10 * 60 * 1000

export function createTokenVault(settings: VaultSettings): TokenVault {
  const { backend, sealer, key, context, purpose, now, forget, rename } = settings
  const isSession = purpose === 'tokens'

  function ttlOf({ tokens }: VaultChange): { ttl?: number } {
    if (isSession || tokens === undefined) return {}
    const life = tokens.expiresAt === undefined ? UNKNOWN_LIFE : (tokens.expiresAt - now()) * 1000
    return { ttl: Math.max(1000, life) }
  }

  const sealed = (change: VaultChange): Fields => ({
    ...(change.tokens && { [FIELD.tokens]: sealer.seal(purpose, context, JSON.stringify(change.tokens)) }),
    ...(change.ticket && { [FIELD.ticket]: sealer.seal('ticket', context, JSON.stringify(change.ticket)) }),
  })

  /** The note that is written; `undefined` for none. */
  function notesOf({ failures = [] }: VaultView, { tokens, failure, renewed }: VaultChange): string | undefined {
    const current = tokens === undefined ? failures : withoutFailure(failures, undefined)
    const others = renewed === undefined ? current : withoutFailure(current, renewed)
    const notes = failure === undefined ? others : addFailure(others, failure)
    return notes.length === 0 || notes === failures ? undefined : formatFailures(notes)
  }

  return {
    async open() {
      const [tokens = null, ticket = null, failure, hold, life] = await backend.read(key, OPEN_FIELDS)
      const endsAt = life ? (parseLife(life.toString())?.endsAt ?? 0) : 0
      if (isSession && (!ticket || endsAt <= now())) return undefined
      const failures = parseFailures(String(failure ?? ''))
      return {
        tokens: tokens ? parseTokens(sealer.open(purpose, context, tokens)) : undefined,
        ticket: ticket ? parseTicket(sealer.open('ticket', context, ticket)) : undefined,
        failure: failures.find(({ token }) => token === undefined),
        failures,
        heldUntil: parseHold(String(hold ?? '')).endsAt,
        seen: { tokens: fingerprint(tokens), ticket: fingerprint(ticket), failure: String(failure ?? '') },
      }
    },
    claim: (owner, { seen }, life) =>
      backend.claim(key, {
        owner,
        life,
        tokensSeen: seen.tokens,
        failureSeen: seen.failure,
        needsTicket: isSession,
      }),
    settle(owner, view, change) {
      const { seen, ticket } = view
      const notes = notesOf(view, change)
      const write = (more: Fields) =>
        backend.settle(key, {
          owner,
          needsTicket: isSession,
          ...(change.tokens && { tokensSeen: seen.tokens }),
          ...(change.ticket && { ticketSeen: seen.ticket }),
          clearsFailure: change.tokens !== undefined && notes === undefined,
          ...ttlOf(change),
          fields: { ...sealed(change), ...(notes !== undefined && { [FIELD.failure]: notes }), ...more },
        })
      const sid = change.ticket?.sid
      return sid === undefined || sid === ticket?.sid ? write({}) : rename(sid, write)
    },
    async endIf({ seen }) {
      const { existed, summary } = await backend.removeIf(key, seen.tokens)
      if (existed) await forget(summary)
      return existed
    },
  }
}
