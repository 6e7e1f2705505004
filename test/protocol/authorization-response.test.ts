import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OidcError } from '../../lib/errors.js'
import {
  type AuthorizationSuccess,
  checkAuthorizationResponse,
  checkResponseIssuer,
  parseAuthorizationResponse,
} from '../../lib/protocol/authorization-response.js'
import type { ResponseType } from '../../lib/protocol/wire.js'

const issuer = 'https://op.example'

const fields = {
  state: 'the-state',
  iss: issuer,
  code: 'the-code',
  id_token: 'the.id.token',
  access_token: 'the-access-token',
  token_type: 'bEaReR',
  session_state: 'the-session.state',
}

const success: AuthorizationSuccess = { kind: 'success', ...fields }

function parse(form: Record<string, string>, ...more: [string, string][]) {
  return parseAuthorizationResponse([...Object.entries(form), ...more])
}

test('a complete response is read as a success', () => {
  assert.deepEqual(parse(fields), success)
})

test('a response with nothing but a state is read, and refused by the response type', () => {
  assert.deepEqual(parse({ state: 's' }), { kind: 'success', state: 's' })
})

test('the fields of a parsed query can be handed over as they are', () => {
  assert.deepEqual(parseAuthorizationResponse(new URLSearchParams('state=s&code=c%26d')), {
    kind: 'success',
    state: 's',
    code: 'c&d',
  })
})

test('unknown parameters are kept apart, and untrusted ones are ignored', () => {
  const response = parse({ ...fields, expires_in: '', scope: 'é', response_type: 'token', constructor: 'x' }, [
    '__proto__',
    'x',
  ])
  assert.deepEqual(response, { ...success, unverified: { response_type: 'token' } })
})

test('unknown parameters may repeat', () => {
  assert.deepEqual(parse(fields, ['x', '1'], ['x', '2'], ['x[]', '3'], ['__proto__', ''], ['__proto__', '']), success)
})

test('an error is read as a failure', () => {
  const response = parse({ state: 's', iss: issuer, error: 'access_denied', error_description: '', error_uri: 'x' })
  assert.deepEqual(response, { kind: 'error', state: 's', iss: issuer, providerError: { error: 'access_denied' } })
})

test('an error is cut to 100 characters of printable ASCII', () => {
  const response = parse({ state: 's', error: `a\r\n\u001b[31m\u202eb<c>é${'d'.repeat(5000)}` })
  assert.deepEqual(response, {
    kind: 'error',
    state: 's',
    providerError: { error: `a [31m b c ${'d'.repeat(88)}` },
  })
})

const known = [...Object.keys(fields), 'error', 'error_description', 'error_uri', 'expires_in', 'scope']

for (const name of known) {
  for (const second of [name, `${name}[]`, `${name}[0]`, `${name}[a]`, `${name}[\n`]) {
    test(`${name} and ${second} make a response ambiguous`, () => {
      const form: Record<string, string> = { ...(name === 'error' ? {} : fields), state: 's', [name]: 'x' }
      assert.throws(() => parse(form, [second, 'x']), { code: 'ERR_OIDC_REQUEST_MALFORMED' })
    })
  }
  test(`${name} as a list of one is refused`, () => {
    const { [name]: _, ...form } = fields as Record<string, string>
    assert.throws(() => parse(form, [`${name}[]`, 'x']), { code: 'ERR_OIDC_REQUEST_MALFORMED' })
  })
}

for (const [name, limit] of Object.entries({ state: 2048, iss: 2048 })) {
  test(`${name} may have ${limit} characters and not one more`, () => {
    assert.equal(parse({ ...fields, [name]: 'x'.repeat(limit) }).kind, 'success')
    const tooLong = { ...fields, [name]: 'x'.repeat(limit + 1) }
    assert.throws(() => parse(tooLong), { code: 'ERR_OIDC_REQUEST_MALFORMED' })
  })
}

