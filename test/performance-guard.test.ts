import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express, Request } from 'express'
import { Redis } from 'ioredis'
import { type Agent, createAgent } from './support/agent.js'
import { countCrypto } from './support/count-crypto.js'
import { countSignatures } from './support/count-signatures.js'
import { createDevice, offerOf, register } from './support/device.js'
import { type Fixture, openFixture } from './support/handler-fixture.js'
import { type RedisServer, startRedis, until } from './support/redis.js'

/** What every kind of request asks of Redis and of the provider: counted, so that it is the same on every machine. */

declare module 'express-session' {
  interface SessionData {
    pencil: string
  }
}

const MINUTE = 60 * 1000

let redis: RedisServer
let watcher: Watcher
let fixture: Fixture
let clockAhead = 0

before(async () => {
  redis = await startRedis()
  watcher = await watch(redis.url)
  fixture = await openFixture({
    oidc: {
      redis: redis.url,
      scope: 'openid profile email offline_access',
      now: () => new Date(Date.now() + clockAhead),
    },
    provider: { now: () => Math.floor((Date.now() + clockAhead) / 1000) },
    site: { routes },
  })
  await fixture.site.oidc.ready()
  await letRedisKnowTheScripts()
})

/** The first use of a script costs a command more, once in the life of a Redis. */
async function letRedisKnowTheScripts(): Promise<void> {
  const agent = createAgent()
  await agent.visit(`${fixture.site.url}/claims`)
  await agent.fetch(`${fixture.site.url}/session?pencil=ink`, { method: 'POST' })
  clockAhead += 10 * MINUTE
  await agent.open(`${fixture.site.url}/page`)
}

after(async () => {
  await fixture.close()
  watcher.close()
  await redis.stop()
})

function routes(app: Express): void {
  const page = (path: string, look: (req: Request) => unknown) =>
    app.get(path, async (req, res) => {
      look(req)
      await watcher.mark('handler')
      res.json({})
    })
  page('/open', () => undefined)
  page('/page', req => req.oidc.user)
  page('/cart', req => req.session.pencil)
  page('/same', req => {
    req.session.pencil = 'pens'
  })
  app.get('/watch', (req, res) => {
    fixture.site.oidc.watch(req, { onEnd() {} })
    res.json({})
  })
  app.get('/token-page', async (req, res) => {
    await watcher.mark('handler')
    await req.oidc.accessToken()
    res.json({})
  })
}

describe('Redis commands before and after the handler', () => {
  test('none for a page of a user without a session, whether it reads req.oidc or not', async () => {
    const { agent, site } = fixture
    for (const path of ['/open', '/page', '/cart']) {
      const { commands, page } = await watcher.during(() => agent.tab().open(`${site.url}${path}`))
      assert.deepEqual(commands, ['handler'], path)
      assert.deepEqual(page.hops[0]?.setCookies, [], path)
    }
  })

  test('none for a cookie that is not ours', async () => {
    const { agent, site } = fixture
    const headers = { cookie: `sid=${'a'.repeat(43)}.${'b'.repeat(43)}` }
    const { commands } = await watcher.during(() => agent.open(`${site.url}/page`, { headers }))
    assert.deepEqual(commands, ['handler'])
  })

  test('none for the start of a sign-in, which leaves nothing behind', async () => {
    const { agent, site } = fixture
    const { commands, page } = await watcher.during(() => agent.open(`${site.url}/login`, { redirect: 'manual' }))
    assert.deepEqual(commands, [])
    assert.equal(page.hops[0]?.setCookies.length, 1)
  })

  test('a fixed few for a sign-in, and one of them before the provider is asked', async () => {
    const { agent, site, provider } = fixture
    const earlier = [provider.count('token'), provider.count('userinfo')]
    const { commands } = await watcher.during(() => agent.visit(`${site.url}/claims`))
    assert.equal(commands[0], 'set', 'the state is used up first')
    assert.deepEqual(count(commands), { set: 1, evalsha: 5, zscore: 2, get: 3, hmget: 1 })
    assert.deepEqual(
      [provider.count('token'), provider.count('userinfo')],
      earlier.map(count => count + 1),
    )
  })

  test('one before and none after, for a page that reads req.oidc or req.session, or writes what was there', async () => {
    const { agent, site } = fixture
    await agent.fetch(`${site.url}/session?pencil=pens`, { method: 'POST' })
    for (const path of ['/open', '/page', '/cart', '/same']) {
      const { commands, page } = await watcher.during(() => agent.open(`${site.url}${path}`))
      assert.deepEqual(commands, ['hmget', 'handler'], path)
      assert.deepEqual(page.hops[0]?.setCookies, [], path)
    }
  })

  test('one more for what a page changes in req.session, and one more for the tokens', async () => {
    const { agent, site } = fixture
    const saved = await watcher.during(() => agent.fetch(`${site.url}/session?pencil=ink`, { method: 'POST' }))
    assert.deepEqual(saved.commands, ['hmget', 'evalsha'])
    assert.deepEqual(saved.page.hops[0]?.setCookies, [])
    const token = await watcher.during(() => agent.open(`${site.url}/token-page`))
    assert.deepEqual(token.commands, ['hmget', 'handler', 'hmget'])
  })

  test('one more, which delays no response, when the session is extended', async () => {
    const { agent, site } = fixture
    clockAhead += 10 * MINUTE
    const { commands } = await watcher.during(() => agent.open(`${site.url}/page`))
    assert.deepEqual(commands.toSorted(), ['evalsha', 'handler', 'hmget'])
    const next = await watcher.during(() => agent.open(`${site.url}/page`))
    assert.deepEqual(next.commands, ['hmget', 'handler'])
  })
})

