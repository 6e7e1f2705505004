import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { parseTokenError, parseTokenResponse, replacementOf } from '../../lib/protocol/token-response.js'

const valid = {
  access_token: 'access-token~1',
  token_type: 'Bearer',
  expires_in: 3600,
  scope: 'openid email',
  refresh_token: 'refresh token with +%& and a blank',
  id_token: 'a.b.c',
}

function parse(json: unknown, idTokenRequired = true) {
  return parseTokenResponse(json, { idTokenRequired })
}

test('a whole token response is taken', () => {
  assert.deepEqual(parse(valid), valid)
})

test('unknown members are left out', () => {
  assert.deepEqual(parse({ ...valid, ext_expires_in: 7200, ['__proto__']: 'x' }), valid)
})

test('the least a token response can be is an access token', () => {
  const least = { access_token: 'a', token_type: 'bearer' }
  assert.deepEqual(parse(least, false), least)
})

test('optional members that are null are absent', () => {
  const json = { ...valid, expires_in: null, scope: null, refresh_token: null, id_token: null }
  assert.deepEqual(parse(json, false), { access_token: valid.access_token, token_type: 'Bearer' })
})

for (const [name, values] of [
  ['refresh_token', ['', 42, ['r'], {}, false, 'line\r\nbreak', 'é']],
  ['id_token', ['', 42, ['t'], {}, true, 'é']],
  ['scope', [42, {}, true, null]],
] as const) {
  for (const value of values) {
    test(`a ${name} that is ${JSON.stringify(value)} and that nothing needs is absent`, () => {
      const { [name]: _, ...rest } = valid as Record<string, unknown>
      assert.deepEqual(parse({ ...valid, [name]: value }, false), rest)
    })
  }
}

for (const [given, kept] of [
  [['openid', 'email'], 'openid email'],
  [['openid email', 'read'], 'openid email read'],
  [['openid', 7, null, 'read'], 'openid read'],
  [[], ''],
  ['openid\nemail', 'openid email'],
  ['  openid   email ', 'openid email'],
  ['openid \u0000 é email', 'openid email'],
] as const) {
  test(`the scope ${JSON.stringify(given)} is read as "${kept}"`, () => {
    assert.equal(parse({ ...valid, scope: given }).scope, kept)
  })
}

test('an empty scope is a scope', () => {
  assert.equal(parse({ ...valid, scope: '' }).scope, '')
})

for (const [given, kept] of [
  [0, 0],
  ['3600', 3600],
  [315_360_000, 315_360_000],
  [315_360_001, undefined],
  [-1, undefined],
  ['', undefined],
  ['-1', undefined],
  ['1e3', undefined],
  ['soon', undefined],
  ['99999999999', undefined],
  [true, undefined],
  [[60], undefined],
  [1e300, undefined],
] as const) {
  test(`a life of ${JSON.stringify(given)} seconds counts as ${kept}`, () => {
    assert.equal(parse({ ...valid, expires_in: given }).expires_in, kept)
  })
}

const broken: readonly Record<string, unknown>[] = [
  ...[undefined, null, '', 42, ['a'], 'with blank', 'line\nbreak', 'é', '\u0000'].map(access_token => ({
    access_token,
  })),
  ...[undefined, null, '', 'DPoP', 'mac', 'Bearer ', 'xBearer', 42].map(token_type => ({ token_type })),
  ...[undefined, null, '', 42, {}, 'é'].map(id_token => ({ id_token })),
]

for (const change of broken) {
  const [[name, value] = []] = Object.entries(change)
  test(`a token response whose ${name} is ${JSON.stringify(value)} is refused`, () => {
    assert.throws(() => parse({ ...valid, ...change }), { code: 'ERR_OIDC_TOKEN_RESPONSE' })
  })
}

for (const json of [undefined, null, 'text', 42, [], [valid]]) {
  test(`${JSON.stringify(json)?.slice(0, 20)} is not a token response`, () => {
    assert.throws(() => parse(json), { code: 'ERR_OIDC_TOKEN_RESPONSE' })
  })
}

