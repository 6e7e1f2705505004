import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { createHttp } from '../../lib/provider/http.js'
import { clientKinds, StoreFixture, signIn } from '../store/fixtures.js'
import { createAgent } from '../support/agent.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startRedis, until } from '../support/redis.js'
import { startFarm } from '../tokens/processes.js'
import { startTokenFixture } from '../tokens/token-fixture.js'

/**
 * A process that gets no time of the processor: a long computation, a garbage collection, a container that has used up its share, a machine
 * that was suspended. What others sent meanwhile is there when it goes on, and its timers are due.
 */

const fixture = new StoreFixture()
afterEach(() => fixture.close())

/** Milliseconds that a response may take, and that the process stands still. */
const TIMEOUT = 400
const PAUSE = 600

function standStill(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE)
}

/** Node looks at its clock after the timers and the sockets: what stands still in a timer reads its sockets next, and in this not. */
const turn = () => new Promise(setImmediate)

/** When the process stands still, after something was asked. */
const moments: Readonly<Record<string, () => Promise<unknown>>> = {
  'before the turn is over': async () => {},
  'in the next turn': turn,
  'shortly before the time is over': () => wait(TIMEOUT - 60).then(turn),
}

describe('Redis responds while the process stands still', () => {
  for (const kind of clientKinds) {
    test(`${kind}: no command is given up`, async () => {
      const server = await startRedis()
      fixture.onClose(() => server.stop())
      const store = fixture.stateOf(kind, server, { timeout: TIMEOUT })
      const id = await signIn(store)
      for (const [name, pass] of Object.entries(moments)) {
        // Redis itself stands still until shortly before this process does, so that the command is under way.
        const isLate = name.startsWith('shortly')
        if (isLate) server.pause()
        const loading = store.load(id)
        await pass()
        if (isLate) server.resume()
        standStill()
        assert.notEqual((await loading)?.ticket(), undefined, name)
      }
    })
  }
})

/** An HTTP server that goes on while this thread stands still. Its responses take the milliseconds that the query asks for. */
async function startOtherServer(): Promise<{ readonly origin: string; stop(): Promise<unknown> }> {
  const code = `
    const { parentPort } = require('node:worker_threads')
    const server = require('node:http').createServer((req, res) => {
      req.resume()
      const delay = Number(new URL(req.url, 'http://server').searchParams.get('delay'))
      setTimeout(() => {
        res.writeHead(200, { 'content-type': 'application/json' })
        res.write('{"access_token":')
        setTimeout(() => res.end('"token"}'), 5)
      }, delay)
    })
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port))`
  const worker = new Worker(code, { eval: true })
  const [port] = (await once(worker, 'message')) as [number]
  return { origin: `http://127.0.0.1:${port}`, stop: () => worker.terminate() }
}

describe('a server responds while the process stands still', () => {
  const ways = { "Node's own client": {}, 'a fetch the site gives': { fetch } }
  for (const [way, settings] of Object.entries(ways)) {
    test(`the provider, by ${way}: no response is given up, a code and a refresh token are not lost`, async () => {
      const server = await startOtherServer()
      fixture.onClose(server.stop)
      const http = createHttp({ ...settings, timeout: TIMEOUT })
      // Connected, so that one turn is enough to send.
      await http.getJson(`${server.origin}/`)
      for (const [name, pass] of Object.entries(moments)) {
        const delay = name.startsWith('shortly') ? TIMEOUT - 30 : 0
        const asked = http.postForm(`${server.origin}/?delay=${delay}`, { code: 'code' }, {})
        await pass()
        standStill()
        assert.deepEqual((await asked).json(), { access_token: 'token' }, name)
      }
    })
  }

  test('an API behind the proxy: its response is passed on', async () => {
    const server = await startOtherServer()
    fixture.onClose(server.stop)
    const tokens = await startTokenFixture({
      routes(app) {
        app.use((req, res, next) =>
          tokens.site.oidc.proxy('/api', { target: server.origin, timeout: TIMEOUT })(req, res, next),
        )
      },
    })
    fixture.onClose(() => tokens.close())
    await tokens.signIn()
    const asked = tokens.agent.fetch(`${tokens.site.url}/api/?delay=${TIMEOUT - 100}`, { headers: { 'x-csrf': '1' } })
    await wait(TIMEOUT - 150)
    await turn()
    standStill()
    assert.equal((await asked).text, '{"access_token":"token"}')
  })
})

test('a process without time of the processor: the sign-in and the refresh that it had begun succeed', async () => {
  const [redis, provider] = [await startRedis(), await startHostileProvider({ expiresIn: 300 })]
  const timeouts = { provider: 1_000, redis: 500 }
  const farm = await startFarm(1, provider, redis.url, { timeouts })
  fixture.onClose(() => Promise.all([farm.close(), provider.close(), redis.stop()]))
  const site = farm.byName('p0')
  const agent = createAgent()

  /** The site stops when its request has arrived, and goes on long after the response was sent. */
  async function stopDuring<T>(work: Promise<T>): Promise<T> {
    const earlier = provider.count('token')
    await until('the token endpoint is asked', () => provider.count('token') > earlier)
    site.pause()
    await wait(2_500)
    site.resume()
    return work
  }

  provider.break({ token: { delay: 300 } })
  const claims = await stopDuring(agent.visit(`${farm.url}/claims`))
  assert.equal(claims.status, 200, claims.text)
  await farm.setAhead(290)
  const fresh = await stopDuring(agent.fetch(`${farm.url}/fresh`, { from: `${farm.url}/` }))
  assert.equal(fresh.status, 200, fresh.text)
  assert.deepEqual([provider.count('token'), provider.reusedRefreshTokens.length], [2, 0])
})
