import { OidcError } from '../errors.js'
import { isSameSecret } from './constant-time.js'
import { isRecord, isStringArray } from './json.js'
import { isResponseType } from './response-type.js'
import { isNumericDate } from './time.js'
import type { ResponseMode, ResponseType } from './wire.js'

/** Seconds another machine's clock may be ahead of ours when it wrote the transaction. */
const CLOCK_TOLERANCE = 30

/** One attempt to sign in: what has to survive the browser's round trip to the provider. */
export interface Transaction {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  /** Whether the challenge of the verifier was sent. Default `true`. */
  readonly pkce?: boolean
  /** Local path to land on afterwards. */
  readonly returnTo: string
  readonly redirectUri: string
  readonly issuer: string
  readonly clientId: string
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  /** Seconds since the epoch. */
  readonly createdAt: number
  /** When the attempt left, on the clock that orders it before or after a logout: microseconds since the epoch. */
  readonly startedAt?: number
  /** The session of the browser when the attempt began. A sign-in ends it. */
  readonly sessionId?: string
  /** Seconds. What `max_age` asked for; enforced on `auth_time`. */
  readonly maxAge?: number
  /** The `acr` values that were asked for as essential; enforced on `acr`. */
  readonly acrValues?: readonly string[]
  /** The scope that was asked for, which is what was granted where the provider does not say. RFC 6749 section 5.1. */
  readonly scope?: string
  /** The `sub` of a person who is signed in and goes on, with more scope or a stronger sign-in, in the same session. */
  readonly continues?: string
  /** How often this attempt was begun anew without the person asking for it. */
  readonly restarts?: number
}

/** What a transaction has to agree with when its answer comes in. */
export interface TransactionExpectations {
  /** The `state` of the answer. */
  readonly state: string
  readonly issuer: string
  readonly clientId: string
  readonly redirectUri: string
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  /** Seconds since the epoch. */
  readonly now: number
  /** Seconds. */
  readonly lifetime: number
}

const BINDINGS = ['issuer', 'clientId', 'redirectUri', 'responseType', 'responseMode'] as const

/**
 * Checks that an answer belongs to an attempt of this site with its present settings, and is not too late.
 * OpenID Connect Core 1.0 section 3.1.2.7, RFC 9700 sections 4.4.2 and 4.7.
 *
 * @throws {OidcError} ERR_OIDC_TRANSACTION_MISMATCH, ERR_OIDC_TRANSACTION_EXPIRED
 */
export function checkTransaction(transaction: Transaction, expected: TransactionExpectations): void {
  if (!isSameSecret(transaction.state, expected.state)) {
    throw new OidcError('ERR_OIDC_TRANSACTION_MISMATCH', 'the state of the answer is not the state of this attempt')
  }
  for (const name of BINDINGS) {
    if (transaction[name] === expected[name]) continue
    const cause = { expected: expected[name], actual: transaction[name] }
    throw new OidcError('ERR_OIDC_TRANSACTION_MISMATCH', `this attempt was begun with another ${name}`, { cause })
  }
  const age = expected.now - transaction.createdAt
  if (age > expected.lifetime || age < -CLOCK_TOLERANCE) {
    const cause = { age, lifetime: expected.lifetime }
    throw new OidcError('ERR_OIDC_TRANSACTION_EXPIRED', 'this attempt is too old, or from the future', { cause })
  }
}

/** Reads what an unsealed cookie held. `undefined`: it was written by another version, or is no transaction at all. */
export function parseTransaction(value: unknown): Transaction | undefined {
  return isTransaction(value) ? value : undefined
}

const TEXTS = ['state', 'nonce', 'codeVerifier', 'returnTo', 'redirectUri', 'issuer', 'clientId'] as const

function isTransaction(value: unknown): value is Transaction & Record<string, unknown> {
  return (
    isRecord(value) &&
    TEXTS.every(name => typeof value[name] === 'string' && value[name] !== '') &&
    isResponseType(value.responseType) &&
    (value.responseMode === 'form_post' || value.responseMode === 'query') &&
    isNumericDate(value.createdAt) &&
    isAbsentOr(value.pkce, pkce => typeof pkce === 'boolean') &&
    isAbsentOr(value.startedAt, isCount) &&
    isAbsentOr(value.sessionId, sessionId => typeof sessionId === 'string') &&
    isAbsentOr(value.maxAge, isCount) &&
    isAbsentOr(value.acrValues, isStringArray) &&
    isAbsentOr(value.scope, scope => typeof scope === 'string') &&
    isAbsentOr(value.continues, sub => typeof sub === 'string') &&
    isAbsentOr(value.restarts, isCount)
  )
}

function isAbsentOr(value: unknown, isValid: (value: unknown) => boolean): boolean {
  return value === undefined || isValid(value)
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