test('a page of a session that is bound to a device costs one command as well, with its proof and without', async () => {
  const { agent, site, close } = await openFixture({
    oidc: { redis: redis.url, session: { deviceBound: 'when-possible' } },
    site: { routes },
  })
  const { offer, url } = await startSession(agent, site.url)
  const unbound = await watcher.during(() => agent.open(`${site.url}/page`))
  assert.deepEqual(unbound.commands, ['hmget', 'handler'])
  assert.equal((await register(agent, url, createDevice().prove(offer.challenge))).status, 200)
  const bound = await watcher.during(() => agent.open(`${site.url}/page`))
  assert.deepEqual(bound.commands, ['hmget', 'handler'])
  await close()
})

test('a page of a user whose tokens are bound to a key costs one command as well, and no signature; a call of an API one', async () => {
  const { agent, site, provider, close } = await openFixture({
    oidc: { redis: redis.url, dpop: true, responseType: 'code id_token', apis: ['http://127.0.0.1:1'] },
    site: {
      routes(app) {
        routes(app)
        app.get('/call', (req, res) => {
          req.oidc.fetch('http://127.0.0.1:1/').then(
            () => res.json({}),
            () => res.json({}),
          )
        })
      },
    },
  })
  const signatures = countSignatures()
  try {
    await agent.visit(`${site.url}/claims`)
    assert.ok(signatures.count() > 0, 'the sign-in has no proof')
    const [calls, signed] = [provider.requests.length, signatures.count()]
    for (const path of ['/open', '/page', '/cart', '/same', '/token-page']) {
      const { commands, page } = await watcher.during(() => agent.open(`${site.url}${path}`))
      assert.equal(page.status, 200, path)
      const tokens = path === '/token-page' ? ['hmget'] : []
      const saved = path === '/same' ? ['evalsha'] : []
      assert.deepEqual(commands, ['hmget', 'handler', ...tokens, ...saved], path)
    }
    assert.deepEqual([provider.requests.length, signatures.count()], [calls, signed])
    await agent.open(`${site.url}/call`)
    assert.equal(signatures.count(), signed + 1)
  } finally {
    signatures.stop()
    await close()
  }
})

test('a sign-in encrypts eight values and decrypts two, and a page decrypts what the one before it did not', async () => {
  const { site } = fixture
  const agent = createAgent()
  const asked = async (path: string) => {
    const crypto = countCrypto()
    try {
      assert.equal((await agent.visit(site.url + path)).status, 200)
    } finally {
      crypto.stop()
    }
    const { createHmac: macs, createCipheriv: encrypted, createDecipheriv: decrypted } = crypto.counts
    return { macs, encrypted, decrypted }
  }
  const page = { macs: 0, encrypted: 0, decrypted: 0 }
  // The binding and the attempt; then ticket, tokens, summary, session of the browser, used response and binding again. The page reads the ticket.
  assert.deepEqual(await asked('/claims'), { macs: 14, encrypted: 8, decrypted: 3 })
  assert.deepEqual(await asked('/page'), page)
  assert.deepEqual(await asked('/cart'), page)
  await agent.fetch(`${site.url}/session?pencil=pens`, { method: 'POST' })
  assert.deepEqual(await asked('/cart'), { ...page, decrypted: 1 })
  assert.deepEqual(await asked('/cart'), page)
})

