import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ClientMetadata, findChanges } from '../../lib/protocol/client-metadata.js'

const bySecret = (method: string) => method.startsWith('client_secret')
const changes = (requested: ClientMetadata, registered: ClientMetadata) =>
  findChanges(requested, registered, bySecret).map(({ name, breaksSignIn }) => `${name}${breaksSignIn ? '!' : ''}`)

test('what is registered as it was requested is no change, in whatever order it is written', () => {
  const keys = { keys: [{ kty: 'EC', x: 'a', y: 'b' }] }
  const requested = { redirect_uris: ['b', 'a'], scope: 'openid email', jwks: keys, dpop_bound_access_tokens: true }
  const registered = {
    jwks: { keys: [{ y: 'b', x: 'a', kty: 'EC' }] },
    scope: 'email openid',
    redirect_uris: ['a', 'b'],
  }
  assert.deepEqual(changes(requested, { ...registered, dpop_bound_access_tokens: true, more: 1 }), [])
  assert.deepEqual(changes(requested, { ...registered, jwks: { keys: [{ kty: 'EC', x: 'a', y: 'c' }] } }), [
    'jwks',
    'dpop_bound_access_tokens!',
  ])
})

test('members that stand for others, or that the site has left out, are not compared', () => {
  assert.deepEqual(changes({ software_statement: 'x', client_id: 'a', client_secret: 'b', logo_uri: null }, {}), [])
})

test('a list that lacks what was requested breaks sign-ins, and one that has more does not', () => {
  assert.deepEqual(changes({ redirect_uris: ['a'] }, { redirect_uris: ['a', 'b'] }), ['redirect_uris'])
  assert.deepEqual(changes({ redirect_uris: ['a'] }, { redirect_uris: ['b'] }), ['redirect_uris!'])
  assert.deepEqual(changes({ redirect_uris: ['a'] }, { redirect_uris: 'a' }), ['redirect_uris!'])
  assert.deepEqual(changes({ response_types: ['code id_token'] }, { response_types: ['id_token code', 'code'] }), [
    'response_types',
  ])
  const grants = { grant_types: ['authorization_code', 'refresh_token'] }
  assert.deepEqual(changes(grants, { grant_types: ['authorization_code'] }), ['grant_types'])
  assert.deepEqual(changes(grants, { grant_types: ['refresh_token'] }), ['grant_types!'])
})

test('a method that this site cannot use breaks sign-ins', () => {
  const requested = { token_endpoint_auth_method: 'client_secret_basic' }
  for (const [method, found] of [
    ['client_secret_post', ['token_endpoint_auth_method']],
    ['private_key_jwt', ['token_endpoint_auth_method!']],
    [7, ['token_endpoint_auth_method!']],
    [undefined, ['token_endpoint_auth_method']],
  ] as const)
    assert.deepEqual(changes(requested, { token_endpoint_auth_method: method }), found)
})

test('a value that the site depends on breaks sign-ins when it is another one, and not when the provider leaves it out', () => {
  for (const name of [
    'id_token_signed_response_alg',
    'userinfo_signed_response_alg',
    'authorization_signed_response_alg',
    'request_object_signing_alg',
    'token_endpoint_auth_signing_alg',
  ]) {
    assert.deepEqual(changes({ [name]: 'ES256' }, { [name]: 'RS256' }), [`${name}!`])
    assert.deepEqual(changes({ [name]: 'ES256' }, {}), [name])
    assert.deepEqual(changes({ [name]: 'ES256' }, { [name]: 'ES256' }), [])
  }
  assert.deepEqual(changes({ client_name: 'Shop' }, { client_name: 'Another' }), ['client_name'])
})
