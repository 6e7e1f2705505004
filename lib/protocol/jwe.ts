import { KeyObject } from 'node:crypto'
import type { JWK } from 'jose'
import { decodeProtectedHeader } from 'jose/decode/protected_header'
import { compactDecrypt } from 'jose/jwe/compact/decrypt'
import { OidcError } from '../errors.js'
import { CONTENT_ALGORITHMS, KEY_ALGORITHMS } from './encryption-algorithms.js'
import { withoutNulls } from './json.js'
import { sanitize } from './printable.js'

/** A private key that tokens for this site are encrypted to. A JWK may name itself (`kid`), its algorithm (`alg`) and its purpose (`use`). */
export type DecryptionKey = KeyObject | JWK

/** Characters. A signed token of 65,536 characters, encrypted. */
const MAX_LENGTH = 90_000

/** Keys that are tried for one token. */
const MAX_CANDIDATES = 4

interface JweHeader {
  readonly alg: string
  readonly kid?: string
}

/**
 * Decrypts a nested JWT: what comes out is a signed token whose signature is still to be checked. RFC 7519 section 5.2, RFC 7516 section 5.2.
 * A compressed token is refused: a small one could become a large one (RFC 8725 section 3.6).
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_MALFORMED, ERR_OIDC_ID_TOKEN_ENCRYPTION for an algorithm or a header that is not accepted,
 *   ERR_OIDC_ID_TOKEN_DECRYPTION where no key opens it
 */
export async function decryptJwt(token: string, keys: readonly DecryptionKey[]): Promise<string> {
  if (token.length > MAX_LENGTH) throw new OidcError('ERR_OIDC_ID_TOKEN_MALFORMED', 'the encrypted token is too long')
  const header = parseHeader(token)
  const candidates = selectDecryptionKeys(keys, header).slice(0, MAX_CANDIDATES)
  if (candidates.length === 0)
    throw new OidcError('ERR_OIDC_ID_TOKEN_DECRYPTION', 'no key of this site fits the encrypted token')
  const options = { keyManagementAlgorithms: [header.alg], contentEncryptionAlgorithms: [...CONTENT_ALGORITHMS] }
  for (const key of candidates) {
    try {
      const { plaintext } = await compactDecrypt(token, key, options)
      return Buffer.from(plaintext).toString('latin1')
    } catch {
      // Another key may still fit. Why this one does not is told to no one: it could say something about the padding or the key.
    }
  }
  throw new OidcError('ERR_OIDC_ID_TOKEN_DECRYPTION', 'no key of this site opens the encrypted token')
}

function parseHeader(token: string): JweHeader {
  const { alg, enc, zip, crit, cty = undefined, kid = undefined } = withoutNulls(readHeader(token))
  if (typeof alg !== 'string' || !KEY_ALGORITHMS.some(name => name === alg)) throw refused('alg', alg)
  if (typeof enc !== 'string' || !CONTENT_ALGORITHMS.some(name => name === enc)) throw refused('enc', enc)
  if (zip !== undefined) throw refused('zip', zip)
  if (crit !== undefined) throw refused('crit', undefined)
  // RFC 7519 section 5.2: a nested JWT says so. Some providers do not.
  if (cty !== undefined && !(typeof cty === 'string' && /^(application\/)?jwt$/i.test(cty))) throw refused('cty', cty)
  if (kid !== undefined && typeof kid !== 'string') throw refused('kid', undefined)
  return { alg, ...(kid !== undefined && { kid }) }
}

function readHeader(token: string): Record<string, unknown> {
  try {
    return { ...decodeProtectedHeader(token) }
  } catch {
    throw new OidcError('ERR_OIDC_ID_TOKEN_MALFORMED', 'the header of the encrypted token is damaged')
  }
}

/** The keys that may open a token: those whose type, `kid`, `alg` and `use` fit. One with its `kid` comes first; one without may be meant by any. */
export function selectDecryptionKeys(keys: readonly DecryptionKey[], header: JweHeader): readonly DecryptionKey[] {
  const fitting = keys.filter(key => {
    const { kty, kid, alg, use } = describeKey(key)
    if (use !== undefined && use !== 'enc') return false
    if (alg !== undefined && alg !== header.alg) return false
    if (kid !== undefined && header.kid !== undefined && kid !== header.kid) return false
    return header.alg.startsWith('RSA') ? kty === 'RSA' : kty === 'EC' || kty === 'OKP'
  })
  const isNamed = (key: DecryptionKey) => header.kid !== undefined && describeKey(key).kid === header.kid
  return [...fitting.filter(isNamed), ...fitting.filter(key => !isNamed(key))]
}

function describeKey(key: DecryptionKey): Partial<JWK> {
  return key instanceof KeyObject ? { kty: typeOf(key) } : key
}

function typeOf({ asymmetricKeyType: type }: KeyObject): string {
  if (type === 'rsa') return 'RSA'
  return type === 'ec' ? 'EC' : 'OKP'
}

function refused(member: string, actual: unknown): OidcError {
  const message = `the ${member} of the encrypted token is not accepted`
  return new OidcError('ERR_OIDC_ID_TOKEN_ENCRYPTION', message, { cause: { member, actual: sanitize(actual) } })
}
