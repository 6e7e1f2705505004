import { hash } from 'node:crypto'
import type { Fields, RemoveResult } from './record-fields.js'

/** A request for the sole right to renew the tokens of a record, and what the asker knows of it. */
export interface LeaseRequest {
  /** Unique; nobody else can give the claim back. */
  readonly owner: string
  /** Milliseconds after which the claim is void, whatever became of its owner. */
  readonly duration: number
  /** Fingerprint of the tokens the asker saw. */
  readonly tokensVersion: string
  /** The note of a failure the asker saw; empty for none. */
  readonly failureVersion: string
  /** Whether a record without a ticket counts as absent. */
  readonly needsTicket: boolean
}

/** `changed`: something was renewed, or failed, since the asker looked; nothing was claimed then. */
export type LeaseOutcome = 'claimed' | 'held' | 'changed' | 'absent'

/** What is written at the end of a claim, and under which condition. The claim of `owner` ends with it. */
export interface Commit {
  readonly owner: string
  readonly needsTicket: boolean
  /** Only if the tokens are still these; left out: whatever they are. */
  readonly tokensVersion?: string
  /** Only if the ticket is still this; left out: whatever it is. */
  readonly ticketVersion?: string
  readonly fields: Fields
  /** Whether the note of an earlier failure goes. */
  readonly clearsFailure: boolean
  /** Milliseconds the record lives from now on. Left out: as before. */
  readonly ttl?: number
}

export type CommitOutcome = 'done' | 'changed' | 'absent'

/** Claims on records. They are fields of the record itself, so that claim, comparison and write are one step on one key. */
export interface Leases {
  acquire(key: string, claim: LeaseRequest): Promise<LeaseOutcome>
  commit(key: string, settlement: Commit): Promise<CommitOutcome>
  /** Only if the tokens are still these. */
  removeIf(key: string, tokensSeen: string): Promise<RemoveResult>
}

/** Stands for a sealed value, of which no two are alike, in a comparison. Redis computes the same. */
export function fingerprint(sealed: Buffer | null | undefined): string {
  return sealed ? hash('sha1', sealed) : ''
}

/** Who holds a claim, and until when: `endsAt:owner`, milliseconds since the epoch on the clock of the store. */
export function formatLease(endsAt: number, owner: string): string {
  return `${endsAt}:${owner}`
}

export function parseLease(text: string): { readonly endsAt: number; readonly owner: string } {
  const match = /^(\d{1,15}):(.+)$/.exec(text)
  return { endsAt: Number(match?.[1] ?? 0), owner: match?.[2] ?? '' }
}