async function startSession(agent: Agent, site: string) {
  const offer = offerOf(await agent.visit(`${site}/claims`))
  return { offer, url: site + offer.path }
}

describe('calls to the provider', () => {
  test('none for pages', async () => {
    const { agent, site, provider } = fixture
    const earlier = provider.requests.length
    for (const path of ['/open', '/page', '/cart', '/token-page']) await agent.open(`${site.url}${path}`)
    assert.equal(provider.requests.length, earlier)
  })

  test('the first callback of a process waits for the code and userinfo only', async () => {
    const { agent, site, provider } = await openFixture({ oidc: { redis: redis.url } })
    await site.oidc.ready()
    provider.break({ discovery: { hang: 'before' }, jwks: { hang: 'before' } })
    const page = await agent.visit(`${site.url}/claims`)
    assert.equal(page.status, 200)
    assert.deepEqual([provider.count('token'), provider.count('userinfo')], [1, 1])
    await site.close()
    await provider.close()
  })

  test('a callback after every cache has aged waits for nothing else either', async () => {
    const { agent, site, provider } = fixture
    clockAhead += 6 * 60 * MINUTE
    provider.break({ discovery: { hang: 'before' }, jwks: { hang: 'before' } })
    const page = await agent.tab().visit(`${site.url}/login`)
    assert.equal(page.status, 200)
    provider.heal()
  })
})

test('a sign-in makes one round trip to Redis before the provider is called and two after it; the page that follows makes one', async () => {
  const trips: string[] = []
  const client = countTrips(new Redis(redis.url), trips)
  const { agent, site, close } = await openFixture({ oidc: { redis: client } })
  await agent.visit(`${site.url}/claims`)
  trips.length = 0
  const { status } = await createAgent().visit(`${site.url}/claims`)
  assert.equal(status, 200)
  assert.deepEqual(trips, ['set', 'evalsha', 'zscore', 'hmget'])
  await close()
  client.disconnect()
})

/** Notes the first of the commands that are under way together. */
function countTrips(client: Redis, trips: string[]): Redis {
  const send = client.sendCommand.bind(client)
  let pending = 0
  client.sendCommand = (command, stream) => {
    const isProbe = command.name === 'info' || (command.name === 'zrem' && command.args.includes(''))
    if (pending === 0 && !isProbe) trips.push(command.name)
    pending += 1
    void command.promise.catch(() => {}).finally(() => (pending -= 1))
    return send(command, stream)
  }
  return client
}

interface Watcher {
  /** What was asked of Redis meanwhile, by name and in order; scripts count once. */
  during<T>(act: () => Promise<T>): Promise<{ commands: string[]; page: T }>
  mark(text: string): Promise<void>
  close(): void
}

async function watch(url: string): Promise<Watcher> {
  const marker = new Redis(url)
  const monitor = await marker.monitor()
  let seen: string[] = []
  const awaited = new Map<string, () => void>()
  monitor.on('monitor', (_time: string, [name = '', text = '', member]: string[], source: string) => {
    // Once a second at most, a write that changes nothing shows whether the server is a replica.
    if (name.toLowerCase() === 'zrem' && member === '') return
    if (name.toLowerCase() === 'echo') {
      if (text === 'handler') seen.push(text)
      awaited.get(text)?.()
    } else if (source !== 'lua' && !['info', 'script'].includes(name.toLowerCase())) seen.push(name.toLowerCase())
  })
  const mark = async (text: string) => {
    const arrived = new Promise<void>(resolve => awaited.set(text, resolve))
    await marker.echo(text)
    await arrived
  }
  return {
    async during(act) {
      await mark('begin')
      seen = []
      const page = await act()
      await mark('end')
      return { commands: seen, page }
    },
    mark,
    close() {
      monitor.disconnect()
      marker.disconnect()
    },
  }
}

function count(commands: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of commands) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

test('a site listens to Redis from its first watch on, and not before, whatever its users have done', async () => {
  const { agent, site } = fixture
  const listeners = async () => String(await redis.command('CLIENT', 'LIST', 'TYPE', 'pubsub')).trim()
  await agent.visit(`${site.url}/claims`)
  await agent.post(`${site.url}/logout`, {}, { from: `${site.url}/` })
  assert.equal(await listeners(), '')
  await agent.visit(`${site.url}/claims`)
  await agent.open(`${site.url}/watch`)
  await until('the site listens', async () => (await listeners()) !== '')
})
