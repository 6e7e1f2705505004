import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Express, RequestHandler } from 'express'
import { createAgent } from '../support/agent.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'
import { checkNoSecrets } from '../support/secrets.js'

/** The site is there before its middleware is. */
function withInspector(run: (fixture: Fixture) => Promise<void>, oidc = {}): () => Promise<void> {
  let page: RequestHandler = (_req, _res, next) => next()
  const routes = (app: Express) => void app.get('/how', (req, res, next) => page(req, res, next))
  return withFixture({ oidc, site: { routes } }, async fixture => {
    page = fixture.site.oidc.inspector()
    await run(fixture)
  })
}

describe('the inspector', () => {
  test(
    'has nothing to show at first',
    withInspector(async ({ site }) => {
      const page = await createAgent().open(`${site.url}/how`)
      assert.equal(page.status, 200)
      assert.match(page.text, /No user has signed in/)
    }),
  )

  test(
    'shows each message and each check of a sign-in, and no secret',
    withInspector(async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const { text } = await agent.open(`${site.url}/how`)
      assert.match(text, /<strong>Signed in\.<\/strong>/)
      for (const line of ['GET /authorize', 'POST /callback', 'POST /token', 'GET /userinfo', '303 to the page']) {
        assert.ok(text.includes(line), line)
      }
      for (const check of [
        'nonce is the one of this attempt',
        'c_hash matches the code',
        'iss, sub and aud are those of the first',
      ]) {
        assert.match(text, new RegExp(`passed">✓</span>${check}`), check)
      }
      assert.ok(text.includes('OpenID Connect Core section 3.1.3.7 item 11'), 'no section')
      assert.ok(!text.includes('class="mark bad"') && !text.includes('not reached'), 'something failed')
      checkNoSecrets(text, 'the inspector')
      assert.doesNotMatch(text, /alice/i)
    }),
  )

  test(
    'shows which check failed, what was there, and what was not reached',
    withInspector(async ({ agent, site, provider }) => {
      provider.break({ frontIdToken: claims => ({ ...claims, aud: 'another <client>' }) })
      await agent.visit(`${site.url}/claims`)
      const { text } = await agent.open(`${site.url}/how`)
      assert.match(text, /<strong>The sign-in failed in step 5:<\/strong>/)
      assert.match(text, /ERR_OIDC_ID_TOKEN_AUDIENCE/)
      assert.match(text, /actual: another &#60;client&#62;, expected: client/)
      assert.match(text, /passed">✓<\/span>iss is the provider/)
      assert.match(text, /failed">✗<\/span>aud names this site/)
      assert.match(text, /not reached">–<\/span>nonce is the one of this attempt/)
      assert.ok(!text.includes('POST /token'), 'a token request is shown')
    }),
  )

  test(
    'shows a response that belongs to no attempt',
    withInspector(async ({ agent, site }) => {
      await agent.post(`${site.url}/callback`, { code: 'x' })
      const { text } = await agent.open(`${site.url}/how`)
      assert.match(text, /<strong>The sign-in failed in step 1:<\/strong>/)
    }),
  )

  test(
    'shows a hook that refuses without the words of the site',
    withInspector(
      async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        const { text } = await agent.open(`${site.url}/how`)
        assert.match(text, /<strong>The sign-in failed in step 9:<\/strong>/)
        assert.doesNotMatch(text, /private words/)
      },
      {
        hooks: {
          signIn() {
            throw new Error('private words')
          },
        },
      },
    ),
  )

  test(
    'remembers the last ten and shows the one asked for, while a reload changes nothing',
    withInspector(async ({ agent, site, provider }) => {
      provider.break({ token: { status: 400, times: 1 } })
      await agent.visit(`${site.url}/claims`)
      provider.heal()
      for (let count = 0; count < 11; count += 1) await createAgent().visit(`${site.url}/claims`)
      const { text } = await agent.open(`${site.url}/how`)
      const links = [...text.matchAll(/href="(\?transaction=[^"]+)"/g)].map(([, link]) => link)
      assert.equal(links.length, 9)
      assert.match(text, /Signed in\./)
      const other = await agent.open(`${site.url}/how${links.at(-1)}`)
      assert.notEqual(other.text, text)
      assert.ok(!text.includes('failed in step'), 'the first is forgotten')
    }),
  )

  test(
    'forbids everything but its own style, and is not stored',
    withInspector(async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const { headers, text } = await agent.open(`${site.url}/how`)
      const style = /<style>([\s\S]*?)<\/style>/.exec(text)?.[1] ?? ''
      const hash = createHash('sha256').update(style).digest('base64')
      assert.equal(
        headers['content-security-policy'],
        `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      )
      assert.equal(headers['cache-control'], 'no-store')
      assert.doesNotMatch(text, /<script|style="|https?:\/\/(?!localhost|127\.0\.0\.1)/)
    }),
  )

  test(
    'is refused in production',
    withFixture({}, async ({ site }) => {
      const { NODE_ENV } = process.env
      process.env.NODE_ENV = 'production'
      try {
        assert.throws(() => site.oidc.inspector(), { code: 'ERR_OIDC_OPTIONS' })
      } finally {
        if (NODE_ENV === undefined) delete process.env.NODE_ENV
        else process.env.NODE_ENV = NODE_ENV
      }
    }),
  )
})

describe('the inspector in a browser', { timeout: 60_000 }, () => {
  let chromium: Chromium

  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium?.close())

  test(
    'fits a phone and a desk, in the light and in the dark, and violates no policy',
    withInspector(async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const context = await chromium.newContext()
      const page = await context.newPage()
      const complaints: string[] = []
      page.on('console', message => complaints.push(message.text()))
      const colours = new Set<string>()
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const [width, shown, hidden] of [
          [360, 'svg.narrow', 'svg.wide'],
          [1200, 'svg.wide', 'svg.narrow'],
        ] as const) {
          await page.emulateMedia({ colorScheme })
          await page.setViewportSize({ width, height: 800 })
          await page.goto(`${site.url}/how`)
          assert.equal(await page.evaluate('document.documentElement.scrollWidth > innerWidth'), false)
          assert.equal(await page.locator(shown).isVisible(), true)
          assert.equal(await page.locator(hidden).isVisible(), false)
          colours.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
        }
      }
      assert.equal(colours.size, 2)
      assert.deepEqual(complaints, [])
      await context.close()
    }),
  )
})
