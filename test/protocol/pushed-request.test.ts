import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  buildReference,
  describeRefusedPush,
  isPushed,
  parsePushedResponse,
} from '../../lib/protocol/pushed-request.js'

const issuer = 'https://op.example'
const metadata = { issuer, authorization_endpoint: `${issuer}/authorize` }

test('a request is pushed where the provider requires it, or the site says so', () => {
  const required = { ...metadata, require_pushed_authorization_requests: true }
  const offered = { ...metadata, pushed_authorization_request_endpoint: `${issuer}/par` }
  assert.deepEqual(
    [metadata, offered, required].map(each =>
      [undefined, 'auto' as const, true, false].map(way => isPushed(each, way)),
    ),
    [
      [false, false, true, false],
      [false, false, true, false],
      [true, true, true, false],
    ],
  )
})

test('the reference of a pushed request is taken whatever its scheme, with or without its life', () => {
  for (const request_uri of [
    'urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c',
    'https://op.example/r/1',
  ]) {
    for (const expires_in of [60, 0, '60', undefined]) {
      assert.equal(parsePushedResponse({ request_uri, expires_in, other: {} }), request_uri)
    }
  }
})

for (const value of [
  undefined,
  null,
  '',
  1,
  ['urn:x:1'],
  {},
  'no URI',
  'urn:x:\n1',
  `urn:x:${'1'.repeat(2048)}`,
  'urn:x:ü',
]) {
  test(`${JSON.stringify(value)?.slice(0, 30)} is no reference to a request`, () => {
    assert.throws(() => parsePushedResponse({ request_uri: value, expires_in: 60 }), {
      code: 'ERR_OIDC_PROVIDER_RESPONSE',
    })
  })
}

for (const body of [undefined, null, [], 'urn:x:1', 1]) {
  test(`${JSON.stringify(body)} is no response to a pushed request`, () => {
    assert.throws(() => parsePushedResponse(body), { code: 'ERR_OIDC_PROVIDER_RESPONSE' })
  })
}

test('the browser takes the reference and the client to the provider, and nothing else', () => {
  assert.deepEqual(
    [...buildReference('the client', 'urn:x:1')],
    [
      ['client_id', 'the client'],
      ['request_uri', 'urn:x:1'],
    ],
  )
})

for (const [status, error, code] of [
  [400, 'invalid_request', 'ERR_OIDC_AUTHORIZATION_FAILED'],
  [400, 'invalid_scope', 'ERR_OIDC_AUTHORIZATION_FAILED'],
  [403, 'access_denied', 'ERR_OIDC_AUTHORIZATION_FAILED'],
  [401, 'invalid_client', 'ERR_OIDC_CLIENT_REJECTED'],
  [400, 'unauthorized_client', 'ERR_OIDC_CLIENT_REJECTED'],
  [404, undefined, 'ERR_OIDC_PROVIDER_RESPONSE'],
  [413, undefined, 'ERR_OIDC_PROVIDER_RESPONSE'],
  [429, 'invalid_request', 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  [500, 'invalid_client', 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  [503, undefined, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
] as const) {
  test(`a pushed request with the response ${status} ${error} is ${code}`, () => {
    const providerError = error === undefined ? undefined : { error }
    const refused = describeRefusedPush({ status, providerError, clientMethod: 'client_secret_basic', retryAfter: 7 })
    assert.equal(refused.code, code)
    assert.deepEqual(refused.providerError, providerError)
    assert.deepEqual(refused.cause, { status, ...(error && { error }), retryAfter: 7 })
    if (refused.status === 503) assert.equal(refused.headers['Retry-After'], '7')
  })
}

test('what a response does not say is not in the cause', () => {
  const { cause } = describeRefusedPush({ status: 404, providerError: undefined, clientMethod: 'none' })
  assert.deepEqual(Object.entries(cause as object), [['status', 404]])
})
