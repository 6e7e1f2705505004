import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AuthorizationRequest,
  addToEndpoint,
  buildAuthorizationUrl,
} from '../../lib/protocol/authorization-request.js'

const request: AuthorizationRequest = {
  endpoint: 'https://op.example/authorize',
  clientId: 'katana client',
  redirectUri: 'https://rp.example/callback?x=1&y=2',
  responseType: 'code id_token token',
  responseMode: 'form_post',
  scope: 'openid email offline_access',
  state: 'the-state',
  nonce: 'the-nonce',
  codeChallenge: 'the-challenge',
}

function query(change: Partial<AuthorizationRequest> = {}): URLSearchParams {
  return new URL(buildAuthorizationUrl({ ...request, ...change })).searchParams
}

test('a request carries everything the hybrid flow needs, once', () => {
  assert.deepEqual(
    [...query()],
    [
      ['client_id', 'katana client'],
      ['redirect_uri', 'https://rp.example/callback?x=1&y=2'],
      ['response_type', 'code id_token token'],
      ['response_mode', 'form_post'],
      ['scope', 'openid email offline_access'],
      ['state', 'the-state'],
      ['nonce', 'the-nonce'],
      ['code_challenge', 'the-challenge'],
      ['code_challenge_method', 'S256'],
    ],
  )
})

test('the query of the endpoint is kept, and cannot speak for the protocol', () => {
  const params = query({ endpoint: 'https://op.example/authorize?tenant=a%26b&client_id=other&client_id=third' })
  assert.equal(params.get('tenant'), 'a&b')
  assert.deepEqual(params.getAll('client_id'), ['katana client'])
})

test('the mode is left out where it is the default', () => {
  assert.equal(query({ responseType: 'code', responseMode: 'query' }).has('response_mode'), false)
  assert.equal(query({ responseType: 'code', responseMode: 'form_post' }).get('response_mode'), 'form_post')
  assert.equal(query({ responseType: 'id_token', responseMode: 'query' }).get('response_mode'), 'query')
})

test('a challenge is sent where there is a code, state and nonce always', () => {
  const withoutCode = query({ responseType: 'id_token' })
  assert.equal(withoutCode.has('code_challenge'), false)
  assert.equal(withoutCode.has('code_challenge_method'), false)
  assert.equal(withoutCode.get('state'), 'the-state')
  assert.equal(withoutCode.get('nonce'), 'the-nonce')
  assert.equal(query({ responseType: 'code' }).get('code_challenge'), 'the-challenge')
  assert.equal(query({ responseType: 'code' }).get('nonce'), 'the-nonce')
})

test('without a challenge nothing of PKCE is sent, whatever the response type', () => {
  const { codeChallenge: _, ...withoutPkce } = request
  for (const responseType of ['code', 'code id_token', 'code token', 'code id_token token', 'id_token'] as const) {
    const params = new URL(buildAuthorizationUrl({ ...withoutPkce, responseType })).searchParams
    assert.deepEqual(
      [...params.keys()].filter(name => name.startsWith('code_')),
      [],
    )
    assert.equal(params.get('nonce'), 'the-nonce')
  }
})

for (const [scope, sent] of [
  ['', 'openid'],
  ['email', 'openid email'],
  ['email openid', 'openid email'],
  ['openid  email openid email ', 'openid email'],
] as const) {
  test(`the scope "${scope}" is sent as "${sent}"`, () => {
    assert.equal(query({ scope }).get('scope'), sent)
  })
}

test('parameters of the site go along in the form their names ask for', () => {
  const params = query({
    params: {
      prompt: 'login',
      max_age: 0,
      ui_locales: ['de', 'en'],
      acr_values: [],
      resource: ['https://a.example/', 'https://b.example/'],
      claims: { id_token: { acr: { essential: true } } },
      authorization_details: [{ type: 'payment', list: ['a'] }, { type: 'account' }],
      login_hint: undefined,
    },
  })
  assert.equal(params.get('prompt'), 'login')
  assert.equal(params.get('max_age'), '0')
  assert.equal(params.get('ui_locales'), 'de en')
  assert.equal(params.has('acr_values'), false)
  assert.deepEqual(params.getAll('resource'), ['https://a.example/', 'https://b.example/'])
  assert.equal(params.get('claims'), '{"id_token":{"acr":{"essential":true}}}')
  assert.equal(params.get('authorization_details'), '[{"type":"payment","list":["a"]},{"type":"account"}]')
  assert.equal(params.has('login_hint'), false)
})

test('a parameter of the site replaces one in the query of the endpoint', () => {
  const params = query({
    endpoint: 'https://op.example/authorize?prompt=none&prompt=none',
    params: { prompt: 'login' },
  })
  assert.deepEqual(params.getAll('prompt'), ['login'])
})

test('parameters are added to any endpoint as the platform adds them one by one', () => {
  const parts = [
    '',
    '?',
    '?a=b',
    '?a=b&a=c&d',
    '?state=x&state=y',
    "?q='%20+&=&&é=ü",
    '?a=b#part',
    '#part',
    '?tenant=1&p=B2C_1_a',
  ]
  const hosts = [
    'https://op.example',
    'https://op.example/authorize',
    'http://[::1]:8080/a%20b/',
    'https://op.example/über',
  ]
  const values = ['', ' ', 'a b+c', "'!()*~", '&=#?%', 'é\u{1f600}', '%41', '\n\t', 'https://rp.example/?x=1&y=2']
  for (const host of hosts) {
    for (const part of parts) {
      for (const value of values) {
        const params = new URLSearchParams([
          ['state', value],
          ['resource', value],
          ['resource', 'second'],
          [value, 'name'],
        ])
        const expected = new URL(host + part)
        for (const name of params.keys()) expected.searchParams.delete(name)
        for (const [name, text] of params) expected.searchParams.append(name, text)
        assert.equal(addToEndpoint(host + part, params), expected.href)
      }
    }
  }
})

test('an endpoint without parameters is left as it is', () => {
  for (const endpoint of ['https://op.example/authorize', 'https://op.example/authorize?a=b']) {
    assert.equal(addToEndpoint(endpoint, new URLSearchParams()), endpoint)
  }
})

const reserved = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'scope',
  'state',
  'nonce',
  'code_challenge',
  'code_challenge_method',
  'request',
  'request_uri',
]

for (const name of reserved) {
  test(`the site cannot replace ${name}`, () => {
    assert.throws(() => query({ params: { [name]: 'x' } }), { code: 'ERR_OIDC_OPTIONS' })
  })
}

const notSendable: readonly unknown[] = [null, true, Number.NaN, Number.POSITIVE_INFINITY, () => 'x', Symbol('x')]

for (const value of notSendable) {
  test(`a parameter cannot be ${String(value)}`, () => {
    assert.throws(() => query({ params: { prompt: value as string } }), { code: 'ERR_OIDC_OPTIONS' })
  })
}
