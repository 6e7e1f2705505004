import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import express5, { type Express, type RequestHandler } from 'express'
import { type OidcError, type OpenIdConnect, openIdConnect } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, openFixture, withFixture } from '../support/handler-fixture.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

const express4 = createRequire(import.meta.url)('express4') as typeof express5

type Listener = (req: IncomingMessage, res: ServerResponse) => void

/** A server on a port of its own, with a middleware that signs in at the provider of the fixture. */
async function withHost(
  { provider }: Fixture,
  build: (oidc: OpenIdConnect) => Listener,
  run: (url: string, log: readonly string[]) => Promise<void>,
): Promise<void> {
  let listener: Listener = () => {}
  const server = await startLoopbackServer((req, res) => listener(req, res))
  const url = `http://localhost:${server.port}`
  const log: string[] = []
  const { issuer, clientId, clientSecret } = provider
  const options = { issuer, clientId, clientSecret, responseType: 'code id_token token', baseUrl: url } as const
  const oidc = openIdConnect({ ...options, secret: secret('session secret'), log: line => log.push(line) })
  listener = build(oidc)
  try {
    await run(url, log)
  } finally {
    await server.stop()
    await oidc.close()
  }
}

const asListener = (app: Express) => app as unknown as Listener

/** Counts visits in `req.session`, and says who is there. */
const tell: RequestHandler = (req, res) => {
  const session = req.session as { visits?: number }
  session.visits = (session.visits ?? 0) + 1
  res.json({ sub: req.oidc.user?.sub ?? null, visits: session.visits })
}

for (const [version, express] of [
  ['4', express4],
  ['5', express5],
] as const) {
  /** How an app gets a request that is not mounted by `app.use`. */
  const mountings: Record<string, (inner: Express) => RequestHandler> = {
    'below a router': inner => express.Router().use('/', inner),
    'wrapped in a function': inner => (req, res, next) => inner(req, res, next),
    'loaded late': inner => (req, res, next) => void Promise.resolve(inner).then(app => app(req, res, next)),
  }
  for (const [name, mount] of Object.entries(mountings)) {
    test(`an app ${name} has req.session and req.oidc, and so has the outer app behind it (Express ${version})`, () =>
      withFixture({}, fixture =>
        withHost(
          fixture,
          oidc => {
            const [app, inner] = [express(), express()]
            inner.get('/inner', oidc.requiresAuth(), tell)
            app.use(oidc)
            app.use(mount(inner))
            app.get('/outer', oidc.requiresAuth(), tell)
            return asListener(app)
          },
          async url => {
            const agent = createAgent()
            assert.deepEqual((await agent.visit(`${url}/inner`)).json(), { sub: 'alice-0001', visits: 1 })
            assert.deepEqual((await agent.visit(`${url}/outer`)).json(), { sub: 'alice-0001', visits: 2 })
          },
        ),
      )())
  }

  test(`the middleware itself in an app that is wrapped signs in there (Express ${version})`, () =>
    withFixture({}, fixture =>
      withHost(
        fixture,
        oidc => {
          const [app, inner] = [express(), express()]
          inner.use(oidc)
          inner.get('/inner', oidc.requiresAuth(), tell)
          app.use((req, res, next) => inner(req, res, next))
          app.get('/outer', oidc.requiresAuth(), tell)
          return asListener(app)
        },
        async url => {
          const agent = createAgent()
          assert.deepEqual((await agent.visit(`${url}/inner`)).json(), { sub: 'alice-0001', visits: 1 })
          assert.deepEqual((await agent.visit(`${url}/outer`)).json(), { sub: 'alice-0001', visits: 2 })
        },
      ),
    )())

  for (const parser of [false, 'simple', 'extended'] as const) {
    test(`parameters of our routes are read whatever the query parser is: ${parser} (Express ${version})`, () =>
      withFixture({}, fixture =>
        withHost(
          fixture,
          oidc => {
            const app = express()
            app.set('query parser', parser)
            app.use(oidc)
            app.get('/page', tell)
            app.get('/', tell)
            return asListener(app)
          },
          async url => {
            const agent = createAgent()
            const page = await agent.visit(`${url}/login?returnTo=${encodeURIComponent('/page?x=1')}`)
            assert.equal(page.url, `${url}/page?x=1`)
            const out = await agent.open(`${url}/logout?local=1&returnTo=/page`)
            assert.equal(out.url, `${url}/page`, out.hops.map(hop => hop.url).join(' '))
            assert.equal(out.hops.length, 2, 'the provider was not asked')
          },
        ),
      )())
  }
}

/** A site of `node:http` alone, as a custom server of Next.js is written. */
const plainSite =
  (oidc: OpenIdConnect): Listener =>
  (req, res) =>
    oidc(req, res, error => {
      const { oidc: user, session } = req as express5.Request
      if (error) {
        res.statusCode = 500
        res.end(String(error))
      } else if (req.url?.startsWith('/guarded') && !user.isAuthenticated) void user.login()
      else {
        Object.assign(session, { seen: true })
        res.setHeader('Content-Type', 'application/json')
        res.end(JSON.stringify({ sub: user.user?.sub ?? null, url: req.url }))
      }
    })

const expressSite =
  (oidc: OpenIdConnect): Listener =>
  (req, res) => {
    const app = express5()
    app.disable('x-powered-by')
    app.use(oidc)
    app.use((req, res) => {
      if (req.url.startsWith('/guarded') && !req.oidc.isAuthenticated) return void req.oidc.login()
      Object.assign(req.session, { seen: true })
      res.setHeader('Content-Type', 'application/json')
      res.end(JSON.stringify({ sub: req.oidc.user?.sub ?? null, url: req.url }))
    })
    app(req, res)
  }

