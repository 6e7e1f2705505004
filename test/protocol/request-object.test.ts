import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { buildRequestClaims, buildSignedRequest, signRequestObject } from '../../lib/protocol/request-object.js'

const NOW = 1_800_000_000
const context = { clientId: 'client', issuer: 'https://op.example', now: NOW, jti: 'j-1' }
const ownClaims = {
  iss: 'client',
  aud: 'https://op.example',
  iat: NOW,
  nbf: NOW,
  exp: NOW + 300,
  jti: 'j-1',
}

function claimsOf(params: Readonly<Record<string, string>> | readonly (readonly [string, string])[]): unknown {
  return buildRequestClaims(new URLSearchParams(params as Record<string, string>), context)
}

describe('the claims of a request object', () => {
  test('are the parameters of the request, and who made it for whom, for five minutes', () => {
    assert.deepEqual(claimsOf({ client_id: 'client', scope: 'openid', state: 's' }), {
      client_id: 'client',
      scope: 'openid',
      state: 's',
      ...ownClaims,
    })
  })

  test('cannot be replaced by parameters of the site, and have no subject', () => {
    const given = { iss: 'x', aud: 'x', iat: '1', nbf: '1', exp: '1', jti: 'x', sub: 'x' }
    assert.deepEqual(claimsOf(given), ownClaims)
  })

  test('have numbers and JSON as what they are', () => {
    const given = {
      max_age: '60',
      claims: '{"id_token":{"acr":null}}',
      authorization_details: '[{"type":"payment"}]',
      state: '{"a":1}',
    }
    assert.deepEqual(claimsOf(given), {
      max_age: 60,
      claims: { id_token: { acr: null } },
      authorization_details: [{ type: 'payment' }],
      state: '{"a":1}',
      ...ownClaims,
    })
  })

  test('have JSON that is damaged as a text', () => {
    assert.deepEqual(claimsOf({ claims: '{' }), { claims: '{', ...ownClaims })
  })

  test('have a parameter that occurs twice as a list', () => {
    const twice = [
      ['resource', 'https://a.example'],
      ['resource', 'https://b.example'],
    ] as const
    assert.deepEqual(claimsOf(twice), { resource: ['https://a.example', 'https://b.example'], ...ownClaims })
  })
})

describe('a request object', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

  for (const header of [undefined, {}, { kid: 'k-1' }])
    test(`is signed, with a type of its own and the header ${JSON.stringify(header)}`, async () => {
      const signer = { key: privateKey, algorithm: 'ES256' as const, ...(header && { header }) }
      const token = await signRequestObject(signer, { scope: 'openid' })
      assert.deepEqual(decodeProtectedHeader(token), { alg: 'ES256', typ: 'oauth-authz-req+jwt', ...header })
      assert.deepEqual((await jwtVerify(token, publicKey)).payload, { scope: 'openid' })
    })

  test('is not made with a key that does not fit', async () => {
    await assert.rejects(signRequestObject({ key: privateKey, algorithm: 'PS256' }, {}), {
      code: 'ERR_OIDC_OPTIONS',
      message: /cannot sign with PS256/,
    })
  })
})

describe('a signed request', () => {
  const params = new URLSearchParams({ client_id: 'client', response_type: 'code', scope: 'openid', state: 's' })

  test('in an address has the client, the type and the scope beside it', () => {
    assert.equal(
      buildSignedRequest('a.b.c', params, false).toString(),
      'client_id=client&response_type=code&scope=openid&request=a.b.c',
    )
  })

  test('that is pushed has the client beside it', () => {
    assert.equal(buildSignedRequest('a.b.c', params, true).toString(), 'client_id=client&request=a.b.c')
  })
})
