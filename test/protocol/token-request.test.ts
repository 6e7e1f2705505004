import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildCodeGrant, buildRefreshGrant } from '../../lib/protocol/token-request.js'

test('a code is traded with its verifier and the redirect URI it was asked for with', () => {
  const grant = buildCodeGrant({ code: 'c&d', redirectUri: 'https://rp.example/callback', codeVerifier: 'verifier' })
  assert.deepEqual(grant, {
    grant_type: 'authorization_code',
    code: 'c&d',
    redirect_uri: 'https://rp.example/callback',
    code_verifier: 'verifier',
  })
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
