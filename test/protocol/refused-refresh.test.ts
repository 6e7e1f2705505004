import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OidcError, type OidcErrorCode } from '../../lib/errors.js'
import { judgeRefusedRefresh, type RefreshCircumstances } from '../../lib/protocol/refused-refresh.js'

function failure(code: OidcErrorCode, cause?: { readonly status: number; readonly error?: string }): OidcError {
  return new OidcError(code, 'refused', { cause })
}

function judge(error: OidcError, circumstances: Partial<RefreshCircumstances> = {}) {
  const verdict = judgeRefusedRefresh(error, { isMain: true, isExpired: false, ...circumstances })
  return { ...verdict, error: verdict.error.code }
}

const invalidGrant = failure('ERR_OIDC_REFRESH_REJECTED', { status: 400, error: 'invalid_grant' })

describe('a refused refresh', () => {
  test('by invalid_grant ends the session where it was the main token, and pauses the token where it was another', () => {
    for (const isExpired of [true, false]) {
      const main = { error: 'ERR_OIDC_REFRESH_REJECTED', endsSession: true, pauses: 'token', isLogged: false }
      assert.deepEqual(judge(invalidGrant, { isExpired }), main)
      const other = { error: 'ERR_OIDC_TOKEN_DENIED', endsSession: false, pauses: 'token', isLogged: true }
      assert.deepEqual(judge(invalidGrant, { isExpired, isMain: false }), other)
    }
  })

  test('by an ID Token about another user ends the session, whichever token it came with', () => {
    const foreign = failure('ERR_OIDC_REFRESH_REJECTED')
    for (const isMain of [true, false]) {
      const verdict = { error: 'ERR_OIDC_REFRESH_REJECTED', endsSession: true, pauses: 'session', isLogged: true }
      assert.deepEqual(judge(foreign, { isMain }), verdict)
    }
  })

  test('that is definite ends the session only when the access token has expired', () => {
    for (const status of [400, 401, 403]) {
      for (const error of ['invalid_request', 'invalid_scope', 'unauthorized_client', 'access_denied']) {
        const refused = failure('ERR_OIDC_TOKEN_RESPONSE', { status, error })
        assert.deepEqual(
          judge(refused, { isExpired: true }),
          { error: 'ERR_OIDC_REFRESH_REJECTED', endsSession: true, pauses: 'token', isLogged: true },
          `${status} ${error}`,
        )
        assert.equal(judge(refused).endsSession, false)
        assert.equal(judge(refused, { isMain: false, isExpired: true }).endsSession, false)
      }
    }
  })

  test('that is not definite never ends it: another status, another word', () => {
    for (const [status, error] of [
      [404, 'invalid_request'],
      [429, 'invalid_request'],
      [500, 'invalid_scope'],
      [400, 'server_error'],
      [400, ''],
    ] as const) {
      const verdict = judge(failure('ERR_OIDC_TOKEN_RESPONSE', { status, error }), { isExpired: true })
      assert.deepEqual([verdict.endsSession, verdict.error], [false, 'ERR_OIDC_TOKEN_RESPONSE'], `${status} ${error}`)
    }
  })

  test('that says something about the provider or the client pauses the session, and any other the token it was for', () => {
    for (const code of ['ERR_OIDC_PROVIDER_UNAVAILABLE', 'ERR_OIDC_CLIENT_REJECTED'] as const) {
      for (const isMain of [true, false]) assert.equal(judge(failure(code), { isMain }).pauses, 'session', code)
    }
    assert.equal(judge(failure('ERR_OIDC_TOKEN_RESPONSE')).pauses, 'session')
    assert.equal(judge(failure('ERR_OIDC_TOKEN_RESPONSE'), { isMain: false }).pauses, 'token')
  })
})
