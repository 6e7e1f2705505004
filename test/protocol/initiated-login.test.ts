import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseInitiatedLogin } from '../../lib/protocol/initiated-login.js'

const issuer = 'https://op.example'
const parse = (fields: readonly (readonly [string, string])[]) => parseInitiatedLogin(fields, () => issuer)

describe('a sign-in that starts elsewhere', () => {
  test('says who is about to sign in and the page to land on, and nothing else counts', () => {
    const fields = [
      ['iss', issuer],
      ['login_hint', 'alice'],
      ['target_link_uri', 'https://www.example.com/a'],
      ['scope', 'admin'],
    ] as const
    assert.deepEqual(parse(fields), { loginHint: 'alice', targetLinkUri: 'https://www.example.com/a' })
  })

  test('need not say more than the issuer; what is empty is not there', () => {
    assert.deepEqual(parse([['iss', issuer]]), {})
    const empty = [
      ['iss', issuer],
      ['login_hint', ''],
      ['target_link_uri', ''],
    ] as const
    assert.deepEqual(parse(empty), {})
  })

  test('has parameters of 2048 characters at most', () => {
    const long = 'x'.repeat(2048)
    assert.equal(parse([...[['iss', issuer] as const], ['login_hint', long]]).loginHint, long)
    for (const name of ['login_hint', 'target_link_uri'])
      assert.throws(
        () =>
          parse([
            ['iss', issuer],
            [name, `${long}x`],
          ]),
        { code: 'ERR_OIDC_REQUEST_MALFORMED', message: new RegExp(`${name} is too long`) },
      )
  })

  for (const fields of [[], [['iss', '']], [['login_hint', 'alice']]] as const)
    test(`without an issuer (${JSON.stringify(fields)}) is refused`, () => {
      assert.throws(() => parse(fields), { code: 'ERR_OIDC_REQUEST_MALFORMED', message: /iss is missing/ })
    })

  for (const name of ['iss', 'login_hint', 'target_link_uri'])
    test(`with two of ${name} is refused`, () => {
      const fields = [['iss', issuer], [name, issuer], ...(name === 'iss' ? [] : [[name, issuer] as const])] as const
      assert.throws(() => parse(fields), {
        code: 'ERR_OIDC_REQUEST_MALFORMED',
        message: new RegExp(`^a sign-in that was started elsewhere: ${name} occurs more than once`),
      })
    })

  test('by another issuer is refused, and the error says by whom', () => {
    for (const iss of ['https://other.example', `${issuer}/`, 'https://OP.example'])
      assert.throws(() => parse([['iss', iss]]), {
        code: 'ERR_OIDC_RESPONSE_ISSUER',
        cause: { expected: issuer, actual: iss },
      })
  })
})
