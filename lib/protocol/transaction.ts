import { createHmac, hash } from 'node:crypto'
import { OidcError } from '../errors.js'
import { isSameSecret } from './constant-time.js'
import { isRecord, isStringArray } from './json.js'
import { PROOF_ALGORITHMS, type ProofAlgorithm } from './proof-algorithms.js'
import { isNumericDate } from './time.js'

/** Seconds the clocks of two processes of one site may differ. */
const CLOCK_TOLERANCE = 30

/**
 * Seconds by which the binding of a browser may be older than a transaction that does not know it. Tabs that are restored together ask
 * without the cookie that the first response sets, and some of these requests wait in the browser for a free connection.
 */
const REBINDING_WINDOW = 60

/** How often a transaction is restarted before it is an error. Thirty tabs that start together need one or two restarts. */
const MAX_RESTARTS = 6

/** Parameters of an authorization request, by their names on the wire. */
export type AskedParams = Readonly<Record<string, unknown>>

/** One attempt to sign in. It travels in `state`, sealed, so that the browser keeps nothing for it. */
export interface Transaction {
  /** Its public name, the beginning of `state`. */
  readonly id: string
  /** Random; nonce and verifier are derived from it and from the binding of the browser. */
  readonly seed: string
  /** Fingerprint of the binding of the browser that began it. */
  readonly binding: string
  /** Fingerprint of the options that a response depends on. */
  readonly settings: string
  /** When it left for the provider, in seconds since the epoch. */
  readonly createdAt: number
  /** The same on the clock that orders it before or after a logout: microseconds since the epoch, and 0 where that is not known. */
  readonly startedAt: number
  /** `createdAt` of the first attempt, where this one is a restart. */
  readonly begunAt?: number
  /** Local path to land on. */
  readonly returnTo: string
  /** The session the browser presented at the start. */
  readonly sessionId?: string
  /** Who was signed in at the start: {@link fingerprint} of the `sub`. */
  readonly subject?: string
  /** Seconds before the start in which the user must have authenticated; `auth_time` is required then. */
  readonly maxAge?: number
  /** A new authentication was asked for (`prompt=login`); enforced where `auth_time` comes. */
  readonly freshLogin?: boolean
  /** The `acr` values of which one is required. */
  readonly acrValues?: readonly string[]
  /** Scope beyond that of the options. */
  readonly extraScope?: string
  /** Parameters beyond those of the options. */
  readonly params?: AskedParams
  /** What the site gave along for its `signIn` hook. */
  readonly data?: Readonly<Record<string, unknown>>
  /** Whether there is {@link data}: where it was kept elsewhere, it may be lost. */
  readonly hasData?: boolean
  /** The name of the provider that was asked, where the site has several. */
  readonly provider?: string
  /** The user has not asked for it: no page of the provider, and none of ours about an error. See `sign-in/silent-login.ts`. */
  readonly silent?: boolean
  /** `false`: no challenge of a verifier was sent. */
  readonly pkce?: boolean
  /** The tokens are bound to a key of this algorithm. */
  readonly proofAlgorithm?: ProofAlgorithm
  /** How often it was begun anew without the user asking for it. */
  readonly restarts?: number
  /** How many sign-ins in a row ended without a session in the next request. */
  readonly rounds?: number
}

/** The binding of a browser, as far as a transaction depends on it. */
export interface BoundBrowser {
  readonly id: string
  /** Seconds since the epoch. */
  readonly createdAt: number
  /** When this browser last signed out: as {@link Transaction.startedAt}. */
  readonly signedOutAt?: number
}

/** What a transaction must match when its response arrives. */
export interface TransactionExpectations {
  readonly browser: BoundBrowser
  /** {@link Transaction.settings} of today. */
  readonly settings: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds. */
  readonly lifetime: number
}

/** A short name for a value, for comparison inside sealed values. */
export function fingerprint(text: string, length = 16): string {
  return hash('sha256', text, 'base64url').slice(0, length)
}

/** The secrets of a transaction. Without the cookie of the browser that began it, they cannot be derived. RFC 7636 section 4.1. */
export function deriveSecrets({ seed, id }: Pick<Transaction, 'seed' | 'id'>, bindingId: string) {
  const both = createHmac('sha512', `${seed}.${bindingId}`).update(`nonce and code verifier ${id}`).digest()
  return { nonce: both.toString('base64url', 0, 32), codeVerifier: both.toString('base64url', 32) }
}

/**
 * What the proof key of a transaction is derived from. The key travels nowhere: `state` has one half of the secret, sealed, and the cookie of
 * the browser the other.
 */
export function deriveProofSecret({ seed, id }: Pick<Transaction, 'seed' | 'id'>, bindingId: string): string {
  return createHmac('sha512', `${seed}.${bindingId}`).update(`proof key ${id}`).digest('base64url')
}

/**
 * Decides about a response: `valid` for one that belongs to an attempt of this browser with the current settings, `restart` for one whose
 * sign-in has to be begun anew (and can be: this many times). OpenID Connect Core 1.0 section 3.1.2.7, RFC 9700 sections 4.4.2 and 4.7.
 *
 * @throws {OidcError} ERR_OIDC_TRANSACTION_MISSING, ERR_OIDC_TRANSACTION_MISMATCH, ERR_OIDC_TRANSACTION_EXPIRED, ERR_OIDC_SIGN_IN_ENDED
 */
