import type { ProofKey } from '../protocol/dpop.js'
import type { AuthorizationDetail } from '../protocol/wire.js'
import type { SignInTime } from './backend/logout-time.js'

/** Who is signed in, and until when. Written by sign-in and refresh only, never by the site's own code. */
export interface Ticket {
  readonly issuer: string
  /** The name of the provider, where the site has several. */
  readonly provider?: string
  /** The tenant of the user, where the provider has many. */
  readonly tenant?: string
  /** The base URL of the host that the session belongs to, where the site has several. */
  readonly baseUrl?: string
  readonly subject: string
  /** The provider's session id, where it gives one. */
  readonly sid?: string
  /** Claims after strip, merge and hook. */
  readonly claims: Readonly<Record<string, unknown>>
  /** Space-separated scope that was granted. */
  readonly scope: string
  /** Seconds since the epoch. */
  readonly signedInAt: number
  /** The absolute end, in seconds since the epoch. Nothing of the session outlives it, however busy it is. */
  readonly expiresAt: number
  /** Seconds since the epoch. */
  readonly accessTokenExpiresAt?: number
  /** Seconds since the epoch. */
  readonly authTime?: number
  /** The `max_age` of this sign-in, in seconds, where it had one. */
  readonly requestedMaxAge?: number
  readonly acr?: string
  /** As the ID Token of the sign-in has it: a list of strings at most providers. */
  readonly amr?: unknown
  /** OpenID Connect Session Management 1.0 section 2. */
  readonly sessionState?: string
  /** Whether the browser was asked to bind the session to a key of its device. Left out: it was not. */
  readonly deviceOffered?: true
  /** Space-separated scope that was asked for, so that the user is not asked twice for what was not granted. */
  readonly requestedScope?: string
}

/** The tokens of a sign-in. Kept apart from who is signed in, so that a request that needs none does not fetch any. */
export interface Tokens {
  /** As the provider sent it, signed. */
  readonly idToken?: string
  /** Opens APIs for the person. */
  readonly accessToken?: string
  /** As the provider spelled it, usually `Bearer`. */
  readonly tokenType?: string
  /** Gets new tokens; many providers take each one once. */
  readonly refreshToken?: string
  /** Space-separated scope that was granted. */
  readonly scope: string
  /** What was granted in more than words of a scope; `undefined` where nothing of the kind was asked for. RFC 9396 section 7. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** When the access token expires, in seconds since the epoch. */
  readonly expiresAt?: number
  /** When the access token came, in seconds since the epoch. */
  readonly issuedAt?: number
  /** Access tokens for other APIs or with other scope, got with the same refresh token, newest first. */
  readonly others?: readonly OtherAccessToken[]
}

/** What is kept, sealed: with the key the tokens are bound to, which the site never gets. */
export interface KeptTokens extends Tokens {
  readonly proofKey?: ProofKey
}

/** The tokens as the hooks of the site get them. */
export function withoutProofKey({ proofKey: _, ...tokens }: KeptTokens): Tokens {
  return tokens
}

/** An access token beside the main one. */
export interface OtherAccessToken {
  /** What it was asked for. */
  readonly purpose: string
  /** The token itself. */
  readonly accessToken: string
  /** As the provider spelled it, usually `Bearer`. */
  readonly tokenType: string
  /** Space-separated scope that was granted. */
  readonly scope: string
  /** What was granted in more than words of a scope; `undefined` where nothing of the kind was asked for. RFC 9396 section 7. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** When it expires, in seconds since the epoch. */
  readonly expiresAt?: number
  /** When it came, in seconds since the epoch. */
  readonly issuedAt?: number
}

/** What can be said about a session without its id. */
export interface SessionSummary extends Partial<SignInTime> {
  readonly issuer: string
  /** The name of the provider, where the site has several. */
  readonly provider?: string
  /** The tenant of the user, where the provider has many. */
  readonly tenant?: string
  /** The base URL of the host that the session belongs to, where the site has several. */
  readonly baseUrl?: string
  readonly subject: string
  readonly sid?: string
  /** Seconds since the epoch. */
  readonly signedInAt: number
  /** Seconds since the epoch. */
  readonly expiresAt: number
  /** What the caller of `signIn` added, such as the name of the browser. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** A session that has ended, or is not there. */
export interface EndedSummary extends SessionSummary {
  /** Names the session, as in lists of sessions. */
  readonly handle: string
}

/** Who a user is: the same `sub` at two providers is two users. */
type Identity = Pick<Ticket, 'issuer' | 'provider' | 'tenant' | 'subject'>

export function isSamePerson(a: Identity | undefined, b: Identity): boolean {
  return a !== undefined && a.issuer === b.issuer && a.provider === b.provider && a.subject === b.subject
}

/** What tells the users of one site apart: the `sub`, and with several providers or tenants their names as well. */
export function userKeyOf({ provider, tenant, subject }: Omit<Identity, 'issuer'>): string {
  if (tenant !== undefined) return JSON.stringify([provider ?? null, tenant, subject])
  return provider === undefined ? subject : JSON.stringify([provider, subject])
}

/** The content of an unsealed field; `undefined` where it does not have the shape of a ticket. */
export function parseTicket(json: Buffer | string | undefined): Ticket | undefined {
  const value = parseRecord(json)
  if (value === undefined || !hasIdentity(value)) return undefined
  return typeof value.scope === 'string' && isRecord(value.claims) ? (value as unknown as Ticket) : undefined
}

/** The content of an unsealed field; `undefined` where it does not have the shape of tokens. */
export function parseTokens(json: Buffer | undefined): KeptTokens | undefined {
  const value = parseRecord(json)
  return typeof value?.scope === 'string' ? (value as unknown as KeptTokens) : undefined
}

/** The content of an unsealed field; `undefined` where it does not have the shape of a summary. */
export function parseSummary(json: Buffer | undefined): SessionSummary | undefined {
  const value = parseRecord(json)
  return value !== undefined && hasIdentity(value) ? (value as unknown as SessionSummary) : undefined
}

function hasIdentity(value: Readonly<Record<string, unknown>>): boolean {
  const { issuer, subject, signedInAt, expiresAt } = value
  return (
    typeof issuer === 'string' &&
    typeof subject === 'string' &&
    Number.isFinite(signedInAt) &&
    Number.isFinite(expiresAt)
  )
}

function parseRecord(json: Buffer | string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (json === undefined) return undefined
  try {
    const value: unknown = JSON.parse(json.toString())
    return isRecord(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
