import { hash } from 'node:crypto'
import type { Fields, RemoveResult } from './record-fields.js'

/** A request for the sole right to refresh the tokens of a record, and what the caller knows of it. */
export interface LeaseRequest {
  /** Unique; only the owner can release the lease. */
  readonly owner: string
  /** Milliseconds after which the lease is void, whatever became of its owner. */
  readonly duration: number
  /** Fingerprint of the tokens the caller read. */
  readonly tokensVersion: string
  /** The failure the caller read, as it is stored; empty for none. */
  readonly failureVersion: string
  /** Whether a record without a ticket counts as absent. */
  readonly needsTicket: boolean
}

/** `changed`: tokens were refreshed, or that failed, since the caller read them; no lease was acquired then. */
export type LeaseOutcome = 'acquired' | 'held' | 'changed' | 'absent'

/** What is written at the end of a lease, and under which condition. The lease of `owner` ends with it. */
export interface Commit {
  readonly owner: string
  readonly needsTicket: boolean
  /** Only if the tokens are still these; left out: whatever they are. */
  readonly tokensVersion?: string
  /** Only if the ticket is still this; left out: whatever it is. */
  readonly ticketVersion?: string
  readonly fields: Fields
  /** Whether an earlier failure is removed. */
  readonly clearsFailure: boolean
  /** Milliseconds the record lives from now on. Left out: as before. */
  readonly ttl?: number
  /** A new absolute end, which only counts if it is earlier than that of the record. Left out: as before. */
  readonly end?: { readonly endsAt: number; readonly now: number }
}

export type CommitOutcome = 'done' | 'changed' | 'absent'

/** Leases on records. They are fields of the record itself, so that lease, comparison and write are one step on one key. */
export interface Leases {
  acquire(key: string, request: LeaseRequest): Promise<LeaseOutcome>
  commit(key: string, commit: Commit): Promise<CommitOutcome>
  /** Only if the tokens are still these. Those who watch removals are told, with the `reason`. */
  removeIf(key: string, tokensVersion: string, reason?: string): Promise<RemoveResult>
}

/** Stands for a sealed value, of which no two are alike, in a comparison. Redis computes the same. */
export function fingerprint(sealed: Buffer | null | undefined): string {
  return sealed ? hash('sha1', sealed) : ''
}

/** Who has a lease, and until when: `endsAt:owner`, milliseconds since the epoch on the clock of the store. */
export function formatLease(endsAt: number, owner: string): string {
  return `${endsAt}:${owner}`
}

export function parseLease(text: string): { readonly endsAt: number; readonly owner: string } {
  const match = /^(\d{1,15}):(.+)$/.exec(text)
  return { endsAt: Number(match?.[1] ?? 0), owner: match?.[2] ?? '' }
}
