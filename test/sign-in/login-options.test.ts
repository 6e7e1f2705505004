import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enforceParams } from '../../lib/sign-in/login-options.js'

const acr = (request: object) => ({ id_token: { acr: request } })

for (const [what, claims, expected] of [
  ['no request for claims', undefined, undefined],
  ['a request for another claim', { id_token: { email: { essential: true } } }, undefined],
  ['an acr that is only wished for', acr({ values: ['mfa'] }), undefined],
  ['an acr that is not essential', acr({ essential: false, value: 'mfa' }), undefined],
  ['an essential acr of one value', acr({ essential: true, value: 'mfa' }), ['mfa']],
  ['an essential acr of several values', acr({ essential: true, values: ['mfa', 'hw'] }), ['mfa', 'hw']],
  ['an essential acr of any value', acr({ essential: true }), []],
] as const) {
  test(`${what}: what the ID Token must show is ${JSON.stringify(expected)}, written as an object or as JSON`, () => {
    for (const written of [claims, claims && JSON.stringify(claims)]) {
      const { enforced } = enforceParams({ ...(written !== undefined && { claims: written as never }) })
      assert.deepEqual(enforced, expected === undefined ? {} : { acrValues: expected })
    }
  })
}

test('claims that are no JSON are refused', () => {
  assert.throws(() => enforceParams({ claims: '{' }), { code: 'ERR_OIDC_OPTIONS' })
})

test('a max_age is a whole number of seconds, as a number or in digits', () => {
  for (const value of [0, 60, '0', '60']) {
    assert.equal(enforceParams({ max_age: value }).enforced.maxAge, Number(value))
  }
  for (const value of [-1, 0.5, Number.NaN, '', ' 1', '1.5', '-1', true, null, []] as never[]) {
    assert.throws(() => enforceParams({ max_age: value }), { code: 'ERR_OIDC_OPTIONS' }, JSON.stringify(value))
  }
})
