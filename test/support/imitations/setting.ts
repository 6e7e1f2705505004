import type { JWK } from 'jose'
import type { EndpointResponse, Fields, RecordedRequest } from '../hostile-faults.js'
import type { SigningKey } from '../signing-keys.js'
import type { Book } from './book.js'
import type { Traits } from './traits.js'

/** The addresses of the one client, as registered at the provider. */
export interface Registration {
  readonly redirectUris: readonly string[]
  readonly postLogoutRedirectUris: readonly string[]
  readonly frontChannelLogoutUri?: string | undefined
  readonly backChannelLogoutUri?: string | undefined
}

/** What the endpoints of one imitation share. */
export interface Setting {
  readonly traits: Traits
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly clientJwks: readonly JWK[]
  readonly scopes: readonly string[]
  readonly asksConsent: boolean
  readonly refreshTokens: 'one-time' | 'reusable'
  /** Seconds. */
  readonly accessTokenLife: number
  /** Signs ID Tokens. */
  readonly idTokenKey: SigningKey
  /** The default key, RS256. */
  readonly defaultKey: SigningKey
  readonly book: Book
  readonly registration: () => Registration
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** What the provider would write to its own log. */
  readonly log: string[]
}

export type Respond = (request: RecordedRequest) => Promise<EndpointResponse> | EndpointResponse

export const PATHS = {
  discovery: '/.well-known/openid-configuration',
  jwks: '/.well-known/openid-configuration/jwks',
  authorize: '/connect/authorize',
  login: '/account/login',
  consent: '/consent',
  token: '/connect/token',
  userinfo: '/connect/userinfo',
  revocation: '/connect/revocation',
  endSession: '/connect/endsession',
  signOut: '/account/logout',
} as const

export type ImitatedEndpoint = keyof typeof PATHS

export const addressOf = ({ issuer }: Setting, endpoint: ImitatedEndpoint): string => issuer + PATHS[endpoint]

export const secondsOf = ({ now }: Setting): number => Math.floor(now() / 1000)

export const wordsOf = (text: string | undefined): string[] => (text ?? '').split(' ').filter(word => word !== '')

export function sameWords(one: string | undefined, other: string): boolean {
  return wordsOf(one).sort().join(' ') === wordsOf(other).sort().join(' ')
}

/** The fields that have a value. */
export function listedIn(fields: Readonly<Record<string, string | undefined>>): Fields {
  return Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined)
}