const odd = ['\u0000', 'a\nb', 'a\tb', 'é', '\u007f', '\ud800']

for (const name of Object.keys(fields).filter(each => each !== 'session_state')) {
  for (const value of odd) {
    test(`${name} cannot be ${JSON.stringify(value)}`, () => {
      assert.throws(() => parse({ ...fields, [name]: value }), { code: 'ERR_OIDC_REQUEST_MALFORMED' })
    })
  }
}

for (const name of ['code', 'id_token', 'access_token']) {
  test(`${name} may be as long as the body of a request, as at Azure AD B2C`, () => {
    const value = 'x'.repeat(100_000)
    assert.deepEqual(parse({ ...fields, [name]: value }), { ...success, [name]: value })
  })
}

for (const name of Object.keys(fields).filter(each => each !== 'state')) {
  test(`a response with an empty ${name} is one without it`, () => {
    const { [name]: _, ...without } = success as unknown as Record<string, string>
    assert.deepEqual(parse({ ...fields, [name]: '' }), without)
  })
}

test('a session_state that cannot be kept is left out', () => {
  const { session_state: _, ...without } = success
  assert.deepEqual(parse({ ...fields, session_state: 'x'.repeat(1024) }).kind, 'success')
  for (const value of [...odd, 'x'.repeat(1025)]) assert.deepEqual(parse({ ...fields, session_state: value }), without)
})

test('a response with an empty error is not a failure', () => {
  assert.deepEqual(parse({ ...fields, error: '' }), success)
})

const malformed: Record<string, Record<string, string>> = {
  'without a state': { code: 'c' },
  'with nothing in it': {},
  'with an error but no state': { error: 'access_denied' },
  'with an empty state': { state: '', code: 'c' },
  'with an error that has no printable character': { state: 's', error: '\u0000é' },
  'with an error and a code': { state: 's', error: 'access_denied', code: 'c' },
  'with an error and an ID Token': { state: 's', error: 'access_denied', id_token: 'i' },
  'with an error and an access token': { state: 's', error: 'access_denied', access_token: 'a' },
}

for (const [name, form] of Object.entries(malformed)) {
  test(`a response ${name} is refused`, () => {
    assert.throws(() => parse(form), { code: 'ERR_OIDC_REQUEST_MALFORMED' })
  })
}

test('whatever the fields, they are read one to one or refused', () => {
  const name = fc.oneof(
    fc.constantFrom(...known, 'code[]', 'state[x]', '__proto__', 'constructor', '[', ''),
    fc.string({ maxLength: 8 }),
  )
  const value = fc.oneof(fc.constantFrom('x', '', 'access_denied'), fc.string(), fc.string({ unit: 'binary' }))
  const form = fc.array(fc.tuple(name, value), { maxLength: 8 })
  const withState = form.map(pairs => [['state', 's'] as [string, string], ...pairs])
  let successes = 0
  fc.assert(
    fc.property(fc.oneof(form, withState), pairs => {
      const response = parsedOrRefused(pairs)
      if (response === undefined) return
      successes += 1
      for (const [member, text] of Object.entries(response)) {
        if (['kind', 'providerError', 'unverified'].includes(member)) continue
        assert.deepEqual(
          pairs.filter(([field]) => field === member),
          [[member, text]],
        )
        assert.match(text, /^[\x20-\x7e]+$/)
      }
      if (response.kind === 'success') {
        for (const [unknown, text] of Object.entries(response.unverified ?? {})) {
          assert.deepEqual(
            pairs.filter(([field]) => field === unknown),
            [[unknown, text]],
          )
          assert.ok(!known.includes(unknown), 'none of the protocol')
        }
      }
      if (response.kind === 'error') assert.match(response.providerError.error, /^[\x20-;=?-\x7e]{1,100}$/)
    }),
    { seed: 20250101, numRuns: 3000 },
  )
  assert.ok(successes > 300, `only ${successes} of the generated answers were read`)
})

