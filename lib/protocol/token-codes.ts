import { OidcError, type OidcErrorCode } from '../errors.js'

/** What is wrong with any JWT, under a name of its own where the JWT is no ID Token. */
type Kind = 'LOGOUT_TOKEN' | 'RESPONSE' | 'SIGNAL'

const CODES = {
  LOGOUT_TOKEN: {
    ERR_OIDC_ID_TOKEN_MALFORMED: 'ERR_OIDC_LOGOUT_TOKEN_MALFORMED',
    ERR_OIDC_ID_TOKEN_ENCRYPTION: 'ERR_OIDC_LOGOUT_TOKEN_ALGORITHM',
    ERR_OIDC_ID_TOKEN_DECRYPTION: 'ERR_OIDC_LOGOUT_TOKEN_KEY',
    ERR_OIDC_ID_TOKEN_ALGORITHM: 'ERR_OIDC_LOGOUT_TOKEN_ALGORITHM',
    ERR_OIDC_ID_TOKEN_KEY: 'ERR_OIDC_LOGOUT_TOKEN_KEY',
    ERR_OIDC_ID_TOKEN_SIGNATURE: 'ERR_OIDC_LOGOUT_TOKEN_SIGNATURE',
  },
  RESPONSE: {
    ERR_OIDC_ID_TOKEN_MALFORMED: 'ERR_OIDC_RESPONSE_MALFORMED',
    ERR_OIDC_ID_TOKEN_ENCRYPTION: 'ERR_OIDC_RESPONSE_ENCRYPTION',
    ERR_OIDC_ID_TOKEN_DECRYPTION: 'ERR_OIDC_RESPONSE_DECRYPTION',
    ERR_OIDC_ID_TOKEN_ALGORITHM: 'ERR_OIDC_RESPONSE_ALGORITHM',
    ERR_OIDC_ID_TOKEN_KEY: 'ERR_OIDC_RESPONSE_KEY',
    ERR_OIDC_ID_TOKEN_SIGNATURE: 'ERR_OIDC_RESPONSE_SIGNATURE',
  },
  SIGNAL: {
    ERR_OIDC_ID_TOKEN_MALFORMED: 'ERR_OIDC_SIGNAL_MALFORMED',
    ERR_OIDC_ID_TOKEN_ALGORITHM: 'ERR_OIDC_SIGNAL_KEY',
    ERR_OIDC_ID_TOKEN_KEY: 'ERR_OIDC_SIGNAL_KEY',
    ERR_OIDC_ID_TOKEN_SIGNATURE: 'ERR_OIDC_SIGNAL_KEY',
  },
} as const satisfies Record<Kind, Readonly<Record<string, OidcErrorCode>>>

const NAMES: Readonly<Record<Kind, string>> = {
  LOGOUT_TOKEN: 'logout token',
  RESPONSE: 'signed authorization response',
  SIGNAL: 'security event',
}

/** The error, under the code of this kind of JWT. Others stay as they are. */
export function renameTokenError(kind: Kind, error: unknown): unknown {
  if (!(error instanceof OidcError)) return error
  const codes: Readonly<Record<string, OidcErrorCode>> = CODES[kind]
  const code = codes[error.code]
  return code === undefined ? error : new OidcError(code, `${NAMES[kind]}: ${error.message}`, { cause: error.cause })
}
