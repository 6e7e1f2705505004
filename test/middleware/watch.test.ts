import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { Duplex } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import {
  type OidcError,
  type OidcOptions,
  type OpenIdConnect,
  openIdConnect,
  requiresAuth,
  type SessionEnded,
  type WatchOptions,
} from '../../lib/index.js'
import { type Agent, createAgent } from '../support/agent.js'
import { type Fixture, openFixture, withFixture } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { acceptWebSocket, type OpenedSocket, openWebSocket } from '../support/web-socket.js'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** A server of WebSockets that closes those whose session has ended: with 4401 and the reason. */
async function startSockets(oidc: OpenIdConnect): Promise<Server> {
  const server = createServer()
  server.on('upgrade', async (req, socket: Duplex) => {
    await oidc.authenticate(req)
    const close = acceptWebSocket(req, socket)
    const stop = oidc.watch(req, { onEnd: ({ reason = 'unknown' }) => close(4401, reason) })
    socket.on('close', stop)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return server
}

function openSocket(server: Server, fixture: Fixture, agent = fixture.agent): Promise<OpenedSocket> {
  const { port } = server.address() as { port: number }
  const cookies = agent.cookies(fixture.site.url).map(({ name, value }) => `${name}=${value}`)
  return openWebSocket(port, cookies.join('; '))
}

/** A page that streams events until the session ends. */
function addEvents(oidc: () => OpenIdConnect): (app: Express) => void {
  return app =>
    app.get('/events', requiresAuth(), (req, res) => {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: hello\n\n')
      const stop = oidc().watch(req, { onEnd: ({ reason }) => void res.end(`event: end\ndata: ${reason}\n\n`) })
      res.on('close', stop)
    })
}

const named = (claims: object) => ({ ...claims, sub: 'bob-0002' })
const asBob = { frontIdToken: named, backIdToken: named, userInfoClaims: named }

/** A reason is known to those who listen already. */
async function isListening(store: string): Promise<void> {
  await import('../../lib/store/session-watches.js')
  await new Promise(resolve => setImmediate(resolve))
  const count = async () => ((await redis.command('PUBSUB', 'NUMSUB', 'oidc:ended')) as [string, number])[1]
  if (store === 'Redis') await until('the site has subscribed', async () => Number(await count()) > 0)
}

async function signIn({ site }: Fixture, agent: Agent): Promise<void> {
  assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
}

for (const store of ['Redis', 'the memory of the process'])
  describe(`sockets of a session that ends, with ${store}`, () => {
    const oidc = (): OidcOptions => ({
      routes: { revocation: '/revoke' },
      ...(store === 'Redis' && { redis: redis.url }),
    })

    async function withSockets(run: (fixture: Fixture, sockets: Server) => Promise<void>): Promise<void> {
      const fixture: Fixture = await openFixture({ oidc: oidc(), site: { routes: addEvents(() => fixture.site.oidc) } })
      const sockets = await startSockets(fixture.site.oidc)
      try {
        await signIn(fixture, fixture.agent)
        await run(fixture, sockets)
      } finally {
        sockets.close()
        sockets.closeAllConnections()
        await fixture.close()
        await redis.command('FLUSHALL')
      }
    }

    test('a global revocation closes every WebSocket and every stream of the user, and no other', () =>
      withSockets(async (fixture, sockets) => {
        const { site, provider, agent } = fixture
        const [other, bob] = [createAgent(), createAgent()]
        await signIn(fixture, other)
        provider.break(asBob)
        await signIn(fixture, bob)
        const opened = await Promise.all([agent, agent, other].map(one => openSocket(sockets, fixture, one)))
        const stays = await openSocket(sockets, fixture, bob)
        const stream = agent.fetch(`${site.url}/events`)
        await isListening(store)
        const now = Math.floor(Date.now() / 1000)
        const claims = { iss: provider.issuer, aud: `${site.url}/revoke`, iat: now, exp: now + 300 }
        const token = await provider.keys.sign(
          { ...claims, jti: secret('revocation id') },
          undefined,
          'global-token-revocation+jwt',
        )
        const revoked = await send({
          url: `${site.url}/revoke`,
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: JSON.stringify({ sub_id: { format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' } }),
        })
        assert.equal(revoked.status, 204, revoked.text)
        for (const { closed } of opened) assert.deepEqual(await closed, [4401, 'global-revocation'])
        assert.match((await stream).text, /^data: hello\n\nevent: end\ndata: global-revocation\n\n$/)
        assert.equal(await Promise.race([stays.closed, site.oidc.health().then(() => 'open')]), 'open')
        stays.close()
      }))

    test('a sign-out says logout; a socket without a session is closed at once', () =>
      withSockets(async (fixture, sockets) => {
        const { site, agent } = fixture
        const [signedIn, signedOut] = [
          await openSocket(sockets, fixture),
          await openSocket(sockets, fixture, createAgent()),
        ]
        assert.deepEqual(await signedOut.closed, [4401, 'no-session'])
        await isListening(store)
        await agent.post(`${site.url}/logout?local=1`, {}, { from: `${site.url}/` })
        assert.deepEqual(await signedIn.closed, [4401, 'logout'])
      }))

    test('oidc.sessions.revoke and another user who signs in have their reasons', () =>
      withSockets(async (fixture, sockets) => {
        const { site, agent, provider } = fixture
        const first = await openSocket(sockets, fixture)
        await isListening(store)
        assert.equal(await site.oidc.sessions.revoke({ sub: 'alice-0001' }), 1)
        assert.deepEqual(await first.closed, [4401, 'revoked'])
        await signIn(fixture, agent)
        const second = await openSocket(sockets, fixture)
        await isListening(store)
        provider.break(asBob)
        await agent.visit(`${site.url}/login`)
        assert.deepEqual(await second.closed, [4401, 'replaced'])
      }))
  })

describe('a watch', () => {
  const sharedSecret = secret('shared secret')

  /** Runs in a request of the user who is signed in. */
  function withRequest(
    run: (watch: (options: WatchOptions) => () => void, fixture: Fixture, req: IncomingMessage) => Promise<void>,
    oidc: OidcOptions = {},
  ): () => Promise<void> {
    const runIn = async (fixture: Fixture) => {
      let failure: unknown
      await signIn(fixture, fixture.agent)
      const sockets = createServer()
      const taken = once(sockets, 'upgrade') as Promise<[IncomingMessage, Duplex]>
      await new Promise<void>(resolve => sockets.listen(0, '127.0.0.1', resolve))
      const opening = openSocket(sockets, fixture).catch(() => {})
      const [req, socket] = await taken
      try {
        await fixture.site.oidc.authenticate(req)
        await run(options => fixture.site.oidc.watch(req, options), fixture, req)
      } catch (error) {
        failure = error
      }
      socket.destroy()
      await opening
      sockets.close()
      if (failure !== undefined) throw failure
    }
    return () => withFixture({ oidc: { redis: redis.url, ...oidc } }, runIn)()
  }

  const revoke = ({ site }: Fixture) => site.oidc.sessions.revoke({ sub: 'alice-0001' })

  test(
    'onEnd is called once for each watch of a socket; one that throws or rejects is a line in the log',
    withRequest(async (watch, fixture) => {
      const ends: SessionEnded[] = []
      watch({ onEnd: ended => void ends.push(ended) })
      watch({ onEnd: ended => void ends.push(ended) })
      watch({
        onEnd() {
          throw new TypeError(secret('what is in an error of the site'))
        },
      })
      watch({ onEnd: async () => Promise.reject(secret('what is rejected')) })
      await revoke(fixture)
      await until('all are told', () => ends.length === 2)
      const lines = () => fixture.site.log.filter(line => line.includes('onEnd'))
      await until('both failures are logged', () => lines().length === 2)
      assert.deepEqual(lines(), ['onEnd of oidc.watch failed: TypeError', 'onEnd of oidc.watch failed: string'])
      assert.equal(
        ends.every(({ reason }) => reason === 'revoked' || reason === undefined),
        true,
      )
    }),
  )

  test(
    'is stopped by what it returns and by an AbortSignal, of which a thousand watches make no warning',
    withRequest(async (watch, fixture) => {
      const warnings: Error[] = []
      const warn = (warning: Error) => void warnings.push(warning)
      process.on('warning', warn)
      const [controller, told, kept] = [new AbortController(), [] as string[], [] as string[]]
      const onEnd = () => void told.push('told')
      for (let count = 0; count < 1000; count += 1) watch({ onEnd, signal: controller.signal })
      watch({ onEnd, signal: AbortSignal.abort() })
      const stop = watch({ onEnd })
      watch({ onEnd: () => void kept.push('told') })
      stop()
      stop()
      controller.abort()
      await revoke(fixture)
      await until('the one that is left is told', () => kept.length === 1)
      process.off('warning', warn)
      assert.deepEqual([told, warnings], [[], []])
    }),
  )

  test(
    'is stopped by oidc.close(), which calls no onEnd',
    withRequest(async (watch, fixture) => {
      const told: string[] = []
      watch({ onEnd: () => void told.push('told') })
      await fixture.site.oidc.close()
      await redis.command('FLUSHALL')
      assert.deepEqual(told, [])
    }),
  )

  test(
    'of a request whose session has ended in between is told so',
    withRequest(async (watch, fixture) => {
      await revoke(fixture)
      const ended = await new Promise<SessionEnded>(resolve => watch({ onEnd: resolve }))
      assert.deepEqual(ended, { reason: undefined })
    }),
  )

  test(
    'follows a user who signs in anew in the same browser',
    withRequest(async (watch, fixture) => {
      const ends: SessionEnded[] = []
      watch({ onEnd: ended => void ends.push(ended) })
      await fixture.agent.visit(`${fixture.site.url}/login`)
      await fixture.agent.open(`${fixture.site.url}/claims`)
      assert.equal((await fixture.site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
      assert.deepEqual(ends, [])
      await revoke(fixture)
      await until('it is told', () => ends.length === 1)
    }),
  )

  test(
    'of another process is told as soon',
    withRequest(
      async (watch, { provider, site }) => {
        const { issuer, clientId, clientSecret } = provider
        const other = openIdConnect({
          ...{ issuer, clientId, clientSecret, redis: redis.url, baseUrl: site.url, log: () => {} },
          secret: sharedSecret,
        })
        const ended = new Promise<SessionEnded>(resolve => watch({ onEnd: resolve }))
        assert.equal(await other.sessions.revoke({ sub: 'alice-0001' }), 1)
        await ended
        await other.close()
      },
      { secret: sharedSecret },
    ),
  )

  test(
    'refuses what it does not understand, and a request that the middleware has not had',
    withRequest(async (_watch, { site }, req) => {
      const refused = (given: unknown, of: unknown = req): OidcError => {
        try {
          site.oidc.watch(of as never, given as never)
        } catch (error) {
          return error as OidcError
        }
        throw new Error(`it was not refused: ${String(given)}`)
      }
      const onEnd = () => {}
      for (const given of [undefined, {}, { onEnd: 1 }, { onEnd, signal: 'x' }, { onEnd, onend: onEnd }, onEnd, null])
        assert.equal(refused(given).code, 'ERR_OIDC_OPTIONS', String(given))
      assert.match(refused({}).message, /^oidc\.watch: onEnd is missing/)
      assert.match(refused({ onEnd }, null).message, /^oidc\.watch: req must be a request of node:http/)
      assert.equal(refused({ onEnd }, { headers: {} }).code, 'ERR_OIDC_NOT_MOUNTED')
    }),
  )
})
