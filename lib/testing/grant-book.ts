import { randomBytes } from 'node:crypto'

/** A user who signs in. Every claim is in the ID Token and in the userinfo response. */
export interface FakeUser {
  /** The subject identifier of the user. */
  readonly sub: string
  readonly [claim: string]: unknown
}

/** What a user granted the site. */
export interface FakeGrant {
  readonly user: FakeUser
  readonly scope: string
  readonly sid: string
  readonly nonce: string | undefined
  /** RFC 9396. */
  readonly details?: readonly unknown[] | undefined
}

/** A grant on its way from the authorization to the token endpoint. */
export interface PendingGrant extends FakeGrant {
  readonly redirectUri: string
  readonly codeChallenge: string | undefined
}

/** How the provider responds to one authorization request. */
export type SignInOutcome = { readonly user: FakeUser } | { readonly error: string }

/** Everything a fake provider remembers, for as long as it runs. */
export interface GrantBook {
  /** How the provider will respond to the authorization request with this `state`. */
  expect(state: string, pending: SignInOutcome): void
  /** Once as expected, and otherwise with the default user. */
  takeOutcome(state: string): SignInOutcome
  issueCode(grant: PendingGrant): string
  /** A code works once. */
  takeCode(code: string): PendingGrant | undefined
  keepAccessToken(token: string, grant: FakeGrant | undefined): void
  findByAccessToken(token: string): FakeGrant | undefined
  issueRefreshToken(grant: FakeGrant): string
  /** Each refresh token works once, and each refresh returns a new one. */
  takeRefreshToken(token: string): FakeGrant | undefined
  revoke(token: string): void
}

export function createGrantBook(defaultUser: FakeUser): GrantBook {
  const expected = new Map<string, SignInOutcome>()
  const codes = new Map<string, PendingGrant>()
  const accessTokens = new Map<string, FakeGrant | undefined>()
  const refreshTokens = new Map<string, FakeGrant>()

  function issue<T>(to: Map<string, T>, grant: T): string {
    const name = randomBytes(24).toString('base64url')
    to.set(name, grant)
    return name
  }

  function take<T>(from: Map<string, T>, name: string): T | undefined {
    const grant = from.get(name)
    from.delete(name)
    return grant
  }

  return {
    expect: (state, pending) => void expected.set(state, pending),
    takeOutcome: state => take(expected, state) ?? { user: defaultUser },
    issueCode: grant => issue(codes, grant),
    takeCode: code => take(codes, code),
    keepAccessToken: (token, grant) => void accessTokens.set(token, grant),
    findByAccessToken: token => accessTokens.get(token),
    issueRefreshToken: grant => issue(refreshTokens, grant),
    takeRefreshToken: token => take(refreshTokens, token),
    revoke(token) {
      accessTokens.delete(token)
      refreshTokens.delete(token)
    },
  }
}
