import { constants, createCipheriv, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto'

/**
 * A nested JWT for an RSA key, by node:crypto alone: the tests make what a JOSE library refuses to make. RFC 7516 section 5.1.
 *
 * @param header - members besides `alg`, `enc` and `cty`
 */
export function encryptJwt(
  token: string,
  key: KeyObject,
  alg: 'RSA-OAEP-256' | 'RSA1_5' = 'RSA-OAEP-256',
  header: object = {},
): string {
  const [contentKey, iv] = [randomBytes(32), randomBytes(12)]
  const padding =
    alg === 'RSA1_5'
      ? { padding: constants.RSA_PKCS1_PADDING }
      : { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' }
  const head = Buffer.from(JSON.stringify({ alg, enc: 'A256GCM', cty: 'JWT', ...header })).toString('base64url')
  const cipher = createCipheriv('aes-256-gcm', contentKey, iv)
  cipher.setAAD(Buffer.from(head))
  const text = Buffer.concat([cipher.update(token), cipher.final()])
  const parts = [publicEncrypt({ key, ...padding }, contentKey), iv, text, cipher.getAuthTag()]
  return [head, ...parts.map(part => part.toString('base64url'))].join('.')
}
