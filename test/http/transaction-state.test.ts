import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createTransactions } from '../../lib/http/transaction-state.js'
import { type Config, redirectUri } from '../../lib/options/config.js'
import { fingerprint } from '../../lib/protocol/transaction.js'
import type { RecordStore } from '../../lib/store/store.js'

const config = {
  baseUrl: 'https://www.example.com',
  routes: { callback: '/callback' },
  responseType: 'code id_token',
  responseMode: 'form_post',
  scope: 'openid',
} as Config

test('a sign-in of a version that derived nonce and verifier in another way has other settings, and so begins anew', () => {
  const { settings } = createTransactions({ config, store: {} as RecordStore })
  const { responseType, responseMode, scope } = config
  const earlier = [redirectUri(config), responseType, responseMode, scope]
  assert.notEqual(settings, fingerprint(JSON.stringify(earlier), 8))
  assert.equal(createTransactions({ config, store: {} as RecordStore }).settings, settings)
})
