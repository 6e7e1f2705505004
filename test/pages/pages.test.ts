import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { en, type PageTexts } from '../../lib/http/languages/en.js'
import type { ErrorPageContent, OidcOptions, PageLanguage, SignOutPageContent } from '../../lib/index.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { type RawResponse, send } from '../support/http-client.js'

const ALL = ['en', 'de', 'fr', 'es', 'ja'] as const

async function textsOf(language: PageLanguage): Promise<PageTexts> {
  if (language === 'en') return en
  return (await import(`../../lib/http/languages/${language}.ts`))[language]
}

function withPages(pages: OidcOptions['pages'], run: (fixture: Fixture) => Promise<void>): () => Promise<void> {
  return async () => {
    const fixture = await openFixture({ oidc: { pages }, site: { handlesErrors: false } })
    try {
      await run(fixture)
    } finally {
      await fixture.close()
    }
  }
}

const html = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

/** The error page: a callback that no sign-in led to. */
function failedPage({ site }: Fixture, headers: Readonly<Record<string, string>> = {}): Promise<RawResponse> {
  return send({ url: `${site.url}/callback?state=x`, headers: { ...html, ...headers } })
}

/** The question of a sign-out that another site asked for. */
function question({ site }: Fixture, headers: Readonly<Record<string, string>> = {}): Promise<RawResponse> {
  return send({ url: `${site.url}/logout`, headers: { ...html, 'sec-fetch-site': 'cross-site', ...headers } })
}

const wants = (language: string) => ({ 'accept-language': language })

function assertLanguage({ headers, text }: RawResponse, language: string, vary: boolean): void {
  assert.match(text, new RegExp(`<html lang="${language}" dir="ltr">`))
  assert.equal(headers['content-language'], language)
  assert.equal(/\baccept-language\b/i.test(headers.vary ?? ''), vary)
  assert.equal(headers['cache-control'], 'no-store')
}

describe('the language of a page', () => {
  test(
    'is English on a site that says nothing, whatever the browser wants',
    withPages(undefined, async fixture => {
      for (const page of [failedPage, question]) assertLanguage(await page(fixture, wants('de, fr;q=0.5')), 'en', false)
    }),
  )

  test(
    'is the only one of the site',
    withPages({ languages: ['fr'] }, async fixture => {
      const page = await failedPage(fixture, wants('de'))
      assertLanguage(page, 'fr', false)
      assert.ok(page.text.includes('Cette adresse ne peut pas être ouverte directement.'))
    }),
  )

  test(
    'is the one of the site that the browser prefers, and else the first',
    withPages({ languages: ['de', 'ja'] }, async fixture => {
      assertLanguage(await failedPage(fixture, wants('ja-JP, de;q=0.9')), 'ja', true)
      assertLanguage(await question(fixture, wants('en, de-CH;q=0.1')), 'de', true)
      assertLanguage(await question(fixture, wants('en')), 'de', true)
      assertLanguage(await question(fixture), 'de', true)
    }),
  )

  test(
    'is that of the page after a sign-out, too, and of the page that leads on',
    withPages({ languages: ['en', 'es'] }, async fixture => {
      const { site, agent } = fixture
      const after = await send({ url: `${site.url}/logout/callback`, headers: { ...html, ...wants('es') } })
      assertLanguage(after, 'es', true)
      assert.ok(after.text.includes('Ha cerrado la sesión en este sitio.'))
      const headers = { ...html, 'sec-fetch-dest': 'empty', ...wants('es') }
      const leading = await send({ url: `${site.url}/claims`, headers })
      assert.equal(leading.status, 200)
      assertLanguage(leading, 'es', true)
      assert.ok(leading.text.includes('>Iniciar sesión</a>'))
      const long = `/claims?${'x'.repeat(1500)}`
      const posted = await agent.open(site.url + long, { headers: wants('es') })
      assert.equal(posted.status, 200)
    }),
  )

  test(
    'is none of a redirect, and JSON is English',
    withPages({ languages: ['de', 'en'] }, async fixture => {
      const { site } = fixture
      const { headers, status } = await send({ url: `${site.url}/claims`, headers: { ...html, ...wants('de') } })
      assert.equal(status, 303)
      assert.equal(headers['content-language'], undefined)
      assert.doesNotMatch(headers.vary ?? '', /accept-language/i)
      const json = await send({ url: `${site.url}/claims`, headers: { accept: 'application/json', ...wants('de') } })
      assert.equal(JSON.parse(json.text).message, 'You need to sign in first.')
      assert.equal(json.headers['content-language'], undefined)
      assert.doesNotMatch(json.headers.vary ?? '', /accept-language/i)
    }),
  )
})

