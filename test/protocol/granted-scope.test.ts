import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkScopeGranted, checkScopeNarrowed, grantedScope, scopeWords } from '../../lib/protocol/granted-scope.js'

const words = fc.uniqueArray(
  fc.constantFrom('openid', 'email', 'offline_access', 'read', 'write', 'a:b', 'https://x/y'),
)
const scope = words.map(list => list.join(' '))
const maybe = fc.option(scope, { nil: undefined })

const isWithin = (inner: string, outer: string) => scopeWords(inner).every(word => scopeWords(outer).includes(word))

test('a scope is never wider than in any response, and is the requested one only where no response says otherwise', () => {
  fc.assert(
    fc.property(scope, maybe, maybe, (asked, front, response) => {
      const granted = grantedScope({ asked, front, response: response })
      assert.ok(isWithin(granted, response ?? asked))
      if (front !== undefined) assert.ok(isWithin(granted, front))
      if (front === undefined) assert.equal(granted, response ?? asked)
    }),
  )
})

test('an authorization response can only narrow: without it the scope is the same or wider', () => {
  fc.assert(
    fc.property(scope, scope, maybe, (asked, front, response) => {
      assert.ok(
        isWithin(grantedScope({ asked, front, response: response }), grantedScope({ asked, response: response })),
      )
    }),
  )
})

test('a chain of refreshes keeps the last scope the provider named', () => {
  fc.assert(
    fc.property(scope, maybe, maybe, fc.array(maybe), (asked, front, response, refreshes) => {
      let granted = grantedScope({ asked, front, response: response })
      const first = granted
      for (const refreshed of refreshes) granted = grantedScope({ asked: granted, response: refreshed })
      const last = refreshes.findLast(refreshed => refreshed !== undefined)
      assert.equal(granted, last ?? first)
    }),
  )
})

test('a token passes exactly when it has every word that was asked for, in any order', () => {
  fc.assert(
    fc.property(scope, scope, (asked, granted) => {
      const isAbout = (word: string) => word === 'openid' || word === 'offline_access'
      const isComplete = scopeWords(asked).every(word => isAbout(word) || scopeWords(granted).includes(word))
      if (isComplete) checkScopeGranted(asked, granted)
      else assert.throws(() => checkScopeGranted(asked, granted), { code: 'ERR_OIDC_TOKEN_DENIED' })
    }),
  )
})

test('a token that can do more than was asked for is refused, and scopes about the user do not count as more', () => {
  fc.assert(
    fc.property(scope, scope, (asked, granted) => {
      const isAbout = (word: string) => ['openid', 'email', 'offline_access'].includes(word)
      const isNarrow = scopeWords(granted).every(word => isAbout(word) || scopeWords(asked).includes(word))
      if (isNarrow) checkScopeNarrowed(asked, granted)
      else assert.throws(() => checkScopeNarrowed(asked, granted), { code: 'ERR_OIDC_TOKEN_DENIED' })
    }),
  )
})

test('the words that are missing, and those that are too many, are named', () => {
  assert.throws(() => checkScopeGranted('read write', 'read'), { cause: { missing: 'write' } })
  assert.throws(() => checkScopeNarrowed('read', 'read write'), { cause: { beyond: 'write' } })
})
