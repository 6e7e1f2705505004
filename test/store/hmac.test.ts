import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createHmacSha256 } from '../../lib/store/hmac.js'

/** RFC 4231 section 4, the test cases whose data is text. */
const vectors: readonly [key: Buffer, message: string, hex: string][] = [
  [Buffer.alloc(20, 0x0b), 'Hi There', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
  [
    Buffer.from('Jefe'),
    'what do ya want for nothing?',
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  [
    Buffer.alloc(131, 0xaa),
    'Test Using Larger Than Block-Size Key - Hash Key First',
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
]

test('the MACs are those of RFC 4231', () => {
  for (const [key, message, hex] of vectors) assert.equal(createHmacSha256(key)(message).toString('hex'), hex)
})

test("the MACs are Node's for keys and messages of every length", () => {
  for (let length = 0; length <= 300; length += 1) {
    const key = randomBytes(length)
    const message = `${randomBytes(length).toString('base64')}ü€`
    assert.deepEqual(
      createHmacSha256(key)(message),
      createHmac('sha256', key).update(message).digest(),
      `${length} bytes`,
    )
  }
})
