import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { before, describe, test } from 'node:test'
import express5, { type Express, type Request, type RequestHandler } from 'express'
import { requiresAuth } from '../../lib/index.js'
import { scale } from '../faults/scale.js'
import { startChromium } from '../support/chromium.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { installPackages, load, readManifest, type Untyped } from './packages.js'
// In one process, because the packages are installed once.
import './kept-form-tests.js'
import './open-telemetry-tests.js'
import './watch-tests.js'

// Popular packages, each in its usual place beside the middleware, on Express 4 and 5. They are installed in the long run only.

type App = Express & Untyped
type Site = { before?: (app: App) => void; routes?: (app: App) => void; oidc?: FixtureOptions['oidc'] }

test('the lock has every package of the manifest, with its hash and from no other place than the registry', () => {
  const { dependencies, packages } = readManifest()
  for (const name of Object.keys(dependencies)) assert.ok(packages[`node_modules/${name}`], name)
  for (const [path, { integrity, resolved }] of Object.entries(packages)) {
    if (path !== '') assert.match(integrity ?? '', /^sha512-/, path)
    assert.match(resolved ?? 'https://registry.npmjs.org/', /^https:\/\/registry\.npmjs\.org\//, path)
  }
})

const untyped = (req: object): Untyped => req

/** A page that only a signed-in user sees, and which counts visits in `req.session`. */
const countVisits: RequestHandler = (req, res) => {
  const session = untyped(req.session)
  session.visits = (session.visits ?? 0) + 1
  res.json({ sub: req.oidc.user?.sub ?? null, visits: session.visits })
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }

if (scale > 1) {
  before(installPackages)
  for (const version of [4, 5] as const) describe(`with Express ${version}`, () => runAll(version))
}

/** What a logger wrote for one failure of a site, line by line. */
async function logOfFailure(log: Untyped, lines: readonly string[]): Promise<Untyped[]> {
  await withFixture({ oidc: { log } }, async ({ agent, site }) => {
    await agent.open(`${site.url}/callback`)
  })()
  return lines.map(line => JSON.parse(line)).filter(({ code }) => code !== undefined)
}

if (scale > 1) {
  const expected = { code: 'ERR_OIDC_REQUEST_METHOD', status: 405, method: 'GET', path: '/callback' }

  test('pino: a failure is a line with its level, code and path', async () => {
    const lines: string[] = []
    const [line, ...others] = await logOfFailure(load('pino')({}, { write: (text: string) => lines.push(text) }), lines)
    assert.deepEqual(others, [])
    const { level, msg, component, time: _, pid: __, hostname: ___, correlationId, ...fields } = line
    assert.match(correlationId, /^[\w-]{36}$/)
    assert.deepEqual([level, component, fields], [40, 'express-hybrid-oidc', expected])
    assert.match(msg, /^ERR_OIDC_REQUEST_METHOD GET/)
  })

  test('winston: a failure is a line with its level, code and path', async () => {
    const lines: string[] = []
    const { createLogger, transports } = load('winston')
    const { Writable } = await import('node:stream')
    const stream = new Writable({
      write(chunk, _encoding, done) {
        lines.push(String(chunk))
        done()
      },
    })
    const [line, ...others] = await logOfFailure(
      createLogger({ transports: [new transports.Stream({ stream })] }),
      lines,
    )
    assert.deepEqual(others, [])
    const { level, message, correlationId, ...fields } = line
    assert.match(correlationId, /^[\w-]{36}$/)
    assert.deepEqual([level, fields], ['warn', expected])
    assert.match(message, /^express-hybrid-oidc: ERR_OIDC_REQUEST_METHOD GET/)
  })
}

function runAll(version: 4 | 5): void {
  /** A test at a site that uses a package. */
  function usesPackage(name: string, site: () => Site, run: (fixture: Fixture) => Promise<void>): void {
    test(name, async () => {
      const { before, routes, oidc } = site()
      const options = { express: version, ...(before && { before }), ...(routes && { routes }) }
      await withFixture({ site: options, ...(oidc && { oidc }) }, run)()
    })
  }

  usesPackage(
    'connect-flash: a message survives a redirect and the sign-in',
    () => ({
      oidc: { session: { keep: ['flash'] } },
      routes: app => {
        app.use(load('connect-flash')())
        app.get('/save', (req: Untyped, res: Untyped) => {
          req.flash('info', 'saved')
          res.redirect('/messages')
        })
        app.get('/messages', requiresAuth(), (req: Untyped, res: Untyped) => res.json(req.flash('info')))
      },
    }),
    async ({ agent, site }) => {
      assert.deepEqual((await agent.visit(`${site.url}/save`)).json(), ['saved'])
      assert.deepEqual((await agent.open(`${site.url}/messages`)).json(), [], 'a message is shown once')
    },
  )

  usesPackage(
    'csrf-sync: a token that was given before the sign-in is good after it',
    () => ({
      oidc: { session: { keep: ['csrfToken'] } },
      routes: app => {
        app.use(load('csrf-sync').csrfSync().csrfSynchronisedProtection)
        app.get('/form', (req: Untyped, res: Untyped) => res.json(req.csrfToken()))
        app.post('/write', (_req: Untyped, res: Untyped) => res.json('written'))
      },
    }),
    async ({ agent, site }) => {
      const token = (await agent.open(`${site.url}/form`)).json<string>()
      await agent.visit(`${site.url}/claims`)
      const write = (value: string) =>
        agent.fetch(`${site.url}/write`, { method: 'POST', headers: { 'x-csrf-token': value } })
      assert.equal((await write(token)).json(), 'written')
      assert.notEqual((await write('x')).status, 200)
    },
  )

  usesPackage(
    'csrf-csrf: a token belongs to a session, so that one from before the sign-in is refused and a new one is good',
    () => ({
      routes: app => {
        const csrfSecret = secret('csrf secret')
        const { doubleCsrfProtection, generateCsrfToken } = load('csrf-csrf').doubleCsrf({
          getSecret: () => csrfSecret,
          getSessionIdentifier: (req: Request) => req.session.id,
          cookieName: 'csrf',
          cookieOptions: { secure: false, sameSite: 'lax' },
        })
        app.use(load('cookie-parser')())
        app.get('/form', (req: Request, res: Untyped) => {
          untyped(req.session).seen = true
          res.json(generateCsrfToken(req, res, { overwrite: true, validateOnReuse: false }))
        })
        app.post('/write', doubleCsrfProtection, (_req: Untyped, res: Untyped) => res.json('written'))
      },
    }),
    async ({ agent, site }) => {
      const token = async () => (await agent.open(`${site.url}/form`)).json<string>()
      const write = (value: string) =>
        agent.fetch(`${site.url}/write`, { method: 'POST', headers: { 'x-csrf-token': value } })
      const early = await token()
      assert.equal((await write(early)).json(), 'written')
      await agent.visit(`${site.url}/claims`)
      assert.notEqual((await write(early)).status, 200)
      assert.equal((await write(await token())).json(), 'written')
    },
  )

  usesPackage(
    'passport-local: local users and users of the provider side by side in one session',
    () => ({
      oidc: { session: { keep: ['passport'] } },
      routes: app => {
        const passport = new (load('passport').Passport)()
        const { Strategy } = load('passport-local')
        passport.use(
          new Strategy((username: string, password: string, done: Untyped) =>
            done(null, password === 'right' ? { username } : false),
          ),
        )
        passport.serializeUser((user: Untyped, done: Untyped) => done(null, user.username))
        passport.deserializeUser((username: string, done: Untyped) => done(null, { username }))
        app.use(passport.session())
        app.post('/local', express5.urlencoded({ extended: false }), passport.authenticate('local'), tellBoth)
        app.get('/both', requiresAuth(), tellBoth)
        app.get('/local-user', tellBoth)
      },
    }),
    async ({ agent, site }) => {
      const url = `${site.url}/local`
      const fill = (password: string) =>
        agent.fetch(url, { method: 'POST', headers: form, body: `username=carol&password=${password}` })
      assert.equal((await fill('wrong')).status, 401)
      assert.deepEqual((await fill('right')).json(), ['carol', null])
      assert.deepEqual((await agent.open(`${site.url}/local-user`)).json(), ['carol', null])
      assert.deepEqual((await agent.visit(`${site.url}/both`)).json(), ['carol', 'alice-0001'])
    },
  )

  usesPackage(
    'helmet: its policies let the sign-in by form_post and the sign-out through',
    () => ({ before: app => app.use(load('helmet')()) }),
    async ({ agent, site, provider }) => {
      const page = await agent.visit(`${site.url}/claims`)
      assert.equal(page.json<{ sub: string }>().sub, 'alice-0001')
      assert.match(String(page.headers['content-security-policy']), /form-action 'self'/)
      const out = await agent.click(`${site.url}/logout`)
      assert.ok(
        out.hops.some(hop => hop.url.startsWith(provider.issuer)),
        out.hops.map(hop => hop.url).join(' '),
      )
    },
  )

  usesPackage(
    "helmet's defaults in Chromium: the posted forms that sign in and out lead to the provider and back",
    () => ({
      before: app => app.use(load('helmet')()),
      routes: app => {
        app.get('/forms', (_req: Untyped, res: Untyped) => {
          res.send(['/login?returnTo=/forms', '/logout?returnTo=/bye'].map(postedForm).join(''))
        })
        app.get('/bye', (_req: Untyped, res: Untyped) => void res.send('bye'))
      },
    }),
    async ({ site, provider }) => {
      const chromium = await startChromium()
      try {
        const tab = await chromium.newPage()
        await tab.goto(`${site.url}/forms`)
        await tab.click('text="/login?returnTo=/forms"')
        await tab.waitForURL(`${site.url}/forms`)
        await tab.goto(`${site.url}/claims`)
        assert.match(await tab.innerText('body'), /alice-0001/)
        await tab.goto(`${site.url}/forms`)
        await tab.click('text="/logout?returnTo=/bye"')
        await tab.waitForURL(`${site.url}/bye`)
        assert.deepEqual([provider.count('authorize'), provider.count('endSession')], [1, 1])
      } finally {
        await chromium.close()
      }
    },
  )

  usesPackage(
    'compression: pages are compressed, and the session is saved before they end',
    () => ({
      before: app => app.use(load('compression')({ threshold: 0 })),
      routes: app => app.get('/visits', requiresAuth(), countVisits),
    }),
    async ({ agent, site }) => {
      await agent.visit(`${site.url}/visits`)
      const cookie = agent.cookies(site.url).map(({ name, value }) => `${name}=${value}`)
      const page = await fetch(`${site.url}/visits`, { headers: { cookie: cookie.join('; ') } })
      assert.match(page.headers.get('content-encoding') ?? '', /gzip|br|deflate/)
      assert.match(page.headers.get('vary') ?? '', /Cookie/)
      assert.deepEqual(await page.json(), { sub: 'alice-0001', visits: 2 })
    },
  )

  usesPackage(
    'multer: a file is uploaded by a signed-in user and by no other',
    () => ({
      routes: app => {
        const multer = load('multer')
        const upload = multer({ storage: multer.memoryStorage() }).single('file')
        app.post('/upload', requiresAuth(), upload, (req: Untyped, res: Untyped) => {
          req.session.uploaded = req.file.originalname
          res.json({ text: req.file.buffer.toString(), note: req.body.note, sub: req.oidc.user.sub })
        })
        app.get('/uploaded', (req: Untyped, res: Untyped) => res.json(req.session.uploaded ?? null))
      },
    }),
    async ({ agent, site }) => {
      const upload = async () => {
        const body = new FormData()
        body.set('note', 'a note')
        body.set('file', new Blob(['a text']), 'a.txt')
        const sent = new globalThis.Request('http://localhost', { method: 'POST', body })
        const headers = { 'content-type': sent.headers.get('content-type') ?? '' }
        return agent.fetch(`${site.url}/upload`, { method: 'POST', headers, body: await sent.text() })
      }
      assert.equal((await upload()).status, 401)
      await agent.visit(`${site.url}/claims`)
      assert.deepEqual((await upload()).json(), { text: 'a text', note: 'a note', sub: 'alice-0001' })
      assert.equal((await agent.open(`${site.url}/uploaded`)).json(), 'a.txt')
    },
  )

  test('Sentry: errors of this package are reported with their code, without a token or a cookie, and the user gets our page', async () => {
    const Sentry = load('@sentry/node')
    const sent: string[] = []
    const transport = () => ({
      send: async (envelope: unknown) => void sent.push(JSON.stringify(envelope)),
      flush: async () => true,
    })
    Sentry.init({
      dsn: 'http://key@127.0.0.1:9/1',
      transport,
      defaultIntegrations: false,
      skipOpenTelemetrySetup: true,
    })
    let tokens: string[] = []
    const fixture: { current?: Fixture } = {}
    await withFixture(
      {
        site: {
          express: version,
          handlesErrors: false,
          routes: (app: App) => {
            app.get('/fails', requiresAuth(), (req: Untyped, _res: Untyped, next: Untyped) => {
              Promise.all([req.oidc.accessToken(), req.oidc.idToken()])
                .then(([{ accessToken }, idToken]) => {
                  tokens = [accessToken, idToken]
                  return req.oidc.accessToken({ resource: 'https://other.example' })
                })
                .then(next, next)
            })
            Sentry.setupExpressErrorHandler(app, { shouldHandleError: () => true })
            app.use((error: unknown, req: Untyped, res: Untyped, next: Untyped) =>
              fixture.current?.site.oidc.errorHandler()(error, req, res, next),
            )
          },
        },
      },
      async opened => {
        fixture.current = opened
        const page = await opened.agent.visit(`${opened.site.url}/fails`)
        await Sentry.flush(2000)
        assert.equal(tokens.length, 2)
        assert.ok(sent.length > 0, 'an error was reported')
        const reports = sent.join('\n')
        assert.match(reports, /OidcError/)
        const cookies = opened.agent.cookies(opened.site.url).map(({ value }) => value)
        for (const value of [...tokens, ...cookies]) assert.ok(!reports.includes(value), 'a report has no secret')
        assert.ok(page.status >= 400, String(page.status))
        assert.doesNotMatch(page.text, /at .*\.ts:\d+/, 'no stack')
      },
    )()
  })

  usesPackage(
    'prom-client: every request is counted, those of our routes too, and the page of metrics begins no session',
    () => {
      const { Registry, Counter } = load('prom-client')
      const registry = new Registry()
      const requests = new Counter({
        name: 'requests',
        help: 'x',
        labelNames: ['path', 'status'],
        registers: [registry],
      })
      return {
        before: app =>
          app.use((req: Untyped, res: Untyped, next: Untyped) => {
            const { path } = req
            res.on('finish', () => requests.inc({ path, status: res.statusCode }))
            next()
          }),
        routes: app => app.get('/metrics', async (_req: Untyped, res: Untyped) => res.send(await registry.metrics())),
      }
    },
    async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const page = await fetch(`${site.url}/metrics`)
      const text = await page.text()
      assert.deepEqual(page.headers.getSetCookie(), [])
      for (const line of [
        'path="/callback",status="303"',
        'path="/claims",status="303"',
        'path="/claims",status="200"',
      ])
        assert.ok(text.includes(line), text)
    },
  )

  usesPackage(
    'morgan: its log has neither a code nor a token of a sign-in by form_post',
    () => ({
      before: app => {
        app.locals.lines = []
        app.use(load('morgan')('combined', { stream: { write: (line: string) => app.locals.lines.push(line) } }))
      },
    }),
    async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      const lines = site.app.locals.lines.join('')
      assert.match(lines, /POST \/callback HTTP\/1\.1" 303/)
      assert.doesNotMatch(lines, /code=|id_token|access_token|state=/)
      assert.ok(!lines.includes(provider.clientSecret))
    },
  )

  usesPackage(
    'cors: preflights are answered before the middleware, and both fields are in Vary',
    () => ({
      before: app => app.use(load('cors')({ origin: ['https://app.example'], credentials: true })),
      routes: app => app.get('/data', requiresAuth(), countVisits),
    }),
    async ({ agent, site }) => {
      const headers = { origin: 'https://app.example', 'access-control-request-method': 'GET' }
      const preflight = await fetch(`${site.url}/data`, { method: 'OPTIONS', headers })
      assert.equal(preflight.status, 204)
      const refused = await fetch(`${site.url}/data`, { headers: { origin: 'https://app.example' } })
      assert.equal(refused.status, 401)
      assert.equal(refused.headers.get('access-control-allow-origin'), 'https://app.example')
      const page = await agent.visit(`${site.url}/data`)
      assert.match(String(page.headers.vary), /Origin/)
      assert.match(String(page.headers.vary), /Cookie/)
    },
  )

  usesPackage(
    'vhost: an application that is chosen by the host has req.session and req.oidc',
    () => ({
      routes: app => {
        const inner = (version === 4 ? load('express4') : load('express'))()
        inner.get('/inner', requiresAuth(), countVisits)
        app.use(load('vhost')('localhost', inner))
        app.get('/outer', requiresAuth(), countVisits)
      },
    }),
    async ({ agent, site }) => {
      assert.deepEqual((await agent.visit(`${site.url}/inner`)).json(), { sub: 'alice-0001', visits: 1 })
      assert.deepEqual((await agent.open(`${site.url}/outer`)).json(), { sub: 'alice-0001', visits: 2 })
    },
  )

  usesPackage(
    'socket.io: a socket reads the session and the user, over polling and WebSocket; without a session nothing is thrown',
    () => ({ routes: app => app.get('/visits', requiresAuth(), countVisits) }),
    async ({ agent, site }) => {
      const { Server } = load('socket.io')
      const { io: connect } = load('socket.io-client')
      await agent.visit(`${site.url}/visits`)
      const cookie = agent.cookies(site.url).map(({ name, value }) => `${name}=${value}`)
      await withServer(createServer(), async (server, port) => {
        const io = new Server(server)
        io.engine.use(site.oidc)
        io.on('connection', (socket: Untyped) => {
          const { oidc, session } = socket.request
          socket.emit('who', { sub: oidc.user?.sub ?? null, visits: session.visits ?? null })
        })
        for (const transport of ['polling', 'websocket']) {
          const ask = (headers: object) =>
            new Promise((resolve, reject) => {
              const options = { transports: [transport], extraHeaders: headers, forceNew: true, reconnection: false }
              const socket = connect(`http://localhost:${port}`, options)
              const settle = (done: (value: never) => void) => (value: never) => {
                socket.close()
                done(value)
              }
              socket.on('who', settle(resolve)).on('connect_error', settle(reject))
            })
          assert.deepEqual(await ask({ cookie: cookie.join('; ') }), { sub: 'alice-0001', visits: 1 }, transport)
          assert.deepEqual(await ask({}), { sub: null, visits: null }, transport)
          assert.deepEqual(await ask({ cookie: 'sid=x; sid.anonymous=%' }), { sub: null, visits: null }, transport)
        }
        await io.close()
      })
    },
  )

  usesPackage(
    'ws: a socket reads the session and the user',
    () => ({ routes: app => app.get('/visits', requiresAuth(), countVisits) }),
    async ({ agent, site }) => {
      const { WebSocketServer, WebSocket } = load('ws')
      await agent.visit(`${site.url}/visits`)
      const cookie = agent.cookies(site.url).map(({ name, value }) => `${name}=${value}`)
      await withServer(createServer(), async (server, port) => {
        const sockets = new WebSocketServer({ noServer: true })
        server.on('upgrade', (req: IncomingMessage, socket: Duplex, head: Buffer) => {
          site.oidc.authenticate(req).then(
            user => {
              if (user === undefined) socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n')
              else
                sockets.handleUpgrade(req, socket, head, (opened: Untyped) => {
                  const { session, oidc } = untyped(req)
                  opened.send(JSON.stringify({ sub: oidc.user.sub, visits: session.visits }))
                })
            },
            () => socket.destroy(),
          )
        })
        const ask = (headers: object) =>
          new Promise((resolve, reject) => {
            const socket = new WebSocket(`ws://localhost:${port}`, { headers })
            socket.on('error', reject)
            socket.on('message', (data: Buffer) => {
              socket.close()
              resolve(JSON.parse(data.toString()))
            })
          })
        assert.deepEqual(await ask({ cookie: cookie.join('; ') }), { sub: 'alice-0001', visits: 1 })
        await assert.rejects(ask({}), /401/)
        sockets.close()
      })
    },
  )

  test('socket.io and ws while Redis is down: handshakes are refused, nothing is thrown, and they work again when it is back', async () => {
    const { Server } = load('socket.io')
    const { io: connect } = load('socket.io-client')
    const { WebSocket } = load('ws')
    const redis = await startRedis()
    const thrown: unknown[] = []
    const note = (error: unknown) => void thrown.push(error)
    process.on('uncaughtException', note).on('unhandledRejection', note)
    try {
      await withFixture({ site: { express: version }, oidc: { redis: redis.url } }, async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        const cookie = agent.cookies(site.url).map(({ name, value }) => `${name}=${value}`)
        const headers = { cookie: cookie.join('; ') }
        const plain = createServer().on('upgrade', (req: IncomingMessage, socket: Duplex) => {
          const respond = (status: string) => socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`)
          site.oidc.authenticate(req).then(
            user => respond(user === undefined ? '401 Unauthorized' : '200 OK'),
            (error: { status: number }) => respond(`${error.status} Refused`),
          )
        })
        await withServer(plain, (_plain, plainPort) =>
          withServer(createServer(), async (server, port) => {
            const io = new Server(server)
            io.engine.use(site.oidc)
            const bySocketIo = (transport: string) =>
              new Promise(resolve => {
                const options = { transports: [transport], extraHeaders: headers, forceNew: true, reconnection: false }
                const socket = connect(`http://localhost:${port}`, options)
                const settle = (result: string) => () => {
                  socket.close()
                  resolve(result)
                }
                socket.on('connect', settle('connected')).on('connect_error', settle('refused'))
              })
            const byWs = () =>
              new Promise(resolve => {
                const socket = new WebSocket(`ws://localhost:${plainPort}`, { headers })
                socket.on('error', ({ message }: Error) => resolve(/\d{3}/.exec(message)?.[0]))
              })
            const all = () => Promise.all([bySocketIo('polling'), bySocketIo('websocket'), byWs()])
            assert.deepEqual(await all(), ['connected', 'connected', '200'])
            await redis.kill()
            assert.deepEqual(await all(), ['refused', 'refused', '503'])
            await redis.restart()
            // Its data is gone: the user is not signed in any more. The client may take a moment to connect.
            let last: unknown
            for (let tries = 0; tries < 20 && String(last) !== 'connected,connected,401'; tries += 1) last = await all()
            assert.deepEqual(last, ['connected', 'connected', '401'])
            await io.close()
          }),
        )
      })()
      assert.deepEqual(thrown, [])
    } finally {
      process.off('uncaughtException', note).off('unhandledRejection', note)
      await redis.stop()
    }
  })

  // The adapter of NestJS 11 is made for Express 5.
  if (version === 5)
    test('NestJS: the middleware, a guard and a controller', async () => {
      await withFixture({}, async ({ provider, agent }) => {
        load('reflect-metadata')
        const { NestFactory } = load('@nestjs/core')
        const { Controller, Get, Module, Req } = load('@nestjs/common')
        const { ExpressAdapter } = load('@nestjs/platform-express')
        class Pages {
          me(req: Untyped) {
            req.session.visits = (req.session.visits ?? 0) + 1
            return { sub: req.oidc.user?.sub ?? null, visits: req.session.visits }
          }
        }
        Req()(Pages.prototype, 'me', 0)
        Get('me')(Pages.prototype, 'me', Object.getOwnPropertyDescriptor(Pages.prototype, 'me'))
        Controller()(Pages)
        class Root {}
        Module({ controllers: [Pages] })(Root)

        const { openIdConnect } = await import('../../lib/index.js')
        const port = await freePort()
        const url = `http://localhost:${port}`
        const { issuer, clientId, clientSecret } = provider
        const options = { issuer, clientId, clientSecret, responseType: 'code id_token token', baseUrl: url } as const
        const oidc = openIdConnect({ ...options, secret: secret('session secret'), log: () => {} })
        const express = load('express')
        const nest = await NestFactory.create(Root, new ExpressAdapter(express()), { logger: false })
        try {
          nest.use(oidc)
          nest.use('/me', requiresAuth())
          await nest.listen(port, '127.0.0.1')
          assert.equal((await fetch(`${url}/me`)).status, 401)
          assert.deepEqual((await agent.visit(`${url}/me`)).json(), { sub: 'alice-0001', visits: 1 })
          assert.deepEqual((await agent.open(`${url}/me`)).json(), { sub: 'alice-0001', visits: 2 })
        } finally {
          await nest.close()
          await oidc.close()
        }
      })()
    })
}

const postedForm = (action: string) => `<form method="post" action="${action}"><button>${action}</button></form>`

const tellBoth = (req: Untyped, res: Untyped) => res.json([req.user?.username ?? null, req.oidc.user?.sub ?? null])

async function withServer<S extends ReturnType<typeof createServer>>(
  server: S,
  run: (server: S, port: number) => Promise<void>,
): Promise<void> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    await run(server, (server.address() as AddressInfo).port)
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

async function freePort(): Promise<number> {
  let found = 0
  await withServer(createServer(), async (_server, port) => {
    found = port
  })
  return found
}
