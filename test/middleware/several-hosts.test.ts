import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import express, { type Express } from 'express'
import session from 'express-session'
import { openIdConnect } from '../../lib/index.js'
import { type Agent, createAgent } from '../support/agent.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { parseForms } from '../support/html-form.js'
import { send } from '../support/http-client.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { withHosts } from '../support/several-hosts.js'
import { startSite } from '../support/site.js'

const html = { accept: 'text/html' }

function addPages(app: Express): void {
  app.get('/who', (req, res) => {
    const { user, handle, provider } = req.oidc
    res.json({ sub: user?.sub ?? null, handle: handle ?? null, provider: provider ?? null })
  })
  app.get('/cookie', (req, res) => void res.json(req.session.cookie))
}

interface Who {
  readonly sub: string | null
  readonly handle: string | null
  readonly provider: string | null
}

const who = async (agent: Agent, url: string) => (await agent.fetch(`${url}/who`, { from: `${url}/` })).json<Who>()
const namesAt = (agent: Agent, url: string) => agent.cookies(url).map(({ name }) => name)

describe('a site with several hosts', () => {
  test('signs in and out at each of them: redirect URI, cookies, pages and the way back follow the host', () =>
    withHosts({ routes: addPages }, async ({ at, provider, port }) => {
      const agent = createAgent()
      for (const host of [at('a'), at('b')]) {
        const page = await agent.visit(`${host}/claims?x=1`)
        assert.deepEqual([page.status, page.url], [200, `${host}/claims?x=1`], page.text)
        const asked = provider.requestsTo('authorize').at(-1)
        assert.equal(asked?.query.redirect_uri, `${host}/callback`)
        assert.ok(namesAt(agent, host).includes(`sid.${port}`), namesAt(agent, host).join())
      }
      assert.equal((await who(agent, at('a'))).sub, 'alice-0001')
      const out = await agent.visit(`${at('b')}/logout?returnTo=/who`, {
        from: `${at('b')}/`,
        headers: { 'sec-fetch-site': 'same-origin' },
      })
      assert.equal(
        provider.requestsTo('endSession').at(-1)?.query.post_logout_redirect_uri,
        `${at('b')}/logout/callback`,
      )
      assert.equal(out.url, `${at('b')}/who`, out.text)
      assert.deepEqual([(await who(agent, at('a'))).sub, (await who(agent, at('b'))).sub], ['alice-0001', null])
    }))

  test('tells the browser of each host what it may do with its cookies: https and http beside each other', () =>
    withHosts(
      { baseUrl: at => [at('a'), 'https://www.example.com'], routes: addPages, oidc: { responseMode: 'query' } },
      async ({ at, site }) => {
        const plain = await send({ url: `${at('a')}/login`, headers: html })
        const tls = await send({ url: `${site.url}/login`, headers: { ...html, host: 'www.example.com' } })
        assert.match(plain.setCookies[0] ?? '', /^oidc\.[\w-]{10}=/)
        assert.match(tls.setCookies[0] ?? '', /^__Host-oidc\.[\w-]{10}=.*; Secure/)
        assert.equal(
          new URL(tls.headers.location ?? '').searchParams.get('redirect_uri'),
          'https://www.example.com/callback',
        )
        const secureOf = async (host: string) =>
          JSON.parse((await send({ url: `${site.url}/cookie`, headers: { host } })).text).secure
        assert.deepEqual([await secureOf(new URL(at('a')).host), await secureOf('www.example.com')], [false, true])
      },
    ))

  test('has a path below each of its hosts, where the middleware is mounted', async () => {
    const provider = await startHostileProvider()
    const app = express()
    const server = await startLoopbackServer(app as never)
    const [a, b] = ['a', 'b'].map(name => `http://${name}.localhost:${server.port}`)
    const { issuer, clientId, clientSecret } = provider
    const oidc = openIdConnect({
      ...{ issuer, clientId, clientSecret, responseType: 'code', secret: secret('session secret'), log: () => {} },
      baseUrl: [`${a}/shop/`, `${b}/shop`],
    })
    app.use('/shop', oidc)
    app.get('/shop/page', oidc.requiresAuth(), (req, res) => void res.json(req.originalUrl))
    try {
      for (const page of [`${a}/shop/page`, `${b}/shop/page`]) {
        const { url, text } = await createAgent().visit(page)
        assert.deepEqual([url, text], [page, JSON.stringify(new URL(page).pathname)])
      }
      const uris = provider.requestsTo('authorize').map(({ query }) => query.redirect_uri)
      assert.deepEqual(uris, [`${a}/shop/callback`, `${b}/shop/callback`])
    } finally {
      await server.stop()
      await oidc.close()
      await provider.close()
    }
  })

  test('keeps the cookies of two ports of one host apart', () =>
    withHosts(
      {
        baseUrl: (at, port) => [at('a'), `http://a.localhost:${port === 65_535 ? port - 1 : port + 1}`],
        routes: addPages,
      },
      async ({ at, site, port }) => {
        const other = `a.localhost:${port === 65_535 ? port - 1 : port + 1}`
        const agent = createAgent()
        await agent.visit(`${at('a')}/claims`)
        const cookie = agent
          .cookies(at('a'))
          .map(({ name, value }) => `${name}=${value}`)
          .join('; ')
        const seen = await send({ url: `${site.url}/who`, headers: { host: other, cookie } })
        assert.equal(JSON.parse(seen.text).sub, null)
        const start = await send({ url: `${site.url}/login`, headers: { ...html, host: other, cookie } })
        const [name = ''] = (start.setCookies[0] ?? '').split('=')
        assert.ok(name.startsWith('__Host-oidc.') && !cookie.includes(name), `${name} beside ${cookie}`)
      },
    ))

  test('goes back to pages of the host of the request only, also where the options list the other one', () =>
    withHosts(
      { routes: addPages, oidc: { routes: { initiateLogin: '/initiate' } } },
      async ({ at, site, provider }) => {
        const agent = createAgent()
        const page = await agent.visit(`${at('a')}/login?returnTo=${encodeURIComponent(`${at('b')}/who`)}`)
        assert.equal(page.url, `${at('a')}/`)
        const own = await agent.visit(`${at('a')}/login?returnTo=${encodeURIComponent(`${at('a')}/who`)}`)
        assert.equal(own.url, `${at('a')}/who`)
        const out = await agent.visit(`${at('a')}/logout?local=1&returnTo=${encodeURIComponent(`${at('b')}/who`)}`)
        assert.equal(out.url, `${at('a')}/`)
        const initiated = (target: string) =>
          createAgent().visit(
            `${at('a')}/initiate?iss=${encodeURIComponent(provider.issuer)}&target_link_uri=${encodeURIComponent(target)}`,
          )
        assert.equal((await initiated(`${at('a')}/who`)).url, `${at('a')}/who`)
        await initiated(`${at('b')}/who`)
        assert.equal(site.lastCode(), 'ERR_OIDC_REQUEST_MALFORMED')
      },
    ))

  test('guards of the instance, req.oidc and the routes for scripts are those of the host', () =>
    withHosts({ routes: addPages, oidc: { routes: { user: '/me' } } }, async ({ at, site }) => {
      const agent = createAgent()
      await agent.visit(`${at('a')}/claims`)
      const call = (origin: string) =>
        agent.fetch(`${at('a')}/me`, { from: `${at('a')}/`, headers: { 'x-csrf': '1', origin } })
      assert.equal((await call(at('a'))).status, 200)
      await call(at('b'))
      assert.equal(site.lastCode(), 'ERR_OIDC_FOREIGN_REQUEST')
      const raw = { headers: { host: new URL(at('a')).host }, rawHeaders: [], url: '/', method: 'GET', socket: {} }
      assert.equal(await site.oidc.authenticate(raw as never), undefined)
      await assert.rejects(site.oidc.authenticate({ ...raw, headers: { host: 'c.example' } } as never), {
        code: 'ERR_OIDC_HOST_UNKNOWN',
      })
    }))

  test('lists the sessions of a user at all hosts with their base URLs, and ends them at all hosts', () =>
    withHosts({ routes: addPages }, async ({ at, site, provider }) => {
      const agent = createAgent()
      for (const host of [at('a'), at('b')]) await agent.visit(`${host}/claims`)
      const listed = await site.oidc.sessions.list({ sub: 'alice-0001' })
      assert.deepEqual(listed.map(({ baseUrl }) => baseUrl).sort(), [at('a'), at('b')])
      assert.equal(await site.oidc.sessions.revoke({ sub: 'alice-0001' }), 2)
      assert.deepEqual([(await who(agent, at('a'))).sub, (await who(agent, at('b'))).sub], [null, null])
      for (const host of [at('a'), at('b')]) await agent.visit(`${host}/claims`)
      const logout_token = await provider.createLogoutToken()
      const told = await send({
        url: `${at('b')}/logout/backchannel`,
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams({ logout_token }).toString(),
      })
      assert.equal(told.status, 200, told.text)
      assert.deepEqual([(await who(agent, at('a'))).sub, (await who(agent, at('b'))).sub], [null, null])
    }))

  test('two processes: each finishes what the other has begun at a host, and knows its sessions there', async () => {
    const redis = await startRedis()
    const sealed = secret('session secret')
    try {
      await withHosts(
        { routes: addPages, oidc: { redis: redis.url, secret: sealed } },
        async ({ at, provider, site }) => {
          const { issuer, clientId, clientSecret } = provider
          const other = await startSite({
            oidc: {
              issuer,
              clientId,
              clientSecret,
              responseType: 'code',
              baseUrl: [at('b'), at('a')],
              redis: redis.url,
              secret: sealed,
            },
            routes: addPages,
          })
          try {
            const { host } = new URL(at('a'))
            const start = await send({ url: `${other.url}/login?returnTo=/who`, headers: { ...html, host } })
            const cookie = (start.setCookies[0] ?? '').split(';', 1).join()
            const [form] = parseForms(await (await fetch(start.headers.location ?? '')).text(), provider.issuer)
            const finish = (url: string, at: string) =>
              send({
                url: `${url}/callback`,
                method: 'POST',
                headers: { ...html, host: at, cookie, 'content-type': 'application/x-www-form-urlencoded' },
                body: new URLSearchParams(form?.fields as [string, string][] | undefined).toString(),
              })
            const end = await finish(site.url, host)
            assert.deepEqual([end.status, end.headers.location], [303, '/who'], end.text)
            const session = end.setCookies.map(line => line.split(';', 1).join()).join('; ')
            const seen = async (host: string) =>
              JSON.parse((await send({ url: `${other.url}/who`, headers: { host, cookie: session } })).text).sub
            assert.deepEqual([await seen(host), await seen(new URL(at('b')).host)], ['alice-0001', null])
          } finally {
            await other.close()
          }
        },
      )
    } finally {
      await redis.stop()
    }
  })

  test('with an express-session of the site, a session of one host has no user at another', () =>
    withHosts(
      {
        oidc: { session: false },
        before: app => app.use(session({ secret: secret('express-session'), resave: false, saveUninitialized: false })),
        routes: addPages,
      },
      async ({ at }) => {
        const agent = createAgent()
        await agent.visit(`${at('a')}/claims`)
        const cookie = agent
          .cookies(at('a'))
          .map(({ name, value }) => `${name}=${value}`)
          .join('; ')
        const seen = async (url: string) =>
          JSON.parse((await send({ url: `${url}/who`, headers: { cookie } })).text).sub
        assert.deepEqual([await seen(at('a')), await seen(at('b'))], ['alice-0001', null])
      },
    ))
})
