import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkProviderSupports,
  ENDPOINTS,
  findDoubt,
  type ProviderNeeds,
  parseProviderMetadata,
} from '../../lib/protocol/metadata.js'
import { idTokenAlgorithms } from '../../lib/protocol/signing-algorithms.js'

const issuer = 'https://op.example/'

const valid = {
  issuer,
  authorization_endpoint: 'https://op.example/authorize?tenant=1',
  token_endpoint: 'https://op.example/token',
  userinfo_endpoint: 'https://op.example/userinfo',
  jwks_uri: 'https://op.example/jwks',
  end_session_endpoint: 'https://op.example/end',
  revocation_endpoint: 'https://op.example/revoke',
  check_session_iframe: 'https://op.example/iframe',
  response_types_supported: ['code', 'id_token code', 'token code id_token'],
  response_modes_supported: ['query', 'fragment', 'form_post'],
  token_endpoint_auth_methods_supported: ['client_secret_basic'],
  token_endpoint_auth_signing_alg_values_supported: ['RS256'],
  id_token_signing_alg_values_supported: ['none', 'RS256'],
  authorization_response_iss_parameter_supported: true,
  op_policy_uri: 42,
}

const needs: ProviderNeeds = { responseType: 'code id_token', responseMode: 'form_post', signingAlgorithm: 'RS256' }

test('a complete document is taken as it is', () => {
  assert.deepEqual(parseProviderMetadata(valid, issuer), valid)
})

test('a document with nothing but what is required is taken', () => {
  const least = { issuer, authorization_endpoint: 'https://op.example/authorize' }
  assert.deepEqual(parseProviderMetadata(least, issuer), least)
})

test('a provider on this machine may speak http', () => {
  const local = { issuer: 'http://localhost:4000', authorization_endpoint: 'http://localhost:4000/authorize' }
  assert.deepEqual(parseProviderMetadata(local, 'http://localhost:4000'), local)
})

for (const other of [
  'https://op.example',
  'https://op.example//',
  'https://OP.example/',
  'http://op.example/',
  'https://op.example/INVALID',
  ['https://op.example/'],
  null,
  undefined,
]) {
  test(`the issuer ${JSON.stringify(other)} is not the configured one`, () => {
    assert.throws(() => parseProviderMetadata({ ...valid, issuer: other }, issuer), {
      code: 'ERR_OIDC_METADATA_ISSUER',
    })
  })
}

for (const json of [null, undefined, 'text', 42, [], [valid]]) {
  test(`${JSON.stringify(json)?.slice(0, 20)} is not a metadata document`, () => {
    assert.throws(() => parseProviderMetadata(json, issuer), { code: 'ERR_OIDC_METADATA' })
  })
}

test('a document without an authorization endpoint is refused', () => {
  assert.throws(() => parseProviderMetadata({ issuer }, issuer), { code: 'ERR_OIDC_METADATA' })
})

const endpoints = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'end_session_endpoint',
  'revocation_endpoint',
  'check_session_iframe',
  'pushed_authorization_request_endpoint',
]

const badEndpoints = [
  'http://op.example/x',
  'https://user:word@op.example/x',
  'https://op.example/x#fragment',
  'javascript:alert(1)',
  '/relative',
  ' ',
  42,
  {},
  ['https://op.example/x'],
]

for (const name of endpoints) {
  for (const value of badEndpoints) {
    test(`${name} cannot be ${JSON.stringify(value)}`, () => {
      assert.throws(() => parseProviderMetadata({ ...valid, [name]: value }, issuer), { code: 'ERR_OIDC_METADATA' })
    })
  }
}

const plainAddresses = [
  'http://localhost:4000/x',
  'http://op.localhost/x',
  'http://127.0.0.1/x',
  'HTTP://127.1.2.3:80/x?y=1',
  'http://[::1]:8443/x',
  'http://0x7f.1/x',
]