describe('a server of node:http', () => {
  test('signs in, keeps the session and signs out', () =>
    withFixture({}, fixture =>
      withHost(fixture, plainSite, async url => {
        const agent = createAgent()
        const page = await agent.visit(`${url}/guarded?x=1`)
        assert.deepEqual(page.json(), { sub: 'alice-0001', url: '/guarded?x=1' })
        await agent.open(`${url}/logout?local=1`)
        assert.deepEqual((await agent.open(`${url}/`)).json(), { sub: null, url: '/' })
      }),
    )())

  test('answers every route as Express does: status, headers and body', () =>
    withFixture({}, async fixture => {
      const requests = [
        ['GET', '/'],
        ['GET', '/guarded'],
        ['GET', '/login'],
        ['POST', '/login?returnTo=/a'],
        ['HEAD', '/login'],
        ['OPTIONS', '/callback'],
        ['GET', '/callback?state=x&code=y'],
        ['PUT', '/callback'],
        ['POST', '/callback'],
        ['GET', '/logout?local'],
        ['GET', '/logout?returnTo=/x&local=0'],
        ['DELETE', '/logout'],
        ['GET', '/logout/callback?state=1'],
        ['GET', '/logout/frontchannel?iss=x&sid=y'],
        ['POST', '/logout/backchannel'],
        ['GET', '/logout/backchannel'],
      ] as const
      const accepts = ['text/html', 'application/json', '*/*']
      const answersOf = async (build: (oidc: OpenIdConnect) => Listener) => {
        const responses: unknown[] = []
        await withHost(fixture, build, async url => {
          for (const [method, path] of requests) {
            for (const accept of accepts) {
              const res = await fetch(url + path, { method, headers: { accept }, redirect: 'manual' })
              const headers = Object.fromEntries([...res.headers].filter(([name]) => name !== 'date'))
              responses.push(
                JSON.parse(steady({ method, path, accept, status: res.status, headers, body: await res.text() }, url)),
              )
            }
          }
        })
        return responses
      }
      assert.deepEqual(await answersOf(plainSite), await answersOf(expressSite))
    })())

  test('has no request that ends it: without a usable response, errors go to next and nothing is thrown', () =>
    withFixture({}, fixture =>
      withHost(fixture, plainSite, async (url, log) => {
        const agent = createAgent()
        await agent.visit(`${url}/guarded`)
        const cookie = agent.cookies(url).map(({ name, value }) => `${name}=${value}`)
        assert.equal(log.filter(line => line.includes('was broken off')).length, 0, log.join('\n'))
        const seen: unknown[] = []
        const server = createServer().on('upgrade', (req, socket) => {
          fixture.site.oidc(req, {} as ServerResponse, error => {
            const { oidc, session } = req as express5.Request
            seen.push([error, oidc.isAuthenticated, typeof session])
            socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
          })
        })
        await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
        const { port } = server.address() as { port: number }
        for (const path of ['/', '/logout', '/login', '/callback', '/socket.io/?EIO=4'])
          await upgrade(port, path, cookie)
        server.close()
        assert.deepEqual(seen, Array(5).fill([undefined, false, 'object']))
      }),
    )())
})

test('while Redis is away, handshakes of WebSockets are refused with the code, and nothing is thrown or rejected beside that', async () => {
  const redis = await startRedis()
  const rejected: unknown[] = []
  const note = (reason: unknown) => void rejected.push(reason)
  process.on('unhandledRejection', note)
  const fixture = await openFixture({ oidc: { redis: redis.url } })
  const seen: unknown[] = []
  const server = createServer().on('upgrade', (req, socket) => {
    const refuse = (error: unknown) => {
      seen.push([(error as OidcError | undefined)?.code, (req as express5.Request).oidc?.isAuthenticated])
      socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n')
    }
    // As engine.io calls a middleware, and as the documentation of ws authenticates.
    if (req.url === '/engine') fixture.site.oidc(req, {} as ServerResponse, refuse)
    else fixture.site.oidc.authenticate(req).then(() => refuse(undefined), refuse)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  try {
    await fixture.agent.visit(`${fixture.site.url}/claims`)
    const cookie = fixture.agent.cookies(fixture.site.url).map(({ name, value }) => `${name}=${value}`)
    await redis.kill()
    const { port } = server.address() as { port: number }
    await upgrade(port, '/engine', cookie)
    await upgrade(port, '/ws', cookie)
    const code = 'ERR_OIDC_STORE_UNAVAILABLE'
    assert.deepEqual(seen, [
      [code, false],
      [code, undefined],
    ])
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(rejected, [])
  } finally {
    process.off('unhandledRejection', note)
    server.close()
    await fixture.close()
    await redis.stop()
  }
})

/** A response with what is different each time left out. */
function steady(response: object, url: string): string {
  return JSON.stringify(response)
    .replaceAll(url, 'http://site')
    .replaceAll(encodeURIComponent(url), 'http%3A%2F%2Fsite')
    .replace(/(state|nonce|code_challenge)=[^&"\\]+/g, '$1=…')
    .replace(/(sid(?:\.anonymous)?|oidc)(?:\.[\w.-]+)?=[^;"]+/g, '$1=…')
    .replace(/[\da-f]{8}-[\da-f-]{27}/g, 'uuid')
}

async function upgrade(port: number, path: string, cookies: readonly string[]): Promise<void> {
  const { request } = await import('node:http')
  const headers = { connection: 'upgrade', upgrade: 'websocket', cookie: cookies.join('; ') }
  await new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path, headers }, resolve).on('error', reject).end()
  })
}
