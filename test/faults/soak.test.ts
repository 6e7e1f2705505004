import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Agent, createAgent } from '../support/agent.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Instance, startFront, startInstance } from './fleet.js'
import { scale } from './scale.js'

/** A site process under everything at once, for a while: at the end nothing is left over. */

const seconds = Math.min(60, 5 * scale)

interface Footprint {
  readonly rss: number
  readonly heapUsed: number
  readonly sockets: number
  readonly timers: number
}

async function measure({ url }: Instance): Promise<Footprint> {
  const page = await createAgent().open(`${url}/memory`)
  const { rss, heapUsed, resources } = page.json<{ rss: number; heapUsed: number; resources: string[] }>()
  const count = (kind: string) => resources.filter(name => name === kind).length
  return { rss, heapUsed, sockets: count('TCPSocketWrap'), timers: count('Timeout') }
}

test('a site that is signed in to, read, written and signed out of while Redis and the provider come and go ends as it began', async t => {
  const provider = await startHostileProvider({ alg: 'ES256' })
  const redis = await startRedis()
  const front = await startFront()
  // Also where something of what follows does not hold: what is left open would keep this process from ending.
  let endOfTrouble = async () => {}
  t.after(async () => {
    await endOfTrouble()
    await Promise.all(front.instances.map(each => each.kill()))
    await front.close()
    await redis.stop()
    await provider.close()
  })
  const { issuer, clientId, clientSecret } = provider
  const common = {
    issuer,
    clientId,
    clientSecret,
    idTokenAlgorithm: 'ES256',
    responseType: 'code id_token token',
  } as const
  const oidc = {
    ...common,
    baseUrl: front.url,
    secret: secret('soak secret'),
    redis: redis.url,
    timeouts: { redis: 500, provider: 1500 },
  }
  const instance = await startInstance({ oidc })
  front.instances = [instance]
  const statuses: Record<string, number> = {}
  const note = (what: string, status: number) => {
    const key = `${what} ${status}`
    statuses[key] = (statuses[key] ?? 0) + 1
  }

  async function live(agent: Agent, until: () => boolean): Promise<void> {
    while (!until()) {
      const signIn = await agent
        .visit(`${front.url}/login?returnTo=/claims`, { from: null })
        .catch(browserFoundNoProvider(provider.port))
      note('sign-in', signIn.status)
      for (let n = 0; n < 3; n += 1) {
        note('page', (await agent.fetch(`${front.url}/claims`, { from: `${front.url}/` })).status)
        note(
          'write',
          (await agent.fetch(`${front.url}/session?n=${n}`, { method: 'POST', from: `${front.url}/` })).status,
        )
      }
      note('sign-out', (await agent.post(`${front.url}/logout?local=1`, {}, { from: `${front.url}/` })).status)
      await sleep(5)
    }
  }

  async function run(duration: number): Promise<void> {
    const end = Date.now() + duration
    await Promise.all(Array.from({ length: 4 }, () => live(createAgent(), () => Date.now() > end)))
  }

  await run(1500)
  await sleep(300)
  const before = await measure(instance)

  let goes = true
  const trouble = (async () => {
    for (let round = 0; goes; round += 1) {
      await sleep(400)
      if (round % 3 === 0) await redis.restart()
      if (round % 3 === 1) await provider.stop()
      await sleep(200)
      if (round % 3 === 1) await provider.start()
      if (round % 3 === 2) {
        redis.pause()
        await sleep(700)
        redis.resume()
      }
    }
  })()
  endOfTrouble = () => {
    goes = false
    return trouble
  }
  await run(seconds * 1000)
  await endOfTrouble()
  await until('it works as before', async () => (await createAgent().visit(`${front.url}/claims`)).status === 200)
  await redis.command('FLUSHALL')
  await run(1500)

  let after = await measure(instance)
  // Connections that are kept for the next request end by themselves.
  await until('sockets and timers are as they were', async () => {
    after = await measure(instance)
    return after.sockets <= before.sockets && after.timers <= before.timers
  })
  const keys = (await redis.command('KEYS', '*')) as string[]
  for (const key of keys) {
    assert.notEqual(await redis.command('TYPE', key), 'hash', 'a session without a cookie is still there')
    assert.ok(Number(await redis.command('PTTL', key)) > 0, 'a key that would live for ever')
  }
  for (const [key] of Object.entries(statuses)) assert.match(key, / (0|200|400|401|502|503)$/, JSON.stringify(statuses))
  const grown = (name: 'rss' | 'heapUsed') => (after[name] - before[name]) / 1e6
  t.diagnostic(`${seconds} s: ${JSON.stringify(statuses)}`)
  t.diagnostic(
    `heap ${grown('heapUsed').toFixed(1)} MB, RSS ${grown('rss').toFixed(1)} MB more; ${after.sockets} sockets, ${after.timers} timers`,
  )
  assert.ok(grown('heapUsed') < 10, `the heap grew by ${grown('heapUsed')} MB`)
  assert.ok(grown('rss') < 80, `the process grew by ${grown('rss')} MB`)

  assert.doesNotMatch(instance.output(), /UNHANDLED/)
})

/** The browser itself finds the provider away, or just going: its own error page, and no response of the site. */
function browserFoundNoProvider(port: number): (error: unknown) => { readonly status: number } {
  return error => {
    const { code, port: asked } = error as { readonly code?: string; readonly port?: number }
    if ((code === 'ECONNREFUSED' || code === 'ECONNRESET') && asked === port) return { status: 0 }
    throw error
  }
}
