import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { OidcError } from '../../lib/errors.js'
import {
  checkTransaction,
  deriveSecrets,
  fingerprint,
  joinTransaction,
  splitTransaction,
  type Transaction,
  type TransactionExpectations,
} from '../../lib/protocol/transaction.js'

const now = 1_750_000_000

const transaction: Transaction = {
  id: 'id-of-this-12',
  seed: 'seed-of-this-attempt',
  binding: fingerprint('this browser'),
  settings: 'settings',
  returnTo: '/claims',
  createdAt: now - 60,
  startedAt: (now - 60) * 1_000_000,
}

const expected: TransactionExpectations = {
  browser: { id: 'this browser', createdAt: now - 3600 },
  settings: 'settings',
  now,
  lifetime: 900,
}

/** What comes of a response: the verdict, or the code of the error. */
function outcome(changes: Partial<Transaction>, expectations: Partial<TransactionExpectations> = {}): string {
  try {
    return checkTransaction({ ...transaction, ...changes }, { ...expected, ...expectations })
  } catch (error) {
    assert.ok(error instanceof OidcError)
    return error.code.replace('ERR_OIDC_', '')
  }
}

describe('a response in the browser that started the attempt', () => {
  test('is valid for as long as a sign-in may take', () => {
    assert.equal(outcome({}), 'valid')
    assert.equal(outcome({ createdAt: now - 900 }), 'valid')
    assert.equal(outcome({ createdAt: now + 30 }), 'valid')
  })

  test('that is late, or from the future, starts anew once', () => {
    for (const createdAt of [now - 901, now - 1e6, now + 31]) {
      assert.equal(outcome({ createdAt }), 'restart')
      assert.equal(outcome({ createdAt, restarts: 1 }), 'TRANSACTION_EXPIRED')
    }
  })

  test('to a request with other settings starts anew six times', () => {
    const settings = 'after the deployment'
    for (const restarts of [0, 1, 5]) assert.equal(outcome({ restarts }, { settings }), 'restart')
    assert.equal(outcome({ restarts: 6 }, { settings }), 'TRANSACTION_MISMATCH')
  })
})

describe('a response in a browser with another binding', () => {
  const replaced = { id: 'another binding', createdAt: now - 61 }

  test('starts anew where the binding may have been replaced since: six times, then it is an error', () => {
    for (const createdAt of [now - 120, now - 61, now]) {
      const browser = { ...replaced, createdAt }
      for (const restarts of [0, 1, 5]) assert.equal(outcome({ restarts }, { browser }), 'restart')
      assert.equal(outcome({ restarts: 6 }, { browser }), 'TRANSACTION_MISSING')
    }
  })

  test('is refused where the browser had its binding before the sign-in began', () => {
    const browser = { ...replaced, createdAt: now - 121 }
    assert.equal(outcome({}, { browser }), 'TRANSACTION_MISSING')
  })

  test('is refused where the user has signed out since the sign-in began, and starts anew where it began later', () => {
    const { startedAt } = transaction
    const outcomeAfter = (signedOutAt: number) => outcome({}, { browser: { ...replaced, signedOutAt } })
    assert.equal(outcomeAfter(startedAt), 'SIGN_IN_ENDED')
    assert.equal(outcomeAfter(startedAt + 1), 'SIGN_IN_ENDED')
    assert.equal(outcomeAfter(startedAt - 1), 'restart')
  })
})

describe('nonce and verifier', () => {
  const secrets = (changes: Partial<Transaction> = {}, binding = 'this browser') => {
    const { nonce, codeVerifier } = deriveSecrets({ ...transaction, ...changes }, binding)
    return [nonce, codeVerifier]
  }

  test('are the same whenever they are derived, and have 43 URL-safe characters', () => {
    assert.deepEqual(secrets(), secrets())
    for (const value of secrets()) assert.match(value, /^[\w-]{43}$/)
  })

  test('differ from each other, and with every part they hang on', () => {
    const all = [secrets(), secrets({ id: 'x' }), secrets({ seed: 'x' }), secrets({}, 'x')].flat()
    assert.equal(new Set(all).size, 8)
  })
})

