import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import express from 'express'
import fc from 'fast-check'
import { chooseLanguage } from '../../lib/protocol/accept-language.js'

const OFFERED = ['en', 'de', 'fr', 'es', 'ja'] as const
type Language = (typeof OFFERED)[number]

const choose = (header: string | undefined) => chooseLanguage<Language>(header, OFFERED)

/** What `req.acceptsLanguages` of Express says, which is the package negotiator. */
function chooseByExpress(header: string, offered: readonly string[]): string {
  const req = { headers: { 'accept-language': header } } as unknown as typeof express.request
  return express.request.acceptsLanguages.call(req, ...offered) || (offered[0] as string)
}

describe('the language that a browser prefers', () => {
  const cases: readonly (readonly [header: string | undefined, expected: Language, why: string])[] = [
    [undefined, 'en', 'no header'],
    ['de-AT, fr, de-CH', 'fr', 'what is named exactly, also where a variant comes first'],
    ['de-AT, fr-CA, de-CH', 'de', 'what comes first, also where it comes again'],
    ['', 'en', 'an empty header'],
    ['*', 'en', 'anything'],
    ['de', 'de', 'one'],
    ['DE-at', 'de', 'a variant, in any case'],
    ['fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5', 'fr', 'the example of MDN'],
    ['de;q=0.5,ja;q=0.9', 'ja', 'the weight, and not the order'],
    ['de;q=0.5,ja;q=0.5', 'de', 'the order, where weights are equal'],
    ['de-AT;q=0.5,ja;q=0.5', 'ja', 'what is named exactly, where weights are equal'],
    ['en;q=0, *', 'de', 'not what is refused'],
    ['de;q=0', 'en', 'the default, where only another is refused'],
    ['de;q=0, de-AT', 'en', 'what is said about the language itself counts more than what is said about a variant'],
    ['it, pt-BR;q=0.9', 'en', 'the default, where none is offered'],
    ['deu, d', 'en', 'no other tag that begins alike'],
    [' \tde ; q=1.000 ', 'de', 'white space'],
    ['de;q=2, fr;q=0.1', 'fr', 'a weight above 1 is none'],
    ['de;q=1.0000, fr;q=0.1', 'fr', 'a weight with four digits is none'],
    ['de;q=, fr;q=0.1', 'fr', 'an empty weight is none'],
    ['de;level=1, fr;q=0.1', 'fr', 'there are no other parameters'],
    ['xde, de x, fr;q=0.1', 'fr', 'nothing beside the tag'],
    [',,;q=1,de', 'de', 'empty elements'],
    [`${'it,'.repeat(330)}de,fr`, 'de', 'within the first thousand characters'],
    [`${'it,'.repeat(400)}de`, 'en', 'and not what comes after them'],
    [`${'it,'.repeat(331)}de;q=0.9`, 'en', 'and not what is cut off'],
  ]
  for (const [header, expected, why] of cases) {
    test(`${why}: ${(header ?? 'none').slice(0, 60)}`, () => assert.equal(choose(header), expected))
  }

  test('of the one language that there is', () => {
    assert.equal(chooseLanguage('de', ['ja']), 'ja')
  })

  const tag = fc.constantFrom(
    'en',
    'de',
    'fr',
    'es',
    'ja',
    'it',
    '*',
    'de-AT',
    'DE',
    'fr-ca',
    'en-GB',
    'es-419',
    'ja-JP',
  )
  const weight = fc.option(
    fc.integer({ min: 0, max: 1000 }).map(thousandths => String(thousandths / 1000)),
    { nil: undefined },
  )
  // Of a language that is named twice with one weight, Express takes the later position.
  const kindOf = ([name]: readonly [string, unknown]) => name.toLowerCase().replace(/-.*/, '-')
  const header = fc
    .uniqueArray(fc.tuple(tag, weight), { minLength: 1, maxLength: 12, selector: kindOf })
    .map(ranges => ranges.map(([name, q]) => (q === undefined ? name : `${name};q=${q}`)).join(', '))

  test('is the one that Express chooses', () => {
    fc.assert(
      fc.property(header, fc.shuffledSubarray([...OFFERED], { minLength: 1 }), (text, offered) => {
        assert.equal(chooseLanguage(text, offered as [Language, ...Language[]]), chooseByExpress(text, offered))
      }),
      { numRuns: 2000 },
    )
  })

  test('is none that was cut off at the end of what is looked at: the rest of its name is unknown', () => {
    const [first] = OFFERED
    const other = OFFERED.find(language => language !== first) ?? first
    // A thousand characters are looked at. The last two of them are the name, which goes on.
    const header = `${'x,'.repeat(499)}${other}`
    assert.equal(chooseLanguage(header, [first, other]), other)
    assert.equal(chooseLanguage(`${header}alect`, [first, other]), first)
  })

  test('is one that is offered, whatever the header says', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 2000 }), text => {
        assert.ok(OFFERED.includes(choose(text)))
      }),
    )
  })
})
