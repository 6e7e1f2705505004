import { hash } from 'node:crypto'
import type { Sealer } from './seal.js'

/** How the index finds the sessions of a sign-in without the browser: by person, or by the provider's session. */
export type IndexKind = 'sub' | 'sid'

/** Keys in Redis. All are of a fixed length and say nothing about what they were made from. */
export interface RedisKeys {
  readonly recordPrefix: string
  /** `prefix` + {@link RECORD_NAME_LENGTH} characters; no other key looks like that. */
  record(id: string): string
  /** One key per secret, that of the newest first: a subject may be guessable, so its hash alone would say too much. */
  index(kind: IndexKind, issuer: string, value: string): readonly string[]
  /** Where the end of such sessions is remembered: one key per secret, for the same reason. */
  logout(kind: IndexKind, issuer: string, value: string): readonly string[]
  /** Where the session is noted that took the place of one. */
  successor(id: string): string
  /** Where the sessions of a browser are noted, by the id of its binding. */
  browser(id: string): string
  consumed(purpose: string, value: string): string
  /** What is known of a session after its record is gone, by the key of that. */
  expired(recordKey: string): string
  /** What a record is called outside, in place of its session id, which only its browser knows. */
  handle(recordKey: string): string
  /** What an attempt to sign in has left here, because `state` has no room for it. */
  overflow(transactionId: string): string
  /** Tokens of this client itself, by what they are for. */
  client(purpose: string): string
  /** The kept forms of a user: one key per secret, for the same reason as that of the index. */
  forms(issuer: string, provider: string | undefined, subject: string): readonly string[]
}

/** What a handle begins with. No session id begins like this. */
export const HANDLE = '#'

/** base64url of a SHA-256. */
export const RECORD_NAME_LENGTH = 43

export function createRedisKeys(prefix: string, sealer: Sealer): RedisKeys {
  return {
    recordPrefix: prefix,
    record: id => prefix + hash('sha256', id, 'base64url'),
    index: (kind, issuer, value) =>
      sealer.maskName(JSON.stringify([kind, issuer, value])).map(name => `${prefix}i:${name}`),
    logout: (kind, issuer, value) =>
      sealer.maskName(JSON.stringify(['logout', kind, issuer, value])).map(name => `${prefix}l:${name}`),
    // Not under a secret: while secrets rotate, processes with different newest secrets have to mean the same key.
    client: purpose => `${prefix}c:${hash('sha256', purpose, 'base64url')}`,
    forms: (issuer, provider = '', subject) =>
      sealer.maskName(JSON.stringify(['forms', provider, issuer, subject])).map(name => `${prefix}f:${name}`),
    successor: id => `${prefix}n:${hash('sha256', id, 'base64url')}`,
    browser: id => `${prefix}b:${hash('sha256', id, 'base64url')}`,
    overflow: transactionId => `${prefix}a:${hash('sha256', transactionId, 'base64url')}`,
    expired: recordKey => `${prefix}e:${recordKey.slice(prefix.length)}`,
    handle: recordKey => HANDLE + recordKey.slice(prefix.length),
    consumed: (purpose, value) => `${prefix}o:${hash('sha256', JSON.stringify([purpose, value]), 'base64url')}`,
  }
}
