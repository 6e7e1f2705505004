import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeRefusedRegistration } from '../../lib/protocol/registration-refusal.js'

const refusal = (status: number, error?: string, request: 'create' | 'read' | 'update' | 'delete' = 'create') =>
  describeRefusedRegistration({ request, status, providerError: error === undefined ? undefined : { error } })

test('each refusal has a code by its status', () => {
  for (const [status, code] of [
    [400, 'ERR_OIDC_REGISTRATION_REJECTED'],
    [401, 'ERR_OIDC_REGISTRATION_REJECTED'],
    [403, 'ERR_OIDC_REGISTRATION_REJECTED'],
    [404, 'ERR_OIDC_REGISTRATION_REJECTED'],
    [405, 'ERR_OIDC_UNSUPPORTED'],
    [501, 'ERR_OIDC_UNSUPPORTED'],
    [429, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
    [500, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
  ] as const)
    assert.equal(refusal(status).code, code, String(status))
})

test('the message says what to look at, and repeats no word of the provider', () => {
  assert.match(refusal(400, 'invalid_redirect_uri').message, /redirect URIs/)
  assert.match(refusal(400, 'invalid_client_metadata').message, /client metadata/)
  assert.match(refusal(400, 'invalid_software_statement').message, /software statement/)
  assert.match(refusal(400, 'unapproved_software_statement').message, /not approved/)
  assert.match(refusal(401).message, /initialAccessToken/)
  assert.match(refusal(401, undefined, 'update').message, /registration access token/)
  assert.match(refusal(405, undefined, 'delete').message, /offer to delete/)
  assert.match(refusal(400, 'odd').message, /with status 400$/)
  assert.deepEqual(refusal(400, 'odd').providerError, { error: 'odd' })
})
