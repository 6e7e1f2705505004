import { secret } from '../secrets.js'
import type { ImitatedUser } from './users.js'

/** A browser that is signed in at the provider. */
export interface ProviderSession {
  readonly id: string
  readonly sid: string
  readonly user: ImitatedUser
  /** Milliseconds since the epoch. */
  readonly signedInAt: number
  /** Whether the client has had a response in this session, and so is told when it ends. */
  hasClient: boolean
}

export interface Grant {
  readonly user: ImitatedUser
  readonly scope: readonly string[]
  readonly sid: string
  readonly signedInAt: number
  readonly redirectUri: string
  readonly nonce: string | undefined
  readonly codeChallenge: string | undefined
  isRevoked: boolean
}

interface RefreshEntry {
  readonly grant: Grant
  /** Milliseconds since the epoch. */
  usedAt?: number
}

/** Everything an imitation remembers. */
export interface Book {
  readonly sessions: Map<string, ProviderSession>
  readonly codes: Map<string, Grant>
  readonly accessTokens: Map<string, Grant>
  readonly refreshTokens: Map<string, RefreshEntry>
  readonly usedAssertions: Set<string>
  /** `user` + scope, once a consent was given. */
  readonly consents: Map<ImitatedUser, readonly string[]>
  readonly disabledUsers: Set<ImitatedUser>
  /** Scopes that the client may no longer have. */
  readonly takenScopes: Set<string>
  startSession(user: ImitatedUser, at: number): ProviderSession
  issueCode(grant: Grant): string
  issueRefreshToken(grant: Grant): string
  revoke(token: string): void
}

export function createBook(): Book {
  const book: Book = {
    sessions: new Map(),
    codes: new Map(),
    accessTokens: new Map(),
    refreshTokens: new Map(),
    usedAssertions: new Set(),
    consents: new Map(),
    disabledUsers: new Set(),
    takenScopes: new Set(),
    startSession(user, at) {
      const session = {
        id: secret('session at the provider'),
        sid: secret('sid'),
        user,
        signedInAt: at,
        hasClient: false,
      }
      book.sessions.set(session.id, session)
      return session
    },
    issueCode(grant) {
      const code = secret('code')
      book.codes.set(code, grant)
      return code
    },
    issueRefreshToken(grant) {
      const token = secret('refresh token')
      book.refreshTokens.set(token, { grant })
      return token
    },
    revoke(token) {
      const entry = book.refreshTokens.get(token)
      if (entry !== undefined) entry.grant.isRevoked = true
      book.accessTokens.delete(token)
    },
  }
  return book
}
