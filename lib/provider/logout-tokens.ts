import { OidcError, type OidcErrorCode } from '../errors.js'
import type { VerifiedJwt } from '../protocol/jwt.js'
import { checkLogoutTokenClaims, isLogoutTokenType, type LogoutTokenClaims } from '../protocol/logout-token.js'
import type { SigningAlgorithm } from '../protocol/wire.js'
import type { VerifySignature } from './signatures.js'

interface LogoutTokenSettings {
  readonly issuer: string
  readonly clientId: string
  /** Seconds. */
  readonly clockTolerance: number
  readonly now: () => Date
  readonly verify: VerifySignature
  /** That of ID Tokens: a logout token is signed like one. OpenID Connect Back-Channel Logout 1.0 section 2.4. */
  readonly algorithm: SigningAlgorithm
}

/** What is wrong with any JWT has codes of its own where the JWT is a logout token. */
const CODES: Readonly<Record<string, OidcErrorCode>> = {
  ERR_OIDC_ID_TOKEN_MALFORMED: 'ERR_OIDC_LOGOUT_TOKEN_MALFORMED',
  ERR_OIDC_ID_TOKEN_ALGORITHM: 'ERR_OIDC_LOGOUT_TOKEN_ALGORITHM',
  ERR_OIDC_ID_TOKEN_KEY: 'ERR_OIDC_LOGOUT_TOKEN_KEY',
  ERR_OIDC_ID_TOKEN_SIGNATURE: 'ERR_OIDC_LOGOUT_TOKEN_SIGNATURE',
}

/** Verifies logout tokens: signature first, then what they say. */
export function createLogoutTokens({ verify, algorithm, now, ...expected }: LogoutTokenSettings) {
  async function verifySignature(logoutToken: string): Promise<VerifiedJwt> {
    try {
      return await verify(logoutToken, algorithm, { typ: isLogoutTokenType })
    } catch (error) {
      const code = error instanceof OidcError ? CODES[error.code] : undefined
      if (code === undefined) throw error
      throw new OidcError(code, `logout token: ${(error as OidcError).message}`, { cause: (error as OidcError).cause })
    }
  }

  return async function verifyLogoutToken(logoutToken: string): Promise<LogoutTokenClaims> {
    const { claims } = await verifySignature(logoutToken)
    return checkLogoutTokenClaims(claims, { ...expected, now: now().getTime() / 1000 })
  }
}
