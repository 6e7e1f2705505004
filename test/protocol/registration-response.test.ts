import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRegistration } from '../../lib/protocol/registration-response.js'

const issuer = 'https://op.example'
const whole = {
  client_id: 'shop',
  client_secret: 'a b:c%',
  client_secret_expires_at: 2_000_000_000,
  registration_access_token: 'token',
  registration_client_uri: 'https://op.example/clients/shop?x=1',
  redirect_uris: ['https://www.example.com/callback'],
}

test('credentials, expiry and address are read, and the rest stays as it is', () => {
  assert.deepEqual(parseRegistration(whole, { issuer }), {
    clientId: 'shop',
    clientSecret: 'a b:c%',
    clientSecretExpiresAt: 2_000_000_000,
    registrationAccessToken: 'token',
    registrationClientUri: 'https://op.example/clients/shop?x=1',
    metadata: {
      client_id: 'shop',
      client_secret_expires_at: 2_000_000_000,
      registration_client_uri: 'https://op.example/clients/shop?x=1',
      redirect_uris: ['https://www.example.com/callback'],
    },
  })
  assert.equal(parseRegistration(whole, { issuer, clientId: 'shop' }).clientId, 'shop')
})

test('a public client has an id and nothing else; 0 and null stand for no expiry', () => {
  for (const at of [undefined, null, 0])
    assert.deepEqual(
      parseRegistration({ client_id: 'shop', client_secret_expires_at: at }, { issuer }).clientSecretExpiresAt,
      undefined,
    )
  assert.deepEqual(Object.keys(parseRegistration({ client_id: 'shop' }, { issuer })), ['clientId', 'metadata'])
})

for (const [name, value] of [
  ['client_id', undefined],
  ['client_id', ''],
  ['client_id', ' shop'],
  ['client_id', 'shop\u0000'],
  ['client_id', 'ümlaut'],
  ['client_id', ['shop']],
  ['client_id', 'other'],
  ['client_secret', 7],
  ['client_secret', ''],
  ['client_secret', 'a\nb'],
  ['client_secret_expires_at', '0'],
  ['client_secret_expires_at', -1],
  ['client_secret_expires_at', 1e16],
  ['registration_access_token', 'a b'],
  ['registration_access_token', true],
  ['registration_client_uri', 'http://op.example/c'],
  ['registration_client_uri', 'http://localhost/c'],
  ['registration_client_uri', 'https://op.example/c#f'],
  ['registration_client_uri', '/clients/shop'],
  ['registration_client_uri', 7],
] as const)
  test(`${name} ${JSON.stringify(value)} is refused`, () => {
    assert.throws(() => parseRegistration({ ...whole, [name]: value }, { issuer, clientId: 'shop' }), {
      code: 'ERR_OIDC_REGISTRATION_RESPONSE',
      message: name === 'client_id' && value === 'other' ? /another client/ : new RegExp(name),
    })
  })
