import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPosted, isSigned } from '../../lib/protocol/response-mode.js'

for (const [mode, posted, signed] of [
  ['query', false, false],
  ['form_post', true, false],
  ['query.jwt', false, true],
  ['form_post.jwt', true, true],
] as const)
  test(`${mode} is ${posted ? '' : 'not '}posted and ${signed ? '' : 'not '}signed`, () => {
    assert.deepEqual([isPosted(mode), isSigned(mode)], [posted, signed])
  })
