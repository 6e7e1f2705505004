import { isRecord } from './json.js'
import type { IdTokenClaims, UserInfo } from './wire.js'

/** Claims that belong to the sign-in protocol and do not describe the user. `sub` and `sid` are not among them. */
export const defaultProtocolClaims: readonly string[] = Object.freeze([
  'iss',
  'aud',
  'nbf',
  'exp',
  'iat',
  'nonce',
  'c_hash',
  'at_hash',
  's_hash',
  'azp',
])

/** Names that mean something to JavaScript itself when they are written to an object. */
const UNSAFE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** Also references to claims kept elsewhere (OpenID Connect Core 1.0 section 5.6.2). They are not followed, so they prove nothing. */
const NEVER_KEPT: ReadonlySet<string> = new Set([...UNSAFE_KEYS, '_claim_names', '_claim_sources'])

/** How and when the user signed in: only the ID Token of that sign-in says so. OpenID Connect Core 1.0 section 2. */
const AUTHENTICATION_CLAIMS = ['acr', 'amr', 'auth_time'] as const

/** The authentication claims of one sign-in, as its ID Token says them. */
export type AuthenticationClaims = Partial<Pick<IdTokenClaims, (typeof AUTHENTICATION_CLAIMS)[number]>>

/** What only the ID Token can say, because userinfo need not be signed or made for this client. */
const ID_TOKEN_ONLY: ReadonlySet<string> = new Set([
  ...defaultProtocolClaims,
  ...AUTHENTICATION_CLAIMS,
  'sub',
  'sid',
  'session_expiry',
  'jti',
  'cnf',
])

/**
 * The claims a site sees as its user: those of the ID Token, and over them those of userinfo, without the protocol's own.
 *
 * The result is made anew, shares nothing with what came in, and can be written as JSON. A claim with several values (`role`)
 * has each value once. `null` is absent, and `"true"` and `"false"` are booleans where the claim is
 * one in the ID Token. Elsewhere text stays text: an e-mail address is not verified by a word.
 *
 * @param protocolClaims - names left out wherever they come from; see {@link defaultProtocolClaims}
 */
export function buildClaims(
  idTokenClaims: IdTokenClaims,
  userInfo: UserInfo | undefined,
  protocolClaims: readonly string[],
): Record<string, unknown> {
  const claims: Record<string, unknown> = {}
  const keptNames = (record: Readonly<Record<string, unknown>>) =>
    Object.keys(record).filter(name => record[name] !== null && !NEVER_KEPT.has(name) && !protocolClaims.includes(name))
  for (const name of keptNames(idTokenClaims)) claims[name] = copyClaim(idTokenClaims[name])
  for (const name of keptNames(userInfo ?? {})) {
    if (ID_TOKEN_ONLY.has(name)) continue
    const value = copyClaim(userInfo?.[name])
    claims[name] = typeof idTokenClaims[name] === 'boolean' ? toBoolean(value) : value
  }
  return claims
}

/**
 * The claims that a hook of the site returned, as they are kept: it may leave out how and when the user signed in, and cannot change it.
 *
 * @param authentication - what the ID Token of the sign-in says
 */
export function keepAuthentication(
  decided: Readonly<Record<string, unknown>>,
  authentication: AuthenticationClaims,
): Readonly<Record<string, unknown>> {
  // As they will be stored: an object of the site may write itself with `toJSON`.
  const stored: unknown = JSON.parse(JSON.stringify(decided) ?? 'null')
  if (!isRecord(stored)) return decided
  for (const name of AUTHENTICATION_CLAIMS) {
    if (!Object.hasOwn(stored, name)) continue
    if (authentication[name] === undefined) delete stored[name]
    else stored[name] = authentication[name]
  }
  return stored
}

function toBoolean(value: unknown): unknown {
  const text = typeof value === 'string' ? value.toLowerCase() : ''
  return text === 'true' || text === 'false' ? text === 'true' : value
}

function copyClaim(value: unknown): unknown {
  return typeof value === 'object' ? withoutRepeats(copyValue(value)) : value
}

function copyValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(copyValue)
  if (!isRecord(value)) return value
  const kept = Object.entries(value).filter(([name]) => !UNSAFE_KEYS.has(name))
  return Object.fromEntries(kept.map(([name, member]) => [name, copyValue(member)]))
}

/** Values that are compared one by one. */
const FEW = 16

/** Only for the values of a claim itself: a list further inside, such as a pair of coordinates, may repeat itself. */
function withoutRepeats(value: unknown): unknown {
  if (!Array.isArray(value)) return value
  // Mostly there is nothing to be left out, and not much to look through.
  if (value.length <= FEW && value.every((item, at) => typeof item !== 'object' && value.indexOf(item) === at))
    return value
  const isFlat = value.every(item => typeof item !== 'object')
  return isFlat ? [...new Set(value)] : [...new Map(value.map(item => [canonicalText(item), item])).values()]
}

/** Equal for equal values, whatever the order of their members. */
function canonicalText(value: unknown): string | undefined {
  return JSON.stringify(value, (_name, member: unknown) => (isRecord(member) ? sorted(member) : member))
}

function sorted(record: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)))
}