describe('a page of the site', () => {
  const errorPages: ErrorPageContent[] = []
  const own = {
    error(page: ErrorPageContent) {
      errorPages.push(page)
      return `<html lang="${page.language}"><style nonce="${page.nonce}"></style><h1>Shop: ${page.title}</h1>${page.code}`
    },
    signOut: ({ form, link, title }: SignOutPageContent) =>
      `<h1>Shop: ${title}</h1><form method="post" action="${form.action}"><button>${form.button}</button></form><a href="${link.href}">${link.text}</a>`,
    signedOut: () => '<h1>Bye</h1>',
  }

  test(
    'gets what it has to say, and a policy in which no script runs',
    withPages({ languages: ['en', 'de'], ...own }, async fixture => {
      errorPages.length = 0
      const { site } = fixture
      const page = await failedPage(fixture, wants('de'))
      const [content, ...others] = errorPages
      assert.deepEqual(others, [])
      assert.ok(content !== undefined && Object.isFrozen(content))
      const { nonce, correlationId, report, link, ...rest } = content
      assert.deepEqual(rest, {
        language: 'de',
        dir: 'ltr',
        title: 'Das hat nicht geklappt',
        message: rest.message,
        code: 'ERR_OIDC_REQUEST_METHOD',
        status: 405,
      })
      assert.ok(report.includes(correlationId) && page.status === 405)
      assert.equal(link.text, 'Von vorn beginnen')
      assert.match(page.text, /<h1>Shop: Das hat nicht geklappt<\/h1>ERR_OIDC_REQUEST_METHOD/)
      const policy = String(page.headers['content-security-policy'])
      assert.ok(policy.includes(`style-src 'self' 'nonce-${nonce}'`))
      assert.match(
        policy,
        /^default-src 'none'; style-src [^;]+; img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
      )
      assert.doesNotMatch(policy, /script-src|unsafe/)
      await failedPage(fixture)
      assert.notEqual(errorPages[1]?.nonce, nonce, 'a nonce is used once')
      const signedOut = await send({ url: `${site.url}/logout/callback`, headers: html })
      assert.equal(signedOut.text, '<h1>Bye</h1>')
    }),
  )

  test(
    'can sign the user out: its form does what the plain one does',
    withPages({ ...own }, async fixture => {
      const { agent, site } = fixture
      await agent.visit(`${site.url}/claims`)
      const asked = await agent.click(`${site.url}/logout`, { from: 'https://elsewhere.example/' })
      assert.match(asked.text, /Shop: Sign out\?/)
      await agent.submitForm({}, { redirect: 'manual' } as never)
      const user = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
      assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
    }),
  )

  const failures: Readonly<Record<string, () => unknown>> = {
    'that throws': () => {
      throw new TypeError('<b>')
    },
    'that returns nothing': () => undefined,
    'that returns an empty string': () => '',
    'that returns a number': () => 5,
    'that returns a promise': () => Promise.reject(new TypeError('late')),
  }
  for (const [what, error] of Object.entries(failures)) {
    test(
      `${what} is a line in the log, and the user gets the plain page`,
      withPages({ error: error as () => string, languages: ['de'] }, async fixture => {
        const page = await failedPage(fixture)
        assertLanguage(page, 'de', false)
        assert.match(String(page.headers['content-security-policy']), /style-src 'sha256-/)
        assert.ok(
          fixture.site.log.some(line => line.startsWith('pages.error ')),
          fixture.site.log.join('\n'),
        )
      }),
    )
  }
})

describe('what a screen reader finds', () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium.close())

  for (const language of ALL) {
    test(
      `${language}: the language, one heading, and the names of links and buttons`,
      withPages({ languages: ALL }, async fixture => {
        const { site } = fixture
        const texts = await textsOf(language)
        const context = await chromium.newContext()
        try {
          await context.setExtraHTTPHeaders(wants(`${language}, it;q=0.5`))
          const page = await context.newPage()
          await page.goto(`${site.url}/callback?state=x`)
          const number = /[\da-f-]{36}/.exec(await page.content())?.[0] ?? ''
          assert.equal(await page.getAttribute('html', 'lang'), language)
          assert.equal(await page.title(), texts.failed)
          assert.equal(await page.evaluate('getComputedStyle(document.documentElement).direction'), 'ltr')
          const tree = await page.locator('body').ariaSnapshot()
          assert.match(tree, /^- main:/m)
          assert.equal(tree.match(/- heading /g)?.length, 1)
          assert.ok(tree.includes(`- heading "${texts.failed}" [level=1]`), tree)
          assert.ok(tree.includes(texts.sentences.method), tree)
          assert.ok(tree.includes(`- link "${texts.startAgain}"`), tree)
          assert.ok(tree.includes(texts.report.replace('{id}', number)), tree)
        } finally {
          await context.close()
        }
      }),
    )
  }

  for (const language of ALL) {
    test(
      `${language}: the question before a sign-out`,
      withPages({ languages: ALL }, async fixture => {
        const { site, provider } = fixture
        const texts = await textsOf(language)
        const context = await chromium.newContext()
        try {
          await context.setExtraHTTPHeaders(wants(`${language}, it;q=0.5`))
          const page = await context.newPage()
          // A page of another site, which leads here by a link.
          await page.route(`${provider.issuer}/elsewhere`, route =>
            route.fulfill({ contentType: 'text/html', body: `<a href="${site.url}/logout">out</a>` }),
          )
          await page.goto(`${provider.issuer}/elsewhere`)
          await page.click('a')
          await page.waitForURL(`${site.url}/logout`)
          assert.equal(await page.getAttribute('html', 'lang'), language)
          assert.equal(await page.title(), texts.signOutQuestion)
          const tree = await page.locator('body').ariaSnapshot()
          // In a name, every kind of space is a space.
          const heading = texts.signOutQuestion.replace(/\s/g, ' ')
          assert.ok(tree.includes(`- heading "${heading}" [level=1]`), tree)
          assert.ok(tree.includes(texts.signOutAsked), tree)
          assert.ok(tree.includes(`- button "${texts.signOut}"`), tree)
          assert.ok(tree.includes(`- link "${texts.staySignedIn}"`), tree)
        } finally {
          await context.close()
        }
      }),
    )
  }
})
