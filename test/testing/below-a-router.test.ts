import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, describe, test } from 'node:test'
import express5, { type Express, type Router } from 'express'
import { openIdConnect, requiresAuth } from '../../lib/index.js'
import { type FakeProvider, startFakeProvider } from '../../lib/testing/index.js'
import { send } from '../support/http-client.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { secret } from '../support/secrets.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

/** What the test clients that take an application send by default: no word of a page, unlike the platform's `fetch`. */
const asTestClient = { accept: '*/*', 'accept-encoding': 'identity', connection: 'close' }

async function ask(app: Express, path: string, cookie: string) {
  const server = await startLoopbackServer(app as never)
  try {
    const headers = { ...asTestClient, ...(cookie !== '' && { cookie }) }
    const { status, text } = await send({ url: `http://127.0.0.1:${server.port}${path}`, headers })
    return { status, text }
  } finally {
    await server.stop()
  }
}

describe('a fake provider, and a site that is mounted below a router', () => {
  let provider: FakeProvider

  before(async () => {
    provider = await startFakeProvider({ clientSecret: secret('client secret of the fake provider') })
  })
  after(() => provider.close())

  function fill<T extends Express | Router>(filled: T, path: string): T {
    const inner = filled as Router
    inner.use(
      openIdConnect({
        ...provider.options,
        baseUrl: `http://localhost:3000${path}`,
        secret: secret('session secret of a site below a router'),
        log: () => {},
      }),
    )
    inner.get(
      '/me',
      requiresAuth(),
      (req, res) => void res.json({ sub: req.oidc.user?.sub, seen: (req.session as { seen?: true }).seen }),
    )
    inner.get('/start', (_req, res) => res.redirect(`${path}/login`))
    inner.get('/see', (req, res) => {
      Object.assign(req.session, { seen: true })
      res.end()
    })
    return filled
  }

  for (const [version, express] of [
    ['4', express4],
    ['5', express5],
  ] as const) {
    const mounts: Readonly<Record<string, (app: Express) => string>> = {
      'an application that is mounted': app => {
        app.use('/shop', fill(express(), '/shop'))
        return '/shop'
      },
      'an application on a router': app => {
        app.use(express.Router().use('/shop', fill(express(), '/shop')))
        return '/shop'
      },
      'an application two routers deep': app => {
        const inner = express.Router().use('/shop', fill(express(), '/x/y/shop'))
        app.use('/x', express.Router().use('/y', inner))
        return '/x/y/shop'
      },
      'an application that a function calls': app => {
        const inner = fill(express(), '/shop')
        app.use('/shop', (req, res, next) => void inner(req, res, next))
        return '/shop'
      },
      'the middleware on a router': app => {
        app.use('/shop', fill(express.Router(), '/shop'))
        return '/shop'
      },
      'the middleware on a router on a router': app => {
        app.use('/x', express.Router().use('/shop', fill(express.Router(), '/x/shop')))
        return '/x/shop'
      },
    }
    for (const [what, mount] of Object.entries(mounts)) {
      test(`Express ${version}: ${what} signs in, and a test client that accepts anything is that user`, async () => {
        const app = express()
        const path = mount(app)
        const bob = await provider.signIn(app, { sub: 'bob' }, { path: `${path}/login` })
        const eve = await provider.signIn(app, { sub: 'eve' }, { path: `${path}/me` })
        await ask(app, `${path}/see`, bob)
        assert.deepEqual(JSON.parse((await ask(app, `${path}/me`, bob)).text), { sub: 'bob', seen: true })
        assert.deepEqual(JSON.parse((await ask(app, `${path}/me`, eve)).text), { sub: 'eve' })
        const signedOut = [await ask(app, `${path}/me`, ''), await ask(app, `${path}/login`, '')]
        assert.deepEqual(
          signedOut.map(({ status }) => status),
          [401, 303],
        )
      })
    }

    test(`Express ${version}: the inner application by itself signs in, wherever baseUrl says it is mounted`, async () => {
      for (const path of ['', '/shop', '/x/y/shop']) {
        const app = fill(express(), path)
        for (const start of ['/login', '/me', '/start']) {
          const bob = await provider.signIn(app, { sub: 'bob' }, { path: start })
          assert.deepEqual(JSON.parse((await ask(app, '/me', bob)).text), { sub: 'bob' })
        }
        const { status } = await provider.refuse(app)
        assert.equal(status, 403)
      }
    })

    test(`Express ${version}: an address has the path in it`, async () => {
      const app = express().use('/shop', fill(express.Router(), '/shop'))
      const server = await startLoopbackServer(app as never)
      try {
        for (const slash of ['', '/']) {
          const bob = await provider.signIn(`http://127.0.0.1:${server.port}/shop${slash}`, { sub: 'bob' })
          assert.deepEqual(JSON.parse((await ask(app, '/shop/me', bob)).text), { sub: 'bob' })
        }
      } finally {
        await server.stop()
      }
    })
  }

  test('where the default path leads nowhere, the error says what to give', async () => {
    const app = express5().use('/shop', fill(express5.Router(), '/shop'))
    await assert.rejects(provider.signIn(app), /name a page of it: signIn\(app, user, \{ path: "\/shop\/login" \}\)/)
  })

  test('a callback that is nowhere is not taken for a sign-in', async () => {
    const app = express5()
    const shop = fill(express5.Router(), '/other/place')
    app.use('/shop', shop)
    await assert.rejects(
      provider.signIn(app, { sub: 'bob' }, { path: '/shop/login' }),
      /did not accept the sign-in.*404/,
    )
  })
})