function parsedOrRefused(pairs: readonly (readonly [string, string])[]) {
  try {
    return parseAuthorizationResponse(pairs)
  } catch (error) {
    assert.ok(error instanceof OidcError, String(error))
    assert.equal(error.code, 'ERR_OIDC_REQUEST_MALFORMED')
    return undefined
  }
}

const { state, session_state, code, id_token, access_token } = fields

const promises: readonly (readonly [ResponseType, object])[] = [
  ['code', { code }],
  ['code id_token', { code, id_token }],
  ['code token', { code, access_token }],
  ['code id_token token', { code, id_token, access_token }],
  ['id_token', { id_token }],
]

for (const [responseType, parts] of promises) {
  const expected = { responseType, issuer, issRequired: true }

  test(`of a response to "${responseType}", the promised fields are kept and the others dropped`, () => {
    assert.deepEqual(checkAuthorizationResponse(success, expected), { state, session_state, ...parts })
  })

  for (const name of Object.keys(parts)) {
    test(`a response to "${responseType}" without ${name} is refused`, () => {
      const { [name]: _, ...without } = success as unknown as Record<string, string>
      const check = () => checkAuthorizationResponse(without as unknown as AuthorizationSuccess, expected)
      assert.throws(check, { code: 'ERR_OIDC_REQUEST_MALFORMED' })
    })
  }
}

for (const token_type of [undefined, 'DPoP', 'Bearer ', 'mac']) {
  test(`an access token of the type ${token_type} is refused`, () => {
    const { token_type: _, ...rest } = success
    const response = token_type === undefined ? rest : { ...rest, token_type }
    const check = () => checkAuthorizationResponse(response, { responseType: 'code token', issuer, issRequired: false })
    assert.throws(check, { code: 'ERR_OIDC_REQUEST_MALFORMED' })
  })
}

test('the type of an access token that was not promised is not checked', () => {
  const response = checkAuthorizationResponse(
    { ...success, token_type: 'mac' },
    { responseType: 'code', issuer, issRequired: false },
  )
  assert.deepEqual(response, { state, session_state, code })
})

test('a response without iss is accepted where the provider does not have to send it', () => {
  checkResponseIssuer({}, { issuer, issRequired: false })
  checkResponseIssuer({ iss: issuer }, { issuer, issRequired: false })
  checkResponseIssuer({ iss: issuer }, { issuer, issRequired: true })
})

for (const iss of [
  'https://op.example/',
  'https://OP.example',
  'http://op.example',
  'https://op.exampl',
  'https://evil.example',
]) {
  for (const issRequired of [true, false]) {
    test(`a response of ${iss} is refused, whether iss is required (${issRequired}) or not`, () => {
      const expected = { responseType: 'code', issuer, issRequired } as const
      assert.throws(() => checkAuthorizationResponse({ ...success, iss }, expected), {
        code: 'ERR_OIDC_RESPONSE_ISSUER',
      })
      assert.throws(() => checkResponseIssuer({ iss }, expected), { code: 'ERR_OIDC_RESPONSE_ISSUER' })
    })
  }
}

test('members that a response does not have are absent in the result', () => {
  const response = checkAuthorizationResponse(
    { kind: 'success', state, code },
    { responseType: 'code', issuer, issRequired: false },
  )
  assert.deepEqual(response, { state, code })
})

test('the details of a refusal contain the issuer of the response', () => {
  assert.throws(() => checkResponseIssuer({ iss: 'https://evil.example\r\n' }, { issuer, issRequired: false }), {
    cause: { expected: issuer, actual: 'https://evil.example' },
  })
})

test('a provider that says it names itself has to do so', () => {
  const { iss: _, ...without } = success
  const check = () => checkAuthorizationResponse(without, { responseType: 'code', issuer, issRequired: true })
  assert.throws(check, { code: 'ERR_OIDC_RESPONSE_ISSUER' })
})
