import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, before, describe, test } from 'node:test'
import { openIdConnect } from '../../lib/index.js'
import { scale } from '../faults/scale.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { installPackages, load, type Untyped } from './packages.js'

// `oidc.watch` with the real ws and socket.io, as docs/other-packages.md has it: another process of the site ends the sessions.

interface Place extends Fixture {
  readonly server: Server
  readonly port: number
  /** Another instance of the site. */
  readonly other: ReturnType<typeof openIdConnect>
  /** Cookies of a user who signs in, as a request has them. */
  signIn(): Promise<string>
}

if (scale > 1) {
  let redis: RedisServer
  before(async () => {
    await installPackages()
    redis = await startRedis()
  })
  after(() => redis.stop())

  const inPlace = (run: (place: Place) => Promise<void>) => async () => {
    const own = { redis: redis.url, secret: secret('shared secret'), log: () => {} }
    const fixture = await openFixture({ oidc: own })
    const { issuer, clientId, clientSecret } = fixture.provider
    const other = openIdConnect({ issuer, clientId, clientSecret, baseUrl: fixture.site.url, ...own })
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const signIn = async () => {
      const agent = createAgent()
      await agent.visit(`${fixture.site.url}/claims`)
      const cookies = agent.cookies(fixture.site.url)
      return cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
    }
    try {
      await run({ ...fixture, server, port, other, signIn })
    } finally {
      server.close()
      server.closeAllConnections()
      await other.close()
      await fixture.close()
    }
  }

  describe('sessions that end', () => {
    test(
      'ws: each socket of the user is closed with 4401 and the reason, at once and without an error',
      inPlace(async ({ site, server, port, other, signIn }) => {
        const { WebSocketServer, WebSocket } = load('ws')
        const sockets = new WebSocketServer({ noServer: true })
        server.on('upgrade', async (req: IncomingMessage, socket: Duplex, head: Buffer) => {
          const user = await site.oidc.authenticate(req).catch(() => undefined)
          if (user === undefined) return void socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n')
          sockets.handleUpgrade(req, socket, head, (opened: Untyped) => {
            opened.on('close', site.oidc.watch(req, { onEnd: ({ reason }) => opened.close(4401, reason) }))
            opened.send(`Hello ${user.sub}`)
          })
        })
        const cookie = await signIn()
        const clients = [0, 1, 2].map(() => new WebSocket(`ws://localhost:${port}`, { headers: { cookie } }))
        const closed = clients.map(client => once(client, 'close'))
        await Promise.all(clients.map(client => once(client, 'message')))
        assert.equal(await other.sessions.revoke({ sub: 'alice-0001' }), 1)
        for (const [code, reason] of await Promise.all(closed)) {
          assert.equal(code, 4401)
          assert.match(String(reason), /^(revoked)?$/)
        }
        await until('the server has let go of all of them', () => sockets.clients.size === 0)
      }),
    )

    test(
      'socket.io: each socket of the user is disconnected by the server, by polling and by WebSocket',
      inPlace(async ({ site, server, port, other, signIn }) => {
        const { Server } = load('socket.io')
        const { io: connect } = load('socket.io-client')
        const io = new Server(server)
        io.engine.use(site.oidc)
        io.on('connection', (socket: Untyped) => {
          const { user } = socket.request.oidc
          if (user === undefined) return socket.disconnect()
          const stop = site.oidc.watch(socket.request, { onEnd: () => socket.disconnect(true) })
          socket.on('disconnect', stop)
          socket.emit('hello', user.sub)
        })
        const cookie = await signIn()
        const clients = ['polling', 'websocket'].map(transport =>
          connect(`http://localhost:${port}`, {
            transports: [transport],
            extraHeaders: { cookie },
            forceNew: true,
            reconnection: false,
          }),
        )
        const next = (client: Untyped, event: string) => new Promise(resolve => client.once(event, resolve))
        const ended = clients.map(client => next(client, 'disconnect'))
        assert.deepEqual(await Promise.all(clients.map(client => next(client, 'hello'))), ['alice-0001', 'alice-0001'])
        assert.equal(await other.sessions.revoke({ sub: 'alice-0001' }), 1)
        assert.deepEqual(await Promise.all(ended), ['io server disconnect', 'io server disconnect'])
        await until('the server has let go of all of them', () => io.engine.clientsCount === 0)
        await io.close()
      }),
    )
  })
}
