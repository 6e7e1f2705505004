import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { type LoopbackServer, startLoopbackServer } from '../support/loopback-server.js'

/** What only a browser can tell: what runs, what is framed, which cookies it takes, and what it says to other sites. */
let chromium: Chromium
let evil: LoopbackServer & { readonly url: string }
let page = ''
const referers: string[] = []

before(async () => {
  chromium = await startChromium()
  const server = await startLoopbackServer((req, res) => {
    if (req.url === '/pixel') referers.push(`${req.headers.referer}`)
    if (req.url?.startsWith('/plant')) {
      const cookies = new URL(req.url, 'http://x').searchParams.getAll('set')
      res.setHeader('set-cookie', cookies)
    }
    res.setHeader('content-type', 'text/html; charset=utf-8')
    res.end(req.url === '/page' ? page : '<p>evil</p>')
  })
  evil = { ...server, url: `http://127.0.0.1:${server.port}` }
})
after(async () => {
  await chromium.close()
  await evil.stop()
})

async function withFixture(
  options: Parameters<typeof openFixture>[0],
  run: (fixture: Fixture, tab: Page) => Promise<void>,
): Promise<void> {
  const fixture = await openFixture(options)
  const context = await chromium.newContext()
  try {
    await run(fixture, await context.newPage())
  } finally {
    await context.close()
    await fixture.close()
  }
}

async function signIn(fixture: Fixture, tab: Page): Promise<void> {
  await tab.goto(`${fixture.site.url}/claims`)
  await tab.waitForURL(`${fixture.site.url}/claims`)
  assert.match(await tab.content(), /alice-0001/)
}

async function isSignedIn(fixture: Fixture, tab: Page): Promise<boolean> {
  await tab.goto(`${fixture.site.url}/user`)
  return /"isAuthenticated":true/.test(await tab.content())
}

const payloads = [
  `"><script>window.opened=1;alert(1)</script>`,
  `'"><img src=x onerror=alert(1)>`,
  `</title><svg/onload=alert(1)>`,
  `javascript:alert(1)`,
  `"autofocus onfocus="alert(1)`,
  `+ADw-script+AD4-alert(1)+ADw-/script+AD4-`,
  `';alert(1)//`,
  `</style><script>alert(1)</script>`,
  `{{constructor.constructor('alert(1)')()}}`,
  `data:text/html,<script>alert(1)</script>`,
]

describe('in a real browser', () => {
  test('CVE-2019-1010247 CVE-2021-32702 CVE-2026-33758: no payload runs on any page of ours, whatever parameter it comes in', () =>
    withFixture(
      { oidc: { routes: { checkSession: '/session-frame' } }, site: { handlesErrors: false } },
      async ({ site }, tab) => {
        const dialogs: string[] = []
        tab.on('dialog', dialog => {
          dialogs.push(tab.url())
          void dialog.dismiss()
        })
        for (const payload of payloads) {
          const value = encodeURIComponent(payload)
          const query = ['error', 'error_description', 'state', 'returnTo', 'iss', 'sid', 'poll', 'ui_locales']
            .map(name => `${name}=${value}`)
            .join('&')
          for (const path of [
            '/callback',
            '/logout',
            '/logout/callback',
            '/logout/frontchannel',
            '/session-frame',
            `/logout/${value}`,
          ]) {
            page = `<a href="${site.url}${path}?${query.replaceAll("'", '%27')}">go</a>`
            await tab.goto(`${evil.url}/page`)
            await tab.click('a', { noWaitAfter: true })
            await tab.waitForURL(url => url.origin === site.url).catch(() => undefined)
            const scripts = (await tab.evaluate('document.scripts.length')) as number
            assert.equal(scripts, 0, path)
          }
          page = `<form method="post" action="${site.url}/callback"><input name="error" value="${payload.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`)}"><input name="state" value="x"><button>go</button></form>`
          await tab.goto(`${evil.url}/page`)
          await tab.click('button')
          await tab.waitForURL(`${site.url}/callback`)
          assert.match(await tab.content(), /That did not work/)
        }
        assert.deepEqual(dialogs, [])
      },
    ))

  test('no page of ours can be framed by another site', () =>
    withFixture({ site: { handlesErrors: false } }, async ({ site }, tab) => {
      for (const path of ['/callback', '/logout', '/logout/callback', '/login']) {
        page = `<iframe src="${site.url}${path}"></iframe>`
        await tab.goto(`${evil.url}/page`)
        await tab.waitForLoadState('networkidle')
        const [, frame] = tab.frames()
        const text = await frame?.evaluate('document.body.innerText').catch(() => '')
        assert.doesNotMatch(`${text}`, /sign|Sign|work/, path)
      }
    }))

  test('a user stays signed in when another site posts garbage to the callback in Chromium', () =>
    withFixture({}, async (fixture, tab) => {
      await signIn(fixture, tab)
      page = `<form method="post" action="${fixture.site.url}/callback"><input name="state" value="x"><input name="code" value="y"></form><script>document.forms[0].submit()</script>`
      await tab.goto(`${evil.url}/page`).catch(() => undefined)
      await tab.waitForURL(`${fixture.site.url}/callback`)
      assert.equal(await isSignedIn(fixture, tab), true)
      page = `<img src="${fixture.site.url}/logout"><script>fetch('${fixture.site.url}/logout', { mode: 'no-cors', credentials: 'include', method: 'POST' })</script>`
      await tab.goto(`${evil.url}/page`, { waitUntil: 'networkidle' })
      assert.equal(await isSignedIn(fixture, tab), true)
    }))

  test('a neighbour below the same domain cannot plant the cookie of an attempt', () =>
    withFixture({ site: { host: 'www.rp.localhost' } }, async (fixture, tab) => {
      const seen: string[] = []
      fixture.site.app.use((req, _res, next) => {
        seen.push(`${req.headers.cookie}`)
        next()
      })
      const set = [
        '__Host-oidc.aaaaaa.x=planted; Domain=rp.localhost; Path=/; Secure',
        '__Host-oidc.aaaaaa.x=planted; Path=/; Secure; SameSite=None',
        'control=1; Domain=rp.localhost; Path=/',
      ]
      const query = new URLSearchParams(set.map((value): [string, string] => ['set', value]))
      await tab.goto(`http://evil.rp.localhost:${evil.port}/plant?${query}`)
      await tab.goto(`${fixture.site.url}/nowhere`)
      assert.match(seen.join(), /control=1/, 'a cookie without the prefix does get there')
      assert.doesNotMatch(seen.join(), /planted/)
      await signIn(fixture, tab)
    }))

  test('the page after a sign-in tells no other site the code or the state', () =>
    withFixture(
      {
        oidc: { responseType: 'code', responseMode: 'query' },
        site: { routes: app => app.get('/landing', (_req, res) => void res.send(`<img src="${evil.url}/pixel">`)) },
      },
      async (fixture, tab) => {
        await tab.goto(`${fixture.site.url}/login?returnTo=/landing`, { waitUntil: 'networkidle' })
        assert.equal(tab.url(), `${fixture.site.url}/landing`)
        assert.deepEqual(referers, [`${fixture.site.url}/`])
      },
    ))
})