for (const name of endpoints) {
  test(`${name} of an https issuer is not plain http, on a loopback host either, unless the site itself has chosen it`, () => {
    for (const value of plainAddresses) {
      const json = { ...valid, [name]: value }
      const advice = {
        code: 'ERR_OIDC_METADATA',
        message: new RegExp(`plain http URL for ${name}.*set endpoints\\.${name}`),
      }
      assert.throws(() => parseProviderMetadata(json, issuer), advice, value)
      const others = endpoints.filter(other => other !== name)
      assert.throws(() => parseProviderMetadata(json, issuer, others), advice, value)
      assert.deepEqual(parseProviderMetadata(json, issuer, [name]), json)
      const local = { ...json, issuer: 'http://localhost:4000' }
      assert.deepEqual(parseProviderMetadata(local, 'http://localhost:4000'), local)
    }
    const shouted = { ...valid, issuer: 'HTTPS://op.example/', [name]: plainAddresses[0] }
    assert.throws(() => parseProviderMetadata(shouted, 'HTTPS://op.example/'), { code: 'ERR_OIDC_METADATA' })
  })

  test(`${name} that the site has chosen is still not plain http on another host`, () => {
    const json = { ...valid, [name]: 'http://op.example/x' }
    assert.throws(() => parseProviderMetadata(json, issuer, [name]), { code: 'ERR_OIDC_METADATA' })
  })
}

test('every endpoint that is used is checked', () => {
  assert.deepEqual(endpoints, [...ENDPOINTS])
})

const lists = Object.keys(valid).filter(name => Array.isArray(valid[name as keyof typeof valid]))

for (const name of lists) {
  for (const value of [[1], [[['code']]], [null], [''], {}, 7, '']) {
    test(`${name} that is ${JSON.stringify(value)} is as good as none`, () => {
      const { [name]: _, ...without } = valid as Record<string, unknown>
      assert.deepEqual(parseProviderMetadata({ ...valid, [name]: value }, issuer), without)
    })
  }

  test(`${name} that is one text is a list of one, and what is no text in a list is left out`, () => {
    const expected = { ...valid, [name]: ['code'] }
    for (const value of ['code', ['code', null, 7, '']])
      assert.deepEqual(parseProviderMetadata({ ...valid, [name]: value }, issuer), expected)
  })
}

test('the lists of the document are all checked', () => {
  assert.equal(lists.length, 5)
})

for (const name of [...endpoints.slice(1), ...lists, 'authorization_response_iss_parameter_supported']) {
  test(`${name} without a value is as good as none`, () => {
    const { [name]: _, ...without } = valid as Record<string, unknown>
    const empty = lists.includes(name) ? [null, []] : name.endsWith('supported') ? [null] : [null, '']
    for (const value of empty) assert.deepEqual(parseProviderMetadata({ ...valid, [name]: value }, issuer), without)
  })
}

for (const value of [null, '']) {
  test(`an authorization endpoint of ${JSON.stringify(value)} is none, and there has to be one`, () => {
    const code = 'ERR_OIDC_METADATA'
    assert.throws(() => parseProviderMetadata({ ...valid, authorization_endpoint: value }, issuer), { code })
  })
}

test('what this package does not use may be anything', () => {
  const unused = { scopes_supported: 'openid', grant_types_supported: 7, code_challenge_methods_supported: {} }
  assert.deepEqual(parseProviderMetadata({ ...valid, ...unused }, issuer), { ...valid, ...unused })
})

test('the flag for the iss parameter is a boolean, or one as text', () => {
  const parse = (value: unknown) =>
    parseProviderMetadata({ ...valid, authorization_response_iss_parameter_supported: value }, issuer)
      .authorization_response_iss_parameter_supported
  assert.equal(parse('true'), true)
  assert.equal(parse('false'), false)
  for (const value of ['yes', 1, [], {}]) assert.throws(() => parse(value), { code: 'ERR_OIDC_METADATA' })
})

test('a provider that offers what the site needs will do', () => {
  checkProviderSupports(parseProviderMetadata(valid, issuer), needs)
})

test('lists that are not published are not held against a provider', () => {
  const { authorization_endpoint, token_endpoint, jwks_uri } = valid
  checkProviderSupports({ issuer, authorization_endpoint, token_endpoint, jwks_uri }, needs)
})

