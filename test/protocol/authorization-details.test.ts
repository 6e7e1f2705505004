import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  checkAskedDetails,
  checkDetailTypesAsked,
  findDetailsFault,
  isWithinDetails,
  parseGrantedDetails,
  readAskedDetails,
  warnOfUnlistedTypes,
} from '../../lib/protocol/authorization-details.js'

const payment = {
  type: 'payment',
  actions: ['initiate', 'status'],
  instructedAmount: { currency: 'EUR', amount: '12.50' },
}
const account = { type: 'account', access: { accounts: [{ iban: 'DE1' }, { iban: 'DE2' }] } }

describe('authorization details', () => {
  const wrong: readonly (readonly [what: string, value: unknown, path: readonly (number | string)[]])[] = [
    ['a string', '[{"type":"payment"}]', []],
    ['one object', payment, []],
    ['null', null, []],
    ['a string in the list', [payment, 'payment'], [1]],
    ['a list in the list', [[payment]], [0]],
    ['null in the list', [null], [0]],
    ['an object without a type', [{ actions: [] }], [0, 'type']],
    ['an empty type', [{ type: '' }], [0, 'type']],
    ['a type that is a list', [{ type: ['payment'] }], [0, 'type']],
    ['an identifier that is a number', [{ type: 'x', identifier: 5 }], [0, 'identifier']],
    ...['locations', 'actions', 'datatypes', 'privileges'].flatMap(name => [
      [`${name} that is a string`, [{ type: 'x', [name]: 'read' }], [0, name]] as const,
      [`${name} with a number`, [{ type: 'x', [name]: ['read', 5] }], [0, name]] as const,
      [`${name} with an empty string`, [payment, { type: 'x', [name]: [''] }], [1, name]] as const,
    ]),
  ]

  for (const [what, value, path] of wrong) {
    test(`${what} is wrong, wherever it comes from`, () => {
      assert.deepEqual(findDetailsFault(value)?.path, path)
      if (what !== 'a string') assert.throws(() => checkAskedDetails(value), { code: 'ERR_OIDC_OPTIONS' })
      assert.throws(() => parseGrantedDetails(value ?? 0, true), { code: 'ERR_OIDC_TOKEN_RESPONSE' })
      assert.equal(parseGrantedDetails(value, false), undefined)
    })
  }

  test('members of a type of its own may be anything', () => {
    assert.equal(findDetailsFault([payment, account, { type: 'x', value: null, n: 5 }]), undefined)
  })

  test('what is asked for may be a list, or the same as JSON', () => {
    assert.deepEqual(readAskedDetails(JSON.stringify([payment])), [payment])
    assert.deepEqual(readAskedDetails([payment]), [payment])
    assert.equal(readAskedDetails('[payment'), undefined)
    checkAskedDetails(undefined)
    assert.throws(() => checkAskedDetails('[payment'), { code: 'ERR_OIDC_OPTIONS' })
  })

  test('what is granted is kept up to a size and a depth', () => {
    const deep = JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`) as unknown
    assert.deepEqual(parseGrantedDetails([payment], true), [payment])
    assert.deepEqual(parseGrantedDetails([{ type: 'x', text: 'x'.repeat(60_000) }], true)?.length, 1)
    for (const value of [[{ type: 'x', text: 'x'.repeat(100_000) }], [{ type: 'x', deep }]])
      assert.throws(() => parseGrantedDetails(value, true), { code: 'ERR_OIDC_TOKEN_RESPONSE' })
    assert.equal(parseGrantedDetails(undefined, true), undefined)
    assert.equal(parseGrantedDetails(null, true), undefined)
  })

  test('a type that was not asked for is not granted, more of a type is', () => {
    checkDetailTypesAsked([{ ...payment, debtorAccount: { iban: 'DE1' } }], [payment])
    checkDetailTypesAsked(undefined, [payment])
    checkDetailTypesAsked([], [payment])
    assert.throws(() => checkDetailTypesAsked([payment, account], [payment]), { code: 'ERR_OIDC_TOKEN_RESPONSE' })
    assert.throws(() => checkDetailTypesAsked([payment], undefined), { code: 'ERR_OIDC_TOKEN_RESPONSE' })
  })

  test('a type that the provider does not list is told', () => {
    const told: string[] = []
    const metadata = { issuer: 'https://op', authorization_endpoint: 'https://op/a' }
    const listed = { ...metadata, authorization_details_types_supported: ['payment'] }
    warnOfUnlistedTypes(listed, [payment, account, account], line => told.push(line))
    warnOfUnlistedTypes(metadata, [account], line => told.push(line))
    warnOfUnlistedTypes(listed, undefined, line => told.push(line))
    assert.equal(told.length, 1)
    assert.match(told[0] ?? '', /authorization_details "account".*"payment"/)
  })
})

describe('details are within others', () => {
  const both = [payment, account]
  for (const [what, details] of [
    ['the same', both],
    [
      'the same with members in another order',
      [{ ...account, type: 'account' }, Object.fromEntries(Object.entries(payment).reverse())],
    ],
    ['fewer', [account]],
    ['none', []],
    ['fewer actions', [{ ...payment, actions: ['status'] }]],
    ['fewer accounts', [{ ...account, access: { accounts: [{ iban: 'DE2' }] } }]],
  ] as const) {
    test(`where they are ${what}`, () => assert.ok(isWithinDetails(details as unknown as typeof both, both)))
  }

  for (const [what, details] of [
    ['one more', [...both, { type: 'x' }]],
    ['another type', [{ ...payment, type: 'account' }]],
    ['a larger amount', [{ ...payment, instructedAmount: { currency: 'EUR', amount: '1250' } }]],
    ['another kind of value', [{ ...payment, instructedAmount: '12.50' }]],
    ['another action', [{ ...payment, actions: ['initiate', 'cancel'] }]],
    ['a member more', [{ ...payment, recurring: true }]],
    ['a member less, which may mean everything', [{ type: 'payment', actions: ['initiate'] }]],
    ['a list that is empty, which may mean everything', [{ ...account, access: { accounts: [] } }]],
    ['another account', [{ ...account, access: { accounts: [{ iban: 'DE3' }] } }]],
    ['an inherited member', [{ ...payment, actions: ['initiate'], instructedAmount: { constructor: 1, toString: 2 } }]],
  ] as const) {
    test(`but not where they have ${what}`, () => assert.ok(!isWithinDetails(details as unknown as typeof both, both)))
  }

  test('a list that was empty stays so', () => {
    const empty = [{ type: 'x', accounts: [] }]
    assert.ok(isWithinDetails(empty, empty))
    assert.ok(!isWithinDetails([{ type: 'x', accounts: ['DE1'] }], empty))
  })

  test('whatever they are, they are within themselves, and what is within the inner is within the outer', () => {
    const detail = fc.record({
      type: fc.constantFrom('a', 'b'),
      actions: fc.array(fc.constantFrom('x', 'y', 'z'), { maxLength: 3 }),
      inner: fc.array(fc.record({ id: fc.nat(2) }), { maxLength: 2 }),
    })
    const list = fc.array(detail, { maxLength: 3 })
    fc.assert(
      fc.property(list, list, list, (a, b, c) => {
        assert.ok(isWithinDetails(a, a))
        if (isWithinDetails(a, b) && isWithinDetails(b, c)) assert.ok(isWithinDetails(a, c))
      }),
    )
  })

  test('long lists that are the same are compared, and others only as far as that takes no time', () => {
    const many = Array.from({ length: 2000 }, (_, index) => ({ type: 'x', id: index }))
    const inAnotherOrder = many.map(({ type, id }) => ({ id, type }))
    assert.ok(isWithinDetails(many, many))
    assert.ok(isWithinDetails([...many].reverse(), many))
    assert.ok(isWithinDetails(inAnotherOrder.slice(0, 20), many))
    assert.ok(!isWithinDetails(inAnotherOrder, many))
  })
})
