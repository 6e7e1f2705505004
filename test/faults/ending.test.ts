import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { freePort, type Nginx, startNginx } from '../support/nginx.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Instance, startInstance } from './fleet.js'
import { scale } from './scale.js'

/** SIGTERM, as docs/deployment.md describes it, behind a real nginx that keeps its connections and sends requests all the time. */

const users = 6
let provider: HostileProvider
let redis: RedisServer
let nginx: Nginx
let url: string
let instances: Instance[] = []

before(async () => {
  provider = await startHostileProvider({ alg: 'ES256' })
  redis = await startRedis()
  const port = await freePort()
  url = `http://localhost:${port}`
  const { issuer, clientId, clientSecret } = provider
  const oidc = {
    ...{
      issuer,
      clientId,
      clientSecret,
      idTokenAlgorithm: 'ES256' as const,
      responseType: 'code id_token token' as const,
    },
    ...{ baseUrl: url, secret: secret('ending secret'), redis: redis.url },
  }
  const start = () => startInstance({ oidc, ending: { drain: 5_000, rest: 1_000 } })
  instances = await Promise.all([start(), start(), start()])
  nginx = await startNginx({
    port,
    upstream: 'fleet',
    http: upstreamOf(instances),
    reloads: true,
    directives: 'proxy_http_version 1.1; proxy_set_header Connection "";',
  })
})

after(async () => {
  await nginx.close()
  for (const instance of instances) {
    assert.doesNotMatch(instance.output(), /UNHANDLED/)
    await instance.kill()
  }
  await redis.stop()
  await provider.close()
})

/** The processes that the front sends requests to. */
function upstreamOf(members: readonly Instance[]): string {
  const servers = members.map(({ port }) => `server 127.0.0.1:${port};`)
  return `upstream fleet { ${servers.join(' ')} keepalive 32; keepalive_timeout 4s; }`
}

/** Cookies of a user who has signed in. */
async function signIn(): Promise<string> {
  const agent = createAgent()
  const page = await agent.visit(`${url}/login?returnTo=/claims`, { from: null })
  assert.equal(page.status, 200, page.text)
  return agent
    .cookies(url)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
}

/** A response that never ends, and a connection that has become something else. Resolves when both have begun. */
async function holdOpen({ port }: Instance): Promise<void> {
  const open = (path: string, headers = {}): ClientRequest =>
    request({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  const [events] = (await once(open('/events'), 'response')) as [IncomingMessage]
  events.on('error', () => undefined).resume()
  const [, socket] = (await once(open('/', { connection: 'Upgrade', upgrade: 'websocket' }), 'upgrade')) as [
    unknown,
    Socket,
  ]
  socket.on('error', () => undefined)
}

describe('SIGTERM under load behind a front that keeps its connections', () => {
  test('every process ends by itself, no request is lost and every session is saved, with event streams and WebSockets open', async () => {
    const cookies = await Promise.all(Array.from({ length: users }, signIn))
    const statuses: Record<number, number> = {}
    const saved: string[][] = cookies.map(() => [])
    let goes = true
    const traffic = cookies.map(async (cookie, user) => {
      for (let n = 0; goes; n += 1) {
        const key = `key${n % 20}`
        for (const [method, path] of [
          ['POST', `/session?${key}=${n}`],
          ['GET', '/claims'],
        ] as const) {
          const { status } = await send({ url: url + path, method, headers: { cookie } }).catch(() => ({ status: 0 }))
          statuses[status] = (statuses[status] ?? 0) + 1
        }
        saved[user] = [key, String(n)]
      }
    })
    const answered = () => Object.values(statuses).reduce((sum, count) => sum + count, 0)
    const more = (count: number) => {
      const from = answered()
      return until(`${count} more answers`, async () => answered() >= from + count)
    }
    const codes: (number | null)[] = []
    let members: readonly Instance[] = instances
    for (const ending of instances.slice(0, 2)) {
      await holdOpen(ending)
      for (let n = 0; n < scale; n += 1) await more(50)
      const ended = ending.drain()
      // The front learns of it while the process still listens, from an orchestrator, or from an operator who reloads it.
      await more(20)
      members = members.filter(each => each !== ending)
      nginx.reload(upstreamOf(members))
      codes.push(await ended)
    }
    await more(50)
    goes = false
    await Promise.all(traffic)
    assert.deepEqual(codes, [0, 0])
    assert.deepEqual(Object.keys(statuses), ['200'], JSON.stringify(statuses))
    for (const [user, cookie] of cookies.entries()) {
      const { text } = await send({ url: `${url}/session`, headers: { cookie } })
      const [key = '', value] = saved[user] ?? []
      assert.equal((JSON.parse(text) as Record<string, string>)[key], value)
    }
  })
})
