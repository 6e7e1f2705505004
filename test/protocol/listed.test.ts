import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OidcError } from '../../lib/errors.js'
import { chooseListed } from '../../lib/protocol/listed.js'

const word = fc.constantFrom('RS256', 'ES256', 'query', 'form_post', 'none', 'code id_token')
const anything = fc.oneof(word, fc.string({ unit: 'binary', maxLength: 200 }))
const lists = fc.option(fc.array(anything, { maxLength: 40 }), { nil: undefined })
const candidates = fc.uniqueArray(word, { minLength: 1, maxLength: 4 })

test('the first candidate that is listed is taken; an option goes against the list with one warning, and a default is refused', () => {
  const property = fc.property(candidates, lists, fc.boolean(), (wanted, listed, isExplicit) => {
    const warnings: string[] = []
    const wish = { what: 'algorithm', candidates: wanted, isExplicit, advice: 'set another' }
    const choose = () => chooseListed(wish, listed, warning => void warnings.push(warning))
    const found = wanted.find(candidate => listed?.includes(candidate))
    const says = (message: string) => {
      assert.match(message, /^[\x20-\x7e]+$/, 'one harmless line')
      assert.ok(message.length < 2500 && message.includes('set another') && message.includes(`"${wanted[0]}"`), message)
    }
    if (listed === undefined || listed.length === 0 || found !== undefined || isExplicit) {
      assert.equal(choose(), found ?? wanted[0])
      const isAgainst = listed !== undefined && listed.length > 0 && found === undefined
      assert.equal(warnings.length, isAgainst ? 1 : 0)
      for (const warning of warnings) says(warning)
    } else {
      assert.throws(choose, (error: unknown) => {
        assert.ok(error instanceof OidcError && error.code === 'ERR_OIDC_UNSUPPORTED')
        says(error.message)
        return true
      })
      assert.deepEqual(warnings, [])
    }
  })
  fc.assert(property, { numRuns: 2000 })
})
