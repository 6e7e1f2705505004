import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  buildClientCredentialsGrant,
  buildCodeGrant,
  buildExchangeGrant,
  buildRefreshGrant,
  buildRevocation,
} from '../../lib/protocol/token-request.js'

test('a code is traded with its verifier and the redirect URI it was asked for with', () => {
  const grant = buildCodeGrant({ code: 'c&d', redirectUri: 'https://rp.example/callback', codeVerifier: 'verifier' })
  assert.deepEqual(grant, {
    grant_type: 'authorization_code',
    code: 'c&d',
    redirect_uri: 'https://rp.example/callback',
    code_verifier: 'verifier',
  })
})

test('a code that was asked for without a challenge is traded without a verifier', () => {
  const grant = buildCodeGrant({ code: 'c', redirectUri: 'https://rp.example/callback' })
  assert.deepEqual(Object.keys(grant), ['grant_type', 'code', 'redirect_uri'])
})

test('a refresh token is traded for the same again', () => {
  const grant = buildRefreshGrant({ refreshToken: 'r+t' })
  assert.deepEqual(grant, { grant_type: 'refresh_token', refresh_token: 'r+t' })
})

test('a refresh token is traded for less, and for one API', () => {
  const grant = buildRefreshGrant({ refreshToken: 'r', scope: 'read', resource: 'https://api.example/' })
  assert.deepEqual(grant, {
    grant_type: 'refresh_token',
    refresh_token: 'r',
    scope: 'read',
    resource: 'https://api.example/',
  })
})

test('a client asks for a token of its own, with nothing and with everything', () => {
  assert.deepEqual(buildClientCredentialsGrant({}), { grant_type: 'client_credentials' })
  assert.deepEqual(buildClientCredentialsGrant({ scope: 'read', resource: 'https://api.example/' }), {
    grant_type: 'client_credentials',
    scope: 'read',
    resource: 'https://api.example/',
  })
})

test('an access token is traded for one that the next service takes, with nothing and with everything', () => {
  const least = {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: 'a',
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
  }
  const more = { audience: 'orders', resource: 'https://api.example/', scope: 'read' }
  assert.deepEqual(buildExchangeGrant({ subjectToken: 'a' }), least)
  assert.deepEqual(buildExchangeGrant({ subjectToken: 'a', ...more }), { ...least, ...more })
})

test('a token is taken back by its value and its kind', () => {
  assert.deepEqual(buildRevocation('r', 'refresh_token'), { token: 'r', token_type_hint: 'refresh_token' })
})