for (const [status, error, code] of [
  [400, 'invalid_grant', 'ERR_OIDC_CODE_REJECTED'],
  [401, 'invalid_client', 'ERR_OIDC_CLIENT_REJECTED'],
  [400, 'invalid_client', 'ERR_OIDC_CLIENT_REJECTED'],
  [400, 'unauthorized_client', 'ERR_OIDC_CLIENT_REJECTED'],
  [400, 'invalid_request', 'ERR_OIDC_TOKEN_RESPONSE'],
  [403, undefined, 'ERR_OIDC_TOKEN_RESPONSE'],
  [400, 'invalid_scope', 'ERR_OIDC_TOKEN_DENIED'],
  [400, 'invalid_target', 'ERR_OIDC_TOKEN_DENIED'],
  [403, 'access_denied', 'ERR_OIDC_TOKEN_DENIED'],
  [400, 'unsupported_grant_type', 'ERR_OIDC_UNSUPPORTED'],
  [429, 'invalid_grant', 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  [500, 'invalid_grant', 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  [503, 'invalid_client', 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
] as const) {
  test(`status ${status} with the error ${error} amounts to ${code}`, () => {
    const found = parseTokenError(status, { error })
    assert.equal(found.code, code)
    assert.deepEqual(found.cause, { status, error })
  })
}

for (const json of [undefined, null, '<html>', ['invalid_grant'], { error: ['invalid_grant'] }, { error: 42 }]) {
  test(`an unsuccessful response of ${JSON.stringify(json)} is no verdict on the code`, () => {
    const found = parseTokenError(400, json)
    assert.equal(found.code, 'ERR_OIDC_TOKEN_RESPONSE')
    assert.deepEqual(found.cause, { status: 400, error: undefined })
  })
}

test('a caller says what an invalid grant of its kind means', () => {
  const context = { invalidGrant: 'ERR_OIDC_TOKEN_DENIED' } as const
  assert.equal(parseTokenError(400, { error: 'invalid_grant' }, context).code, 'ERR_OIDC_TOKEN_DENIED')
  assert.equal(parseTokenError(503, { error: 'invalid_grant' }, context).code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
})

for (const [retryAfter, seconds] of [
  ['0', 0],
  ['120', 120],
  ['99999', 99_999],
] as const) {
  test(`"Retry-After: ${retryAfter}" of a provider is obeyed`, () => {
    const { cause } = parseTokenError(429, undefined, { retryAfter })
    assert.deepEqual(cause, { status: 429, error: undefined, retryAfter: seconds })
  })
}

for (const retryAfter of [undefined, null, '', '100000', '-1', '1.5', 'x1', '1x', 'Fri, 31 Dec 1999 23:59:59 GMT']) {
  test(`nothing is made of "Retry-After: ${retryAfter}"`, () => {
    assert.deepEqual(parseTokenError(429, undefined, { retryAfter }).cause, { status: 429, error: undefined })
  })
}

test('what a provider writes is a typed field, made harmless, and not in the message', () => {
  const description = `code ${'x1'.repeat(20)} of\r\n\u001b[31m alice@example.com\u202e is unknown`
  const found = parseTokenError(400, { error: `bad\r\n\u001b${'x'.repeat(500)}`, error_description: description })
  assert.deepEqual(found.providerError, {
    error: `bad ${'x'.repeat(96)}`,
    error_description: 'code … of [31m … is unknown',
  })
  assert.equal(found.message.includes('bad'), false)
})

test('the refresh token of a response that is refused is kept beside the error, and in no other place', () => {
  const refused = (json: unknown): unknown => {
    try {
      parse(json)
    } catch (error) {
      return error
    }
    return assert.fail('it was not refused')
  }
  const error = refused({ token_type: 'Bearer', refresh_token: 'the next one' })
  assert.equal(replacementOf(error), 'the next one')
  assert.ok(!inspect(error, { depth: 10, showHidden: true }).includes('the next one'))
  for (const json of [{ token_type: 'Bearer' }, { token_type: 'Bearer', refresh_token: '' }, 'no object'])
    assert.equal(replacementOf(refused(json)), undefined)
  assert.equal(replacementOf(new Error('another')), undefined)
})

test('a type that is not DPoP is explained where the request had a proof, and only there', () => {
  const messageOf = (isProven: boolean, token_type: string) => {
    try {
      parseTokenResponse({ access_token: 'a', token_type }, { idTokenRequired: false, isProven })
    } catch (error) {
      return (error as Error).message
    }
    return ''
  }
  assert.match(messageOf(true, 'Bearer'), /switch DPoP on for this client/)
  assert.match(messageOf(false, 'mac'), /token_type/)
  assert.doesNotMatch(messageOf(false, 'mac'), /DPoP/)
})