const lacking = [
  {
    name: 'the response type',
    metadata: { response_types_supported: ['code', 'id_token token'] },
    says: /"code id_token"; it offers "code", "id_token token": set responseType to 'code'/,
  },
  {
    name: 'the response mode',
    metadata: { response_modes_supported: ['query', 'fragment'] },
    says: /"form_post"; it offers "query", "fragment": set responseMode to 'query' and responseType to 'code'/,
  },
  {
    name: 'the algorithm',
    metadata: { id_token_signing_alg_values_supported: ['none', 'HS256'] },
    says: /"RS256"; it offers "none", "HS256": set idTokenAlgorithm/,
  },
]

for (const { name, metadata, says } of lacking) {
  test(`a provider that does not offer ${name} is found out, and the message names what it offers and the option`, () => {
    const code = 'ERR_OIDC_UNSUPPORTED'
    assert.throws(() => checkProviderSupports({ ...valid, ...metadata }, needs), { code, message: says })
  })
}

test('an asymmetric algorithm that the provider lists needs no option', () => {
  for (const listed of ['ES256', 'PS256', 'EdDSA'])
    checkProviderSupports({ ...valid, id_token_signing_alg_values_supported: ['none', 'HS256', listed] }, needs)
  assert.deepEqual(idTokenAlgorithms({ id_token_signing_alg_values_supported: ['none', 'HS256', 'PS256', 'RS256'] }), [
    'RS256',
    'PS256',
  ])
  assert.deepEqual(idTokenAlgorithms({ id_token_signing_alg_values_supported: ['none', 'HS256'] }), ['RS256'])
  assert.deepEqual(idTokenAlgorithms({}), ['RS256'])
  assert.deepEqual(idTokenAlgorithms({ id_token_signing_alg_values_supported: ['RS256'] }, 'HS256'), ['HS256'])
})

const explicit = ['responseType', 'responseMode', 'idTokenAlgorithm'] as const
for (const { name, metadata, says } of lacking) {
  test(`${name} that an option names is asked for although the provider does not list it, and a warning says so`, () => {
    const warnings: string[] = []
    const warn = (warning: string) => void warnings.push(warning)
    checkProviderSupports({ ...valid, ...metadata }, { ...needs, explicit }, warn)
    assert.equal(warnings.length, 1)
    const [, value = '', option = ''] = /"([^"]+)".*set (\w+)/.exec(says.source) ?? []
    assert.ok(warnings[0]?.includes(`"${value}"`) && warnings[0].includes(`set ${option} `), warnings[0])
    const others = explicit.filter(each => each !== option)
    assert.throws(() => checkProviderSupports({ ...valid, ...metadata }, { ...needs, explicit: others }, warn), {
      code: 'ERR_OIDC_UNSUPPORTED',
    })
    checkProviderSupports(valid, { ...needs, explicit }, warn)
    assert.equal(warnings.length, 1)
  })
}

test('no option counts for more than what a provider requires, or for an endpoint that is missing', () => {
  const code = 'ERR_OIDC_UNSUPPORTED'
  const missing = (name: string) => Object.fromEntries(Object.entries(valid).filter(([key]) => key !== name))
  for (const metadata of [
    { ...valid, require_pushed_authorization_requests: true },
    parseProviderMetadata(missing('token_endpoint'), issuer),
    parseProviderMetadata(missing('jwks_uri'), issuer),
  ]) {
    assert.throws(() => checkProviderSupports(metadata, { ...needs, explicit }), { code })
  }
})

test('a list of a provider stays short and harmless in the message', () => {
  const types = Array.from({ length: 500 }, (_, at) => `type${at}\n\u001b[31m${'x'.repeat(300)}`)
  const found = () => checkProviderSupports({ ...valid, response_types_supported: types }, needs)
  assert.throws(found, (error: Error) => error.message.length < 2000 && !/[^\x20-\x7e]/.test(error.message))
})

