import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Express } from 'express'
import { withFixture } from '../support/handler-fixture.js'

// The recipe "To another host after the sign-out" of docs/recipes.md.

const elsewhere = 'https://shop.example.com/'

function addRoutes(app: Express): void {
  app.get('/sign-out', (req, _res, next) => {
    req.oidc.logout({ returnTo: String(req.query.to) }).catch(next)
  })
  app.get('/sign-in', (req, _res, next) => {
    req.oidc.login({ returnTo: String(req.query.to) }).catch(next)
  })
  app.get('/signed-out', (_req, res) => void res.send('bye'))
}

test(
  'a page of the site that sends users on is where they land; an address of another host is the start page, and the log says so a few times',
  withFixture({ site: { routes: addRoutes } }, async ({ agent, site }) => {
    const ask = (path: string, to: string) => agent.open(`${site.url}${path}?to=${encodeURIComponent(to)}`)
    const lines = () => site.log.filter(line => line.includes('returnTo is not a page of this site'))
    await agent.visit(`${site.url}/claims`)
    for (let count = 0; count < 5; count += 1) {
      const page = await ask('/sign-out', elsewhere)
      assert.equal(page.url, `${site.url}/`)
    }
    assert.equal(lines().length, 3)
    assert.match(lines()[0] ?? '', /^req\.oidc\.logout: /)
    assert.ok(!site.log.join('\n').includes(elsewhere), 'no text of a stranger')
    await ask('/sign-in', '//evil.example')
    assert.match(lines().at(-1) ?? '', /^req\.oidc\.login: /)
    const before = lines().length
    await ask('/sign-in', '/user')
    await agent.open(`${site.url}/logout?returnTo=${encodeURIComponent(elsewhere)}`)
    assert.equal(lines().length, before, 'a request of a stranger writes no line')
    assert.equal((await ask('/sign-out', '/signed-out')).url, `${site.url}/signed-out`)
  }),
)
