import { OidcError } from '../errors.js'
import type { DecryptionKey } from '../protocol/jwe.js'
import { isEncrypted } from '../protocol/jwt.js'

/** What tokens for this site are encrypted to, and which of them have to be. */
export interface Decryption {
  readonly readKeys: () => Promise<readonly DecryptionKey[]>
  readonly idToken: boolean
  readonly userInfo: boolean
  readonly response: boolean
}

/**
 * The signed token inside an encrypted one; a token that is not encrypted is returned as it is.
 *
 * @param isDemanded - whether a token that is not encrypted is refused
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_ENCRYPTION, ERR_OIDC_ID_TOKEN_DECRYPTION, ERR_OIDC_ID_TOKEN_MALFORMED
 */
export type OpenToken = (token: string, isDemanded: boolean) => Promise<string>

/** Without keys nothing is opened: the check of the signature refuses what is encrypted. */
export function createDecryption(decryption: Decryption | undefined): OpenToken {
  return async function open(token, isDemanded) {
    if (isEncrypted(token)) {
      if (decryption === undefined) return token
      const keys = await decryption.readKeys()
      // Few sites have such tokens, and every site would load what it takes.
      const { decryptJwt } = await import('../protocol/jwe.js')
      return decryptJwt(token, keys)
    }
    if (!isDemanded) return token
    throw new OidcError(
      'ERR_OIDC_ID_TOKEN_ENCRYPTION',
      'the token is not encrypted, and the option decryption demands it',
    )
  }
}
