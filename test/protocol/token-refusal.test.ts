import assert from 'node:assert/strict'
import { test } from 'node:test'
import { adviseOnRefusal, exchangeRefusal } from '../../lib/protocol/token-refusal.js'

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange'

const refusals: readonly [grantType: string, status: number, error: string | undefined, isOfExchange: boolean][] = [
  [exchange, 400, 'invalid_request', true],
  [exchange, 400, 'unauthorized_client', true],
  [exchange, 400, 'invalid_client', true],
  [exchange, 401, 'unauthorized_client', true],
  [exchange, 401, 'invalid_client', false],
  [exchange, 400, 'invalid_grant', false],
  [exchange, 400, 'unsupported_grant_type', false],
  [exchange, 400, undefined, false],
  ['refresh_token', 400, 'invalid_request', false],
  ['refresh_token', 400, 'unauthorized_client', false],
  ['refresh_token', 400, 'invalid_client', false],
]

for (const [grantType, status, error, isOfExchange] of refusals) {
  test(`${error} with ${status} in response to ${grantType} is ${isOfExchange ? '' : 'not '}about the exchange`, () => {
    const expected = isOfExchange ? 'ERR_OIDC_TOKEN_DENIED' : undefined
    assert.equal(exchangeRefusal({ status, error, grantType }), expected)
    const advice = adviseOnRefusal({ status, error, grantType }) ?? ''
    assert.equal(advice.startsWith('the provider refused the token exchange'), isOfExchange, advice)
  })
}

const advised: readonly [error: string | undefined, advice: RegExp | undefined][] = [
  ['unauthorized_client', /^the provider does not allow this client the grant refresh_token: allow it/],
  ['unsupported_grant_type', /^the provider does not offer the grant refresh_token$/],
  ['invalid_client', /^the provider refused this client: check clientId and clientSecret/],
  ['invalid_grant', undefined],
  ['invalid_request', undefined],
  ['server_error', undefined],
  [undefined, undefined],
]

for (const [error, advice] of advised) {
  test(`${error}: the operator is told ${advice === undefined ? 'nothing' : 'what to do'}`, () => {
    const request = { status: 400, error, grantType: 'refresh_token', clientMethod: 'client_secret_basic' } as const
    const told = adviseOnRefusal(request)
    if (advice === undefined) assert.equal(told, undefined)
    else assert.match(told ?? '', advice)
  })
}

const methods = [
  ['client_secret_basic', /client_secret_post/],
  ['client_secret_post', /client_secret_basic/],
  ['client_secret_jwt', /check the secret .* method: 'client_secret_jwt'/],
  ['private_key_jwt', /check the key .* method: 'private_key_jwt'/],
  ['none', /clientSecret or another clientAuthentication/],
  [undefined, /clientSecret or another clientAuthentication/],
] as const

for (const [clientMethod, advice] of methods) {
  test(`invalid_client in response to ${clientMethod ?? 'nothing'}: another method is named`, () => {
    assert.match(adviseOnRefusal({ status: 401, error: 'invalid_client', clientMethod }) ?? '', advice)
  })
}
