import assert from 'node:assert/strict'
import { test } from 'node:test'
import express, { type RequestHandler } from 'express'
import { openIdConnect, requiresAuth } from '../../lib/index.js'
import { withFixture } from '../support/handler-fixture.js'
import { secret } from '../support/secrets.js'

const welcome: RequestHandler = (_req, res) => void res.send('in')

for (const version of [4, 5] as const)
  test(
    `a user of the site does not pass the guards and the proxy of an instance on a sub-app or a path, in Express ${version}`,
    withFixture(
      {
        site: {
          express: version,
          routes(app) {
            const staff = openIdConnect({
              issuer: 'http://127.0.0.1:1',
              clientId: 'staff',
              baseUrl: 'http://localhost:1/staff',
              secret: secret('session secret'),
              session: { name: 'staff' },
              log: () => {},
            })
            const office = express()
            office.use(staff)
            office.get('/own', staff.requiresAuth(), welcome)
            office.get('/global', requiresAuth(), welcome)
            office.use(staff.proxy('/api', { target: 'http://127.0.0.1:1' }))
            app.use('/staff', office)
            app.use('/path', staff)
            app.get('/path/own', staff.requiresAuth(), welcome)
            app.get('/outside', staff.requiresAuth(), welcome)
            app.get('/after', requiresAuth(), welcome)
          },
        },
      },
      async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        const found: unknown[] = []
        for (const path of ['/staff/own', '/staff/global', '/staff/api/x', '/path/own', '/outside', '/after']) {
          const { status, text } = await agent.fetch(site.url + path, { headers: { 'x-csrf': '1' } })
          assert.equal(text === 'in', path === '/after', path)
          // A sub-app without an error handler of its own gets the response of the package.
          const own = /"error":"(\w+)"/.exec(text)?.[1]
          found.push([path, status, status === 200 ? undefined : (own ?? site.lastCode())])
        }
        assert.deepEqual(found, [
          ['/staff/own', 401, 'ERR_OIDC_LOGIN_REQUIRED'],
          ['/staff/global', 500, 'ERR_OIDC_SEVERAL_INSTANCES'],
          ['/staff/api/x', 401, 'ERR_OIDC_LOGIN_REQUIRED'],
          ['/path/own', 401, 'ERR_OIDC_LOGIN_REQUIRED'],
          ['/outside', 500, 'ERR_OIDC_NOT_MOUNTED'],
          ['/after', 200, undefined],
        ])
      },
    ),
  )
