import { hash } from 'node:crypto'

/** HMAC-SHA256 under one key. */
export type Hmac = (message: string) => Buffer

const BLOCK_BYTES = 64

/**
 * RFC 2104 by two one-shot hashes. Two of these are on the way of every request, and `createHmac` makes an object of OpenSSL's for
 * each, which takes longer to make and to collect than the hashing does.
 */
export function createHmacSha256(key: Buffer): Hmac {
  const block = Buffer.alloc(BLOCK_BYTES)
  if (key.length > BLOCK_BYTES) hash('sha256', key, 'buffer').copy(block)
  else key.copy(block)
  const inner = block.map(byte => byte ^ 0x36)
  const outer = block.map(byte => byte ^ 0x5c)
  return message => {
    const digest = hash('sha256', Buffer.concat([inner, Buffer.from(message)]), 'buffer')
    return hash('sha256', Buffer.concat([outer, digest]), 'buffer')
  }
}
