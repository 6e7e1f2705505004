import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import express from 'express'
import { openIdConnect, requiresAuth } from '../../lib/index.js'
import { type FakeProvider, startFakeProvider } from '../../lib/testing/index.js'
import { send } from '../support/http-client.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { keepSecret, secret } from '../support/secrets.js'

describe('a fake provider of a site with several hosts', () => {
  let provider: FakeProvider

  before(async () => {
    provider = await startFakeProvider()
    keepSecret('client secret of the fake provider', provider.options.clientSecret)
  })
  after(() => provider.close())

  async function withSite(run: (app: express.Express, url: string) => Promise<void>): Promise<void> {
    const oidc = openIdConnect({
      ...provider.options,
      baseUrl: ['https://www.example.com', 'https://www.example.de'],
      secret: secret('session secret of a tested site'),
      log: () => {},
    })
    const app = express().use(oidc)
    app.get('/me', requiresAuth(), (req, res) => void res.json(req.oidc.user?.sub))
    const server = await startLoopbackServer(app as never)
    try {
      await run(app, `http://127.0.0.1:${server.port}`)
    } finally {
      await server.stop()
      await oidc.close()
    }
  }

  const statusAt = async (url: string, host: string, cookie: string) =>
    (await send({ url: `${url}/me`, headers: { host, cookie } })).status

  test('signs in at the host that a test names, to an application and to an address', () =>
    withSite(async (app, url) => {
      for (const site of [app, url]) {
        const german = await provider.signIn(site, { sub: 'bob' }, { host: 'www.example.de' })
        assert.deepEqual(
          [await statusAt(url, 'www.example.de', german), await statusAt(url, 'www.example.com', german)],
          [200, 401],
        )
        const both = await provider.signIn(site, { sub: 'bob' }, { host: 'www.example.com', cookie: german })
        assert.equal(await statusAt(url, 'www.example.com', both), 200)
      }
    }))

  test('refuses a sign-in at that host', () =>
    withSite(async app => {
      const { status } = await provider.refuse(app, 'access_denied', { host: 'www.example.de' })
      assert.equal(status, 403)
    }))

  test('says that a host is missing', () =>
    withSite(async app => {
      await assert.rejects(provider.signIn(app), /name one of its hosts: signIn\(app, user, \{ host: /)
    }))
})
