import { hash } from 'node:crypto'
import type { Fields, RemoveResult } from './record-fields.js'

/** A request for the sole right to renew the tokens of a record, and what the asker knows of it. */
export interface Claim {
  /** Unique; nobody else can give the claim back. */
  readonly owner: string
  /** Milliseconds after which the claim is void, whatever became of its owner. */
  readonly life: number
  /** Fingerprint of the tokens the asker saw. */
  readonly tokensSeen: string
  /** The note of a failure the asker saw; empty for none. */
  readonly failureSeen: string
  /** Whether a record without a ticket counts as absent. */
  readonly needsTicket: boolean
}

/** `changed`: something was renewed, or failed, since the asker looked; nothing was claimed then. */
export type ClaimOutcome = 'claimed' | 'held' | 'changed' | 'absent'

/** What is written at the end of a claim, and under which condition. The claim of `owner` ends with it. */
export interface Settlement {
  readonly owner: string
  readonly needsTicket: boolean
  /** Only if the tokens are still these; left out: whatever they are. */
  readonly tokensSeen?: string
  /** Only if the ticket is still this; left out: whatever it is. */
  readonly ticketSeen?: string
  readonly fields: Fields
  /** Whether the note of an earlier failure goes. */
  readonly clearsFailure: boolean
  /** Milliseconds the record lives from now on. Left out: as before. */
  readonly ttl?: number
}

export type SettleOutcome = 'done' | 'changed' | 'absent'

/** Claims on records. They are fields of the record itself, so that claim, comparison and write are one step on one key. */
export interface Claims {
  claim(key: string, claim: Claim): Promise<ClaimOutcome>
  settle(key: string, settlement: Settlement): Promise<SettleOutcome>
  /** Only if the tokens are still these. */
  removeIf(key: string, tokensSeen: string): Promise<RemoveResult>
}

/** Stands for a sealed value, of which no two are alike, in a comparison. Redis computes the same. */
export function fingerprint(sealed: Buffer | null | undefined): string {
  return sealed ? hash('sha1', sealed) : ''
}

/** Who holds a claim, and until when: `endsAt:owner`, milliseconds since the epoch on the clock of the store. */
export function formatHold(endsAt: number, owner: string): string {
  return `${endsAt}:${owner}`
}

export function parseHold(text: string): { readonly endsAt: number; readonly owner: string } {
  const match = /^(\d{1,15}):(.+)$/.exec(text)
  return { endsAt: Number(match?.[1] ?? 0), owner: match?.[2] ?? '' }
}
