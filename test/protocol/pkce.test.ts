import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildCodeChallenge } from '../../lib/protocol/authorization-request.js'

test('the challenge of RFC 7636 appendix B comes out', () => {
  const challenge = buildCodeChallenge('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')
  assert.equal(challenge, 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')
})
