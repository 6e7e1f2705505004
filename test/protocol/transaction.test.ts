import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  checkTransaction,
  parseTransaction,
  type Transaction,
  type TransactionExpectations,
} from '../../lib/protocol/transaction.js'

const now = 1_750_000_000

const transaction: Transaction = {
  state: 'state-of-this-attempt',
  nonce: 'nonce-of-this-attempt',
  codeVerifier: 'verifier-of-this-attempt',
  returnTo: '/claims',
  redirectUri: 'https://rp.example/callback',
  issuer: 'https://op.example',
  clientId: 'client',
  responseType: 'code id_token',
  responseMode: 'form_post',
  createdAt: now - 60,
}

const expected: TransactionExpectations = {
  state: transaction.state,
  issuer: transaction.issuer,
  clientId: transaction.clientId,
  redirectUri: transaction.redirectUri,
  responseType: transaction.responseType,
  responseMode: transaction.responseMode,
  now,
  lifetime: 900,
}

test('an answer to this attempt is taken', () => {
  checkTransaction(transaction, expected)
})

const mismatches: readonly { name: string; change: Partial<TransactionExpectations> }[] = [
  { name: 'another state', change: { state: 'state-of-that-attempt' } },
  { name: 'a state that is the beginning of the right one', change: { state: 'state' } },
  { name: 'a state that goes on after the right one', change: { state: `${transaction.state}x` } },
  { name: 'an empty state', change: { state: '' } },
  { name: 'another issuer', change: { issuer: 'https://op.example/' } },
  { name: 'another client', change: { clientId: 'Client' } },
  { name: 'another redirect URI', change: { redirectUri: 'https://rp.example/callback/' } },
  { name: 'another response type', change: { responseType: 'code' } },
  { name: 'another response mode', change: { responseMode: 'query' } },
]

for (const { name, change } of mismatches) {
  test(`an answer with ${name} does not belong to this attempt`, () => {
    assert.throws(() => checkTransaction(transaction, { ...expected, ...change }), {
      code: 'ERR_OIDC_TRANSACTION_MISMATCH',
    })
  })
}

const times = [
  { name: 'at the last second', createdAt: now - 900, isAccepted: true },
  { name: 'one second too late', createdAt: now - 901, isAccepted: false },
  { name: 'from a clock 30 seconds ahead', createdAt: now + 30, isAccepted: true },
  { name: 'from the future', createdAt: now + 31, isAccepted: false },
]

for (const { name, createdAt, isAccepted } of times) {
  test(`an answer ${name} is ${isAccepted ? 'taken' : 'refused'}`, () => {
    const check = () => checkTransaction({ ...transaction, createdAt }, expected)
    if (isAccepted) check()
    else assert.throws(check, { code: 'ERR_OIDC_TRANSACTION_EXPIRED' })
  })
}

test('what a cookie held is read as a transaction', () => {
  assert.deepEqual(parseTransaction(JSON.parse(JSON.stringify(transaction))), transaction)
})

test('what a cookie held of an attempt by query is read', () => {
  const byQuery: Transaction = { ...transaction, responseType: 'code', responseMode: 'query' }
  assert.deepEqual(parseTransaction(JSON.parse(JSON.stringify(byQuery))), byQuery)
})

test('what a cookie held is read with every optional member', () => {
  const whole: Transaction = {
    ...transaction,
    sessionId: 'id',
    maxAge: 0,
    acrValues: ['mfa'],
    scope: '',
    continues: 'user',
    restarts: 1,
  }
  assert.deepEqual(parseTransaction(JSON.parse(JSON.stringify(whole))), whole)
})

const texts = ['state', 'nonce', 'codeVerifier', 'returnTo', 'redirectUri', 'issuer', 'clientId']
const broken: readonly (readonly [string, unknown])[] = [
  ...texts.flatMap(name => [undefined, '', 42, null, ['x']].map(value => [name, value] as const)),
  ...[undefined, 'id_token code', 'token', 42].map(value => ['responseType', value] as const),
  ...[undefined, 'fragment', '', 42].map(value => ['responseMode', value] as const),
  ...[undefined, '1750000000', -1, Number.NaN, 1e300].map(value => ['createdAt', value] as const),
  ['sessionId', 42],
  ...['false', 0, null].map(value => ['pkce', value] as const),
  ...['0', -1, 0.5, null].map(value => ['maxAge', value] as const),
  ...['mfa', [1], {}].map(value => ['acrValues', value] as const),
  ...[42, null, ['openid']].map(value => ['scope', value] as const),
  ...[42, null, ['user']].map(value => ['continues', value] as const),
  ...['0', -1, 0.5].map(value => ['restarts', value] as const),
]

for (const [name, value] of broken) {
  test(`a cookie whose ${name} is ${JSON.stringify(value)} holds no transaction`, () => {
    assert.equal(parseTransaction({ ...transaction, [name]: value }), undefined)
  })
}

for (const value of [undefined, null, 'text', 42, [], [transaction]]) {
  test(`a cookie with ${JSON.stringify(value)?.slice(0, 20)} holds no transaction`, () => {
    assert.equal(parseTransaction(value), undefined)
  })
}