describe('what is sealed', () => {
  const text = fc.string({ minLength: 1 })
  const count = fc.nat()
  const some = fc.record(
    {
      id: text,
      seed: text,
      binding: text,
      settings: text,
      returnTo: text,
      createdAt: fc.integer({ min: 0, max: 4e9 }),
      startedAt: count,
      begunAt: count,
      sessionId: text,
      subject: text,
      maxAge: count,
      freshLogin: fc.constant(true),
      pkce: fc.constant(false),
      silent: fc.constant(true),
      proofAlgorithm: fc.constantFrom('ES256', 'EdDSA', 'Ed25519'),
      acrValues: fc.array(text),
      extraScope: text,
      params: fc.dictionary(text, fc.string()),
      restarts: count,
      rounds: count,
    },
    { requiredKeys: ['id', 'seed', 'binding', 'settings', 'returnTo', 'createdAt', 'startedAt'] },
  )

  test('comes back as it was, whatever it holds', () => {
    fc.assert(
      fc.property(some, value => {
        const { core, rest } = JSON.parse(JSON.stringify(splitTransaction(value as Transaction)))
        const joined = joinTransaction(value.id, core, rest)
        assert.equal(
          JSON.stringify(joined, Object.keys(value).sort()),
          JSON.stringify(value, Object.keys(value).sort()),
        )
      }),
    )
  })

  test('is refused with a part that is missing or of another kind', () => {
    const { core, rest } = splitTransaction({ ...transaction, restarts: 1, maxAge: 0, pkce: false })
    assert.ok(joinTransaction('id', core, rest))
    for (const name of Object.keys(core)) {
      for (const value of [null, {}, -1, '']) {
        assert.equal(joinTransaction('id', { ...core, [name]: value }, rest), undefined, `${name}: ${value}`)
      }
    }
    for (const other of [undefined, null, 'text', [], 5]) {
      assert.equal(joinTransaction('id', other, rest), undefined)
      assert.equal(joinTransaction('id', core, other), undefined)
    }
  })
})

test('a member of a transaction that has another type makes it no transaction', () => {
  const odd: Readonly<Record<string, readonly unknown[]>> = {
    seed: [1, ''],
    binding: [1, ''],
    settings: [1, ''],
    returnTo: [1, ''],
    createdAt: ['1', -1],
    begunAt: ['1', -1],
    startedAt: ['1', -1, 0.5],
    sessionId: [1],
    subject: [1],
    extraScope: [1, ['a']],
    maxAge: ['1', -1, 0.5],
    restarts: ['1', -1],
    rounds: ['1', -1],
    freshLogin: [1, false],
    pkce: [0, true],
    silent: [0, false],
    proofAlgorithm: [1, 'RS256', true],
    acrValues: ['a', [1]],
    params: ['a', [1]],
  }
  for (const [name, values] of Object.entries(odd)) {
    for (const value of values) {
      const { core, rest } = splitTransaction({ ...transaction, [name]: value })
      assert.equal(joinTransaction(transaction.id, core, rest), undefined, `${name}: ${JSON.stringify(value)}`)
    }
  }
})

test('each member is kept under one letter of its own, since all of them are in state', () => {
  const whole: Transaction = {
    ...transaction,
    begunAt: now,
    sessionId: 'session',
    subject: 'alice',
    maxAge: 1,
    freshLogin: true,
    restarts: 1,
    rounds: 1,
    pkce: false,
    hasData: true,
    proofAlgorithm: 'ES256',
    provider: 'acme',
    silent: true,
    acrValues: ['mfa'],
    extraScope: 'orders',
    params: { a: 'b' },
    data: { a: 'b' },
  }
  const { core, rest } = splitTransaction(whole)
  const names = [...Object.keys(core), ...Object.keys(rest)]
  assert.deepEqual(
    names.filter(name => !/^[a-z]$/.test(name)),
    [],
  )
  assert.equal(new Set(names).size, Object.keys(whole).length - 1, 'all but the id, which is kept beside them')
  assert.deepEqual(joinTransaction(whole.id, core, rest), whole)
})