export function checkTransaction(transaction: Transaction, expected: TransactionExpectations): 'valid' | 'restart' {
  const { restarts = 0 } = transaction
  const { browser, now, lifetime } = expected
  if (!isSameSecret(transaction.binding, fingerprint(browser.id))) {
    checkRebinding(transaction, browser)
    return 'restart'
  }
  if (transaction.settings !== expected.settings) {
    if (restarts < MAX_RESTARTS) return 'restart'
    throw new OidcError(
      'ERR_OIDC_TRANSACTION_MISMATCH',
      'this sign-in started with another redirectUri, responseType, responseMode or scope; do all processes have the same options?',
    )
  }
  const age = now - transaction.createdAt
  if (age <= lifetime && age >= -CLOCK_TOLERANCE) return 'valid'
  if (restarts === 0) return 'restart'
  const cause = { age, lifetime }
  throw new OidcError('ERR_OIDC_TRANSACTION_EXPIRED', 'this sign-in is too old, or from the future', { cause })
}

/** For a sign-in that was under way when the user of this browser signed out. */
export function signedOutSince(): OidcError {
  return new OidcError('ERR_OIDC_SIGN_IN_ENDED', 'the user signed out of this site after this sign-in had begun')
}

/** Whether a transaction of another binding may have been begun in this browser, before its cookie was replaced. */
function checkRebinding({ createdAt, startedAt, restarts = 0 }: Transaction, browser: BoundBrowser): void {
  if (browser.signedOutAt !== undefined && startedAt <= browser.signedOutAt) {
    throw signedOutSince()
  }
  if (browser.createdAt + REBINDING_WINDOW < createdAt) {
    throw new OidcError('ERR_OIDC_TRANSACTION_MISSING', 'this sign-in started in another browser')
  }
  if (restarts < MAX_RESTARTS) return
  throw new OidcError(
    'ERR_OIDC_TRANSACTION_MISSING',
    `the cookie that binds a sign-in to its browser changed between the start and the response, ${restarts + 1} times in a row`,
  )
}

/** Names of a transaction, each with that in the sealed text, where every character of `state` counts. */
type Names = readonly (readonly [keyof Transaction, string])[]

const CORE: Names = [
  ['seed', 'a'],
  ['binding', 'b'],
  ['settings', 'c'],
  ['createdAt', 'd'],
  ['begunAt', 'e'],
  ['startedAt', 'l'],
  ['sessionId', 'f'],
  ['subject', 'g'],
  ['maxAge', 'h'],
  ['freshLogin', 'i'],
  ['restarts', 'j'],
  ['rounds', 'k'],
  ['pkce', 'm'],
  ['hasData', 'o'],
  ['proofAlgorithm', 'n'],
  ['provider', 'u'],
  ['silent', 'v'],
]

/** What may be kept elsewhere. */
const REST: Names = [
  ['returnTo', 'p'],
  ['acrValues', 'q'],
  ['extraScope', 'r'],
  ['params', 's'],
  ['data', 't'],
]

/** The two parts of a transaction as records with short names: what is always in `state`, and what may be long. */
export function splitTransaction(transaction: Transaction): {
  readonly core: Record<string, unknown>
  readonly rest: Record<string, unknown>
} {
  return { core: shorten(transaction, CORE), rest: shorten(transaction, REST) }
}

/** Puts the parts together again. `undefined`: another version wrote them, or they are no transaction at all. */
export function joinTransaction(id: string, core: unknown, rest: unknown): Transaction | undefined {
  if (!isRecord(core) || !isRecord(rest)) return undefined
  const value = { id, ...lengthen(core, CORE), ...lengthen(rest, REST) }
  return isTransaction(value) ? value : undefined
}

function shorten(transaction: Transaction, names: Names): Record<string, unknown> {
  const record: Record<string, unknown> = {}
  for (const [name, short] of names) if (transaction[name] !== undefined) record[short] = transaction[name]
  return record
}

function lengthen(record: Record<string, unknown>, names: Names): Record<string, unknown> {
  const transaction: Record<string, unknown> = {}
  for (const [name, short] of names) if (record[short] !== undefined) transaction[name] = record[short]
  return transaction
}

function isTransaction(value: Record<string, unknown>): value is Transaction & Record<string, unknown> {
  return (
    ['id', 'seed', 'binding', 'settings', 'returnTo'].every(name => typeof value[name] === 'string' && value[name]) &&
    isNumericDate(value.createdAt) &&
    isAbsentOr(value.begunAt, isNumericDate) &&
    isCount(value.startedAt) &&
    ['sessionId', 'subject', 'extraScope', 'provider'].every(name =>
      isAbsentOr(value[name], text => typeof text === 'string'),
    ) &&
    ['maxAge', 'restarts', 'rounds'].every(name => isAbsentOr(value[name], isCount)) &&
    isAbsentOr(value.freshLogin, flag => flag === true) &&
    isAbsentOr(value.silent, flag => flag === true) &&
    isAbsentOr(value.pkce, flag => flag === false) &&
    isAbsentOr(value.proofAlgorithm, name => PROOF_ALGORITHMS.some(known => known === name)) &&
    isAbsentOr(value.acrValues, isStringArray) &&
    isAbsentOr(value.params, isRecord) &&
    isAbsentOr(value.data, isRecord) &&
    isAbsentOr(value.hasData, flag => flag === true)
  )
}

function isAbsentOr(value: unknown, isValid: (value: unknown) => boolean): boolean {
  return value === undefined || isValid(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
