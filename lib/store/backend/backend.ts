import type { BoundedEntries } from './bounded-entries.js'
import type { Leases } from './lease.js'
import type { LogoutTime } from './logout-time.js'
import type { FieldName, Fields, RemoveResult } from './record-fields.js'
import type { WatchRemovals } from './removals.js'

/** The response to a compare-and-set. On a conflict it brings what is there now, so that a second try costs no read. */
export type SwapResult =
  | { readonly outcome: 'done' }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'conflict'; readonly version: number; readonly session: Buffer | undefined }

/** The response to a write of a field that is written once. On `taken` it brings what is there. */
export type AddResult =
  | { readonly outcome: 'done' | 'absent' }
  | { readonly outcome: 'taken'; readonly value: Buffer | undefined }

/** The session data of a record that is replaced. */
export interface Retired {
  readonly version: number
  readonly session: Buffer | undefined
}

/**
 * Where records live: Redis, or the memory of this process. Every write says under which condition it applies and is atomic on one
 * key, which is what keeps an ended record from coming back and what makes it work on a Redis Cluster.
 *
 * Every method throws {@link OidcError} ERR_OIDC_STORE_UNAVAILABLE.
 */
export interface Backend extends Leases, BoundedEntries {
  /** One command. Absent fields are `null`. */
  read(key: string, fields: readonly FieldName[]): Promise<readonly (Buffer | null)[]>
  /** Only if absent. @param ttl seconds */
  create(key: string, fields: Fields, ttl: number): Promise<boolean>
  /** Only if the record is there, takes session data, and its version is `version`; it is `version + 1` afterwards. */
  swap(key: string, version: number, session: Buffer): Promise<SwapResult>
  /** Only if present. The record then lives `idle` seconds from `now` (epoch s), but never past its end. */
  extend(key: string, now: number, idle: number): Promise<boolean>
  /**
   * Only if the record is there, and nothing takes its place. It ends at `endsAt` (epoch s), but never past the end that it had before the first
   * call; a later call may put the end off again. It is not extended by this.
   */
  limit(key: string, endsAt: number, now: number, idle: number): Promise<boolean>
  /** Those who watch removals are told, with the `reason`. */
  remove(key: string, reason?: string): Promise<RemoveResult>
  /** What {@link remove} and {@link removeIf} do, here and in other processes. */
  readonly watchRemovals: WatchRemovals
  /**
   * Only if the record is there and holds a ticket. From then on it takes no session data any more, and it lives `lifetime` seconds from
   * `now` (epoch s) at most. Resolves with its session data at that time.
   */
  retire(key: string, now: number, lifetime: number): Promise<Retired | undefined>
  /** Only if the record is there. `reauthenticate` stays where `sign-in` comes after it. Whether it is there. */
  demand(key: string, demand: 'reauthenticate' | 'sign-in'): Promise<boolean>
  /**
   * Only if the record is there, holds a ticket and does not have the field yet. What is there already is not replaced.
   */
  addField(key: string, field: FieldName, value: Buffer): Promise<AddResult>
  /** Removes one field, and nothing else. */
  removeField(key: string, field: FieldName): Promise<void>
  /** Keeps a text for `ttl` seconds, unless there is one already. */
  setText(key: string, text: string, ttl: number): Promise<void>
  getText(key: string): Promise<string | undefined>
  /** True the first time within `ttl` seconds, and `value` is kept then. Default: a value that says nothing. */
  consume(key: string, ttl: number, value?: string): Promise<boolean>
  /** What {@link consume} or {@link writeMark} has kept. */
  readMark(key: string): Promise<string | undefined>
  writeMark(key: string, value: string, ttl: number): Promise<void>
  removeMark(key: string): Promise<void>
  /** Whether {@link consume} was asked, less than `ttl` seconds ago. */
  isConsumed(key: string): Promise<boolean>
  /** Remembers a logout for `ttl` seconds; of two, what is later. */
  markLogout(key: string, logout: LogoutTime, ttl: number): Promise<void>
  readLogout(key: string): Promise<LogoutTime | undefined>
  /** @param expiresAt when the member may be forgotten, epoch s. Members whose time has come at `now` are forgotten now. */
  addMember(key: string, member: string, expiresAt: number, now: number): Promise<void>
  removeMember(key: string, ...members: string[]): Promise<void>
  /** Members whose time has not come at `now`, epoch s. */
  members(key: string, now: number): Promise<readonly string[]>
  hasMember(key: string, member: string): Promise<boolean>
  /** All keys that are `prefix` and `length` more characters. Walks everything: for administration only. */
  keys(prefix: string, length: number): Promise<readonly string[]>
  /** The clock of the store, microseconds since the epoch. The same clock whichever key a caller works with. */
  time(): Promise<number>
  ping(): Promise<void>
  close(): Promise<void>
}
