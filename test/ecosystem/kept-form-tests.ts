import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import express, { type Request } from 'express'
import { requiresAuth } from '../../lib/index.js'
import { scale } from '../faults/scale.js'
import { DAY, type FormFixtureOptions, isKeptFormPage, withFormFixture } from '../support/kept-form.js'
import { secret } from '../support/secrets.js'
import { installPackages, load, type Untyped } from './packages.js'

// Forms that are kept, with the tokens of the CSRF packages that sites use, as docs/kept-forms.md has it.

/** How a package makes the token of a form, and checks it. */
interface Protection {
  readonly tokenOf: (req: Request) => string
  readonly check: Untyped
  readonly before?: Untyped
}

const protections: Readonly<Record<string, () => Protection>> = {
  'csrf-sync': () => {
    const { generateToken, csrfSynchronisedProtection } = load('csrf-sync').csrfSync({
      getTokenFromRequest: (req: Untyped) => req.body._csrf,
    })
    return { tokenOf: req => generateToken(req), check: csrfSynchronisedProtection }
  },
  'csrf-csrf': () => {
    const csrfSecret = secret('csrf secret')
    const { generateCsrfToken, doubleCsrfProtection } = load('csrf-csrf').doubleCsrf({
      getSecret: () => csrfSecret,
      getSessionIdentifier: (req: Request) => req.session.id,
      getCsrfTokenFromRequest: (req: Untyped) => req.body._csrf,
      cookieName: 'csrf',
      cookieOptions: { secure: false, sameSite: 'lax' },
    })
    return {
      tokenOf: req => generateCsrfToken(req, req.res),
      check: doubleCsrfProtection,
      before: load('cookie-parser')(),
    }
  },
}

function siteWith(name: string, replaces: boolean): FormFixtureOptions {
  let protection: Protection | undefined
  const use = () => (protection ??= protections[name]?.() as Protection)
  return {
    oidc: {
      responseType: 'code',
      responseMode: 'query',
      ...(replaces && { hooks: { keptForm: ({ req }) => ({ _csrf: use().tokenOf(req) }) } }),
    },
    site: { before: app => void (use().before && app.use(use().before)) },
    more(app) {
      app.get('/form-with-token', requiresAuth(), (req, res) => {
        const token = use().tokenOf(req)
        res.send(`<form method=post action=/protected><input name=title><input name=_csrf value="${token}"></form>`)
      })
      const parse = express.urlencoded({ extended: false })
      app.post('/protected', requiresAuth({ keepForm: true }), parse, use().check, (req, res) => {
        res.send(`stored ${req.body.title}`)
      })
    },
  }
}

if (scale > 1) {
  before(installPackages)
  for (const name of Object.keys(protections))
    for (const replaces of [true, false])
      test(`${name}: a form that was kept is ${replaces ? 'accepted with the token of the new session' : 'refused with the old token'}`, async () => {
        await withFormFixture(siteWith(name, replaces), async ({ agent, advance, site }) => {
          await agent.visit(`${site.url}/form-with-token`)
          assert.match((await agent.submitForm({ title: 'Milk' })).text, /stored Milk/)
          await agent.open(`${site.url}/form-with-token`)
          advance(7 * DAY)
          const page = await agent.submitForm({ title: 'Bread' })
          assert.ok(isKeptFormPage(page), page.text)
          const sent = await agent.submitForm()
          if (replaces) assert.match(sent.text, /stored Bread/)
          else assert.ok(sent.status >= 400 && !sent.text.includes('stored'), sent.text)
        })()
      })
}
