import { hash } from 'node:crypto'

/** HMAC-SHA256 under one key. */
export type Hmac = (message: string) => Buffer

const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const ROOM_BYTES = 256

/**
 * RFC 2104 by two one-shot hashes. Two of these are on the way of every request, and `createHmac` makes an object of OpenSSL's for
 * each, which takes longer to make and to collect than the hashing does.
 */
export function createHmacSha256(key: Buffer): Hmac {
  const block = Buffer.alloc(BLOCK_BYTES)
  if (key.length > BLOCK_BYTES) hash('sha256', key, 'buffer').copy(block)
  else key.copy(block)
  // Room for what is hashed, used again and again: nothing here waits for anything in between.
  const inner = Buffer.alloc(BLOCK_BYTES + ROOM_BYTES)
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES)
  inner.set(block.map(byte => byte ^ 0x36))
  outer.set(block.map(byte => byte ^ 0x5c))
  return message => {
    const length = Buffer.byteLength(message)
    const room = length <= ROOM_BYTES ? inner : Buffer.concat([inner.subarray(0, BLOCK_BYTES)], BLOCK_BYTES + length)
    room.write(message, BLOCK_BYTES)
    hash('sha256', room.subarray(0, BLOCK_BYTES + length), 'buffer').copy(outer, BLOCK_BYTES)
    return hash('sha256', outer, 'buffer')
  }
}
