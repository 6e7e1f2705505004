import assert from 'node:assert/strict'
import { test } from 'node:test'
import { buildEndSessionUrl } from '../../lib/protocol/end-session.js'

const request = { endpoint: 'https://op.example/end?tenant=1&client_id=other', clientId: 'client' }

test('a request with everything carries everything, once', () => {
  const url = buildEndSessionUrl({
    ...request,
    idTokenHint: 'a.b.c',
    postLogoutRedirectUri: 'https://rp.example/logout/callback',
    state: 'the-state',
    uiLocales: 'de en',
    params: { logout_hint: 'sub', tenant: undefined },
  })
  assert.deepEqual(Object.fromEntries(new URL(url).searchParams), {
    tenant: '1',
    client_id: 'client',
    id_token_hint: 'a.b.c',
    post_logout_redirect_uri: 'https://rp.example/logout/callback',
    state: 'the-state',
    ui_locales: 'de en',
    logout_hint: 'sub',
  })
  assert.deepEqual(new URL(url).searchParams.getAll('client_id'), ['client'])
})

test('a request with the least names the client and nothing else', () => {
  assert.equal(
    buildEndSessionUrl({ ...request, endpoint: 'https://op.example/end' }),
    'https://op.example/end?client_id=client',
  )
})

for (const name of ['id_token_hint', 'client_id', 'post_logout_redirect_uri', 'state']) {
  test(`the site cannot replace ${name}`, () => {
    assert.throws(() => buildEndSessionUrl({ ...request, params: { [name]: 'x' } }), { code: 'ERR_OIDC_OPTIONS' })
  })
}