for (const [name, says] of [
  ['require_pushed_authorization_requests', /PAR, RFC 9126.*require_pushed_authorization_requests/],
  ['require_signed_request_object', /JAR, RFC 9101.*require_signed_request_object/],
] as const) {
  test(`a provider with ${name} is refused, and one that says false is not`, () => {
    const code = 'ERR_OIDC_UNSUPPORTED'
    const unwilling = { ...needs, pushedAuthorization: false }
    assert.throws(() => checkProviderSupports({ ...valid, [name]: true }, unwilling), { code, message: says })
    checkProviderSupports({ ...valid, [name]: false }, needs)
    assert.equal(parseProviderMetadata({ ...valid, [name]: 'true' }, issuer)[name], true)
    for (const value of ['yes', 1, '', []]) {
      assert.throws(() => parseProviderMetadata({ ...valid, [name]: value }, issuer), { code: 'ERR_OIDC_METADATA' })
    }
  })
}

test('a provider that requires or is sent pushed requests has to have the endpoint for them', () => {
  const {
    require_pushed_authorization_requests: _,
    pushed_authorization_request_endpoint: __,
    ...without
  } = {
    require_pushed_authorization_requests: undefined,
    pushed_authorization_request_endpoint: undefined,
    ...valid,
  }
  const endpoint = { pushed_authorization_request_endpoint: `${issuer}par` }
  const required = { require_pushed_authorization_requests: true }
  const message = /pushed_authorization_request_endpoint/
  const check = (metadata: object, pushedAuthorization?: 'auto' | boolean) =>
    checkProviderSupports({ ...without, ...metadata }, { ...needs, pushedAuthorization })
  assert.throws(() => check(required), { code: 'ERR_OIDC_UNSUPPORTED', message })
  assert.throws(() => check({}, true), { code: 'ERR_OIDC_UNSUPPORTED', message })
  for (const setting of ['auto', true, undefined] as const) check({ ...required, ...endpoint }, setting)
  check(endpoint, true)
  check({})
  check({}, false)
})

for (const [actual, expected, says] of [
  [
    'https://op.example/',
    'https://op.example',
    /'https:\/\/op.example\/'.*has no slash at the end.*set issuer to 'https:\/\/op.example\/'/,
  ],
  ['https://op.example', 'https://op.example/', /has an extra slash.*set issuer to 'https:\/\/op.example'$/],
  ['https://op.example/t', 'https://op.example/t//', /has an extra slash.*set issuer to 'https:\/\/op.example\/t'$/],
  [
    'https://OP.example',
    'https://op.example',
    /'https:\/\/OP.example'.*'https:\/\/op.example': they must be identical/,
  ],
  [
    'https://else.example',
    'https://op.example',
    /'https:\/\/else.example'.*'https:\/\/op.example': they must be identical/,
  ],
  [undefined, 'https://op.example', /no issuer.*'https:\/\/op.example'/],
] as const) {
  test(`the message names both issuers: ${actual} for ${expected}`, () => {
    const code = 'ERR_OIDC_METADATA_ISSUER'
    assert.throws(() => parseProviderMetadata({ ...valid, issuer: actual }, expected), { code, message: says })
  })
}

test('a provider that lists no response modes leaves a doubt where form_post is asked for, and nowhere else', () => {
  const { response_modes_supported: _, ...without } = valid
  assert.match(findDoubt(without, needs) ?? '', /response_modes_supported.*405.*responseMode: 'query'/)
  assert.equal(findDoubt(without, { responseMode: 'query' }), undefined)
  assert.equal(findDoubt(valid, needs), undefined)
})

test('a code needs a token endpoint', () => {
  const { token_endpoint: _, ...without } = valid
  assert.throws(() => checkProviderSupports(without, needs), { code: 'ERR_OIDC_UNSUPPORTED' })
  checkProviderSupports({ ...without, response_types_supported: ['id_token'] }, { ...needs, responseType: 'id_token' })
})

test('a signature by the provider needs published keys, one by a shared secret does not', () => {
  const { jwks_uri: _, ...without } = valid
  assert.throws(() => checkProviderSupports(without, needs), { code: 'ERR_OIDC_UNSUPPORTED' })
  const metadata = { ...without, id_token_signing_alg_values_supported: ['HS256'] }
  checkProviderSupports(metadata, { ...needs, signingAlgorithm: 'HS256' })
})
