import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import express, { type Express, type Request, type RequestHandler } from 'express'
import { requiresAuth } from '../../lib/index.js'
import { boundaryOf, parseMultipart } from '../../lib/protocol/multipart.js'
import { createAgent } from '../support/agent.js'
import { startChromium } from '../support/chromium.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { DAY, isKeptFormPage, isUnsentPage, withFormFixture } from '../support/kept-form.js'
import { startSite } from '../support/site.js'

declare module 'express-session' {
  interface SessionData {
    csrfToken: string
  }
}

const WEEK = 7 * DAY

const csrfTokenOf = (req: Request) => {
  req.session.csrfToken ??= randomBytes(16).toString('base64url')
  return req.session.csrfToken
}
const checkCsrfToken: RequestHandler = (req, res, next) => {
  if (req.body?._csrf === req.session.csrfToken) next()
  else res.sendStatus(403)
}

/** As in docs/kept-forms.md. */
function addProtectedForm(app: Express): void {
  const parse = express.urlencoded({ extended: false })
  app.get('/form-with-token', requiresAuth(), (req, res) => {
    res.send(
      `<form method=post action=/protected><input name=title><input name=_csrf value="${csrfTokenOf(req)}"></form>`,
    )
  })
  app.post('/protected', requiresAuth({ keepForm: true }), parse, checkCsrfToken, (req, res) => {
    res.send(`stored ${req.body.title}`)
  })
}

describe('a form with a CSRF token of the session, in a browser that runs no script', () => {
  const query = { responseType: 'code', responseMode: 'query' } as const

  test(
    'is accepted with the token of the new session, and the old one is not',
    withFormFixture(
      { oidc: { ...query, hooks: { keptForm: ({ req }) => ({ _csrf: csrfTokenOf(req) }) } }, more: addProtectedForm },
      async ({ agent, advance, site }) => {
        await agent.open(`${site.url}/form-with-token`)
        assert.match((await agent.submitForm({ title: 'Milk' })).text, /stored Milk/)
        await agent.open(`${site.url}/form-with-token`)
        const old = Object.fromEntries(agent.page?.forms[0]?.fields ?? [])
        advance(WEEK)
        const page = await agent.submitForm({ title: 'Bread' })
        assert.ok(isKeptFormPage(page), page.text)
        assert.match((await agent.submitForm()).text, /stored Bread/)
        assert.equal((await agent.post(`${site.url}/protected`, old, { from: page.url })).status, 403)
      },
    ),
  )

  test(
    'is refused where the site does not replace it',
    withFormFixture({ oidc: query, more: addProtectedForm }, async ({ agent, advance, site }) => {
      await agent.open(`${site.url}/form-with-token`)
      advance(WEEK)
      assert.ok(isKeptFormPage(await agent.submitForm({ title: 'Bread' })))
      assert.equal((await agent.submitForm()).status, 403)
    }),
  )
})

test(
  'a multipart form of a real browser arrives as if its user had been signed in',
  withFormFixture({}, async ({ site, advance, received }) => {
    const chromium = await startChromium()
    try {
      const tab = await chromium.newPage()
      await tab.goto(`${site.url}/login?returnTo=/notes/new`)
      await tab.waitForURL(/notes\/new/)
      const submit = `(() => {
        document.body.innerHTML = '<form method=post enctype=multipart/form-data action=/notes><input type=file name=photo></form>'
        const add = (name, value) => {
          const field = document.createElement('textarea')
          field.name = name
          field.value = value
          document.forms[0].append(field)
        }
        add('a "quoted"\\\\r\\\\nname', 'two\\\\nlines & <b>ü</b> 😀')
        add('%22', '')
        add('a', '1')
        add('a', '--x\\\\n--')
        HTMLFormElement.prototype.submit.call(document.forms[0])
      })()`
      await tab.evaluate(submit)
      await tab.getByText('saved').waitFor()
      advance(WEEK)
      await tab.goBack()
      await tab.goto(`${site.url}/`)
      await tab.evaluate(submit)
      await tab.waitForURL(/\/form\?/)
      await tab.getByRole('button', { name: 'Send' }).click()
      await tab.getByText('saved').waitFor()
      const [direct, kept] = received.map(({ type, body }) => parseMultipart(Buffer.from(body), boundaryOf(type) ?? ''))
      assert.equal(direct?.length, 5)
      assert.deepEqual(kept, direct)
    } finally {
      await chromium.close()
    }
  }),
)

test('on a site with several providers the one of the expired session is asked, and the same sub at another one is another user', async () => {
  let ahead = 0
  const now = () => Date.now() + ahead
  const clock = { now: () => Math.floor(now() / 1000) }
  const [a, b] = [await startHostileProvider(clock), await startHostileProvider(clock)]
  const client = ({ issuer, clientId, clientSecret }: typeof a) => ({ issuer, clientId, clientSecret })
  const site = await startSite({
    oidc: {
      providers: { a: client(a), b: client(b) },
      chooseProvider: '/choose',
      routes: { keptForm: '/form' },
      now: () => new Date(now()),
    },
    routes(app) {
      app.get('/choose', (req, res) => void res.send(`<a href="${String(req.query.returnTo)}">choose</a>`))
      app.post('/notes', requiresAuth({ keepForm: true }), (_req, res) => void res.send('saved'))
    },
  })
  try {
    const agent = createAgent()
    await agent.visit(`${site.url}/login/a?returnTo=/`)
    ahead += WEEK * 1000
    const start = await agent.post(`${site.url}/notes`, { title: 'Milk' }, { redirect: 'manual' })
    assert.ok(start.leadsTo?.startsWith(a.issuer), start.leadsTo)
    let page = await agent.open(start.leadsTo ?? '')
    while (page.forms[0]?.isAutomatic) page = await agent.submitForm()
    assert.ok(isKeptFormPage(page), page.text)
    await agent.visit(`${site.url}/login/b?${new URLSearchParams({ returnTo: page.url.slice(site.url.length) })}`)
    assert.ok(isUnsentPage(agent.page as typeof page))
    assert.doesNotMatch(agent.page?.text ?? '', /Milk/)
    await agent.visit(`${site.url}/login/a?${new URLSearchParams({ returnTo: page.url.slice(site.url.length) })}`)
    assert.ok(isKeptFormPage(agent.page as typeof page))
    assert.equal((await agent.submitForm()).text, 'saved')
  } finally {
    await site.close()
    await a.close()
    await b.close()
  }
})
