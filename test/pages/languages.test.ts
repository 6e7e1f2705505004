import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { OidcError, oidcErrorCodes, SENTENCES } from '../../lib/errors.js'
import { de } from '../../lib/http/languages/de.js'
import { en, type PageTexts } from '../../lib/http/languages/en.js'
import { es } from '../../lib/http/languages/es.js'
import { fr } from '../../lib/http/languages/fr.js'
import { ja } from '../../lib/http/languages/ja.js'
import { sentenceOf } from '../../lib/http/page-texts.js'
import { PAGE_LANGUAGES } from '../../lib/options/pages.js'

/** All texts of a language, by their names. */
function textsOf({ language: _, sentences, ...others }: PageTexts): Readonly<Record<string, string>> {
  return {
    ...others,
    ...Object.fromEntries(Object.entries(sentences).map(([name, text]) => [`sentences.${name}`, text])),
  }
}

const placeholders = (text: string) => text.match(/\{\w+\}/g) ?? []

/** Words that no other of these languages has in a sentence. */
const ENGLISH_WORDS = /\b(the|this|that|sign|signed|please|you|your|and|try|again|of|with)\b/i

const english = textsOf(en)

test('there is a dictionary for each language that the option takes', () => {
  assert.deepEqual(
    [en, de, fr, es, ja].map(({ language }) => language),
    PAGE_LANGUAGES,
  )
})

for (const texts of [de, fr, es, ja]) {
  describe(texts.language, () => {
    const found = textsOf(texts)

    test('has every text, and no other', () => {
      assert.deepEqual(Object.keys(found).toSorted(), Object.keys(english).toSorted())
    })

    test('has the same placeholders', () => {
      for (const [name, text] of Object.entries(found))
        assert.deepEqual(placeholders(text), placeholders(english[name] ?? ''), name)
    })

    test('has no English left', () => {
      for (const [name, text] of Object.entries(found)) {
        assert.notEqual(text, english[name], name)
        assert.doesNotMatch(text, ENGLISH_WORDS, name)
      }
    })

    test('has no text twice under names that differ in English, but where a button and a title are alike', () => {
      const texts = Object.entries(found).filter(([name]) => name.startsWith('sentences.'))
      assert.equal(new Set(texts.map(([, text]) => text)).size, texts.length)
    })

    test('ends sentences, and does not end titles', () => {
      for (const [name, text] of Object.entries(found)) {
        assert.equal(text.trim(), text, name)
        assert.equal(/[.。]$/.test(text), /\.$/.test(english[name] ?? ''), name)
      }
    })
  })
}

test('every error that a user can see has a sentence in every language', () => {
  for (const code of oidcErrorCodes.filter(code => !/_(LOGOUT_TOKEN|SIGNAL)_/.test(code))) {
    const error = new OidcError(code, 'message')
    assert.ok(
      Object.values(SENTENCES).some(text => text === error.sentence),
      code,
    )
    assert.equal(sentenceOf(error, en), error.sentence)
    assert.notEqual(sentenceOf(error, ja), error.sentence)
  }
})

test('what only a provider gets stays English', () => {
  const error = new OidcError('ERR_OIDC_LOGOUT_TOKEN_ID', 'message')
  assert.equal(sentenceOf(error, de), error.sentence)
})
