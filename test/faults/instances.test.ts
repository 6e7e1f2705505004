import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { untilSaid } from '../support/running-site.js'
import { secret } from '../support/secrets.js'
import { type Front, type Instance, type InstanceOptions, startFront, startInstance } from './fleet.js'
import { scale } from './scale.js'

/** Several processes behind a front without stickiness, over one Redis: deploys, rotations, clocks, and processes that die. */

const sealing = secret('fleet secret')
const newer = secret('newer fleet secret')
let provider: HostileProvider
let redis: RedisServer
let front: Front
const all = new Set<Instance>()

before(async () => {
  provider = await startHostileProvider({ alg: 'ES256' })
  redis = await startRedis()
  front = await startFront()
  front.instances = await Promise.all([start(), start(), start()])
})

after(async () => {
  for (const instance of all) {
    assert.doesNotMatch(instance.output(), /UNHANDLED/)
    await instance.kill()
  }
  await front.close()
  await redis.stop()
  await provider.close()
})

async function start(oidc: OidcOptions = {}, more: Omit<InstanceOptions, 'oidc'> = {}): Promise<Instance> {
  const { issuer, clientId, clientSecret } = provider
  const common: OidcOptions = {
    ...{ issuer, clientId, clientSecret, idTokenAlgorithm: 'ES256', responseType: 'code id_token token' },
    ...{ baseUrl: front.url, secret: sealing, redis: redis.url },
  }
  const instance = await startInstance({ oidc: { ...common, ...oidc }, ...more })
  all.add(instance)
  return instance
}

/** Runs with these instances behind the front and puts the others back. */
async function behindFront(instances: readonly Instance[], run: () => Promise<void>): Promise<void> {
  const usual = front.instances
  front.instances = [...instances]
  try {
    await run()
  } finally {
    front.instances = usual
    for (const instance of instances) {
      if (usual.includes(instance)) continue
      all.delete(instance)
      await instance.kill()
    }
  }
}

const signIn = (agent: Agent = createAgent()): Promise<Page> =>
  agent.visit(`${front.url}/login?returnTo=/claims`, { from: null })

/** What each of some instances says about the person with this cookie. */
async function seenBy(instances: readonly Instance[], agent: Agent): Promise<readonly number[]> {
  const cookie = agent.cookies(front.url).find(({ name }) => name === 'sid')?.value
  const pages = await Promise.all(
    instances.map(({ url }) =>
      createAgent().fetch(`${url}/claims`, { from: `${url}/`, headers: { cookie: `sid=${cookie}` } }),
    ),
  )
  return pages.map(page => page.status)
}

describe('three instances', () => {
  test('a sign-in that touches each of them in turn works, many times, and every instance knows the person', async () => {
    for (let n = 0; n < 6 * scale; n += 1) {
      const agent = createAgent()
      const page = await signIn(agent)
      assert.equal(page.status, 200, page.text)
      assert.deepEqual(await seenBy(front.instances, agent), [200, 200, 200])
    }
  })

  test('seven tabs of one browser sign in at once', async () => {
    const agent = createAgent()
    const pages = await Promise.all(Array.from({ length: 7 }, () => signIn(agent.tab())))
    assert.deepEqual(
      pages.map(page => page.status),
      Array(7).fill(200),
      pages.map(page => page.text.slice(0, 300)).join('\n---\n'),
    )
  })

  test('one response sent to all three at once is used once', async () => {
    const agent = createAgent()
    await agent.open(`${front.url}/login`)
    const tokens = provider.count('token')
    const tabs = Array.from({ length: 6 }, () => agent.tab())
    const [form] = agent.page?.forms ?? []
    assert.ok(form, 'no form')
    const fields = Object.fromEntries(form.fields)
    const pages = await Promise.all(
      tabs.map(tab => tab.post(form.action, fields, { from: `${provider.issuer}/authorize`, redirect: 'manual' })),
    )
    assert.equal(provider.count('token'), tokens + 1)
    for (const page of pages) assert.equal(page.status, 303)
  })

  test('a sign-out at one is a sign-out at all, and a back-channel logout at any reaches sessions of every other', async () => {
    const [alone, other] = [createAgent(), createAgent()]
    await signIn(alone)
    await signIn(other)
    await alone.post(`${front.url}/logout?local=1`, {})
    assert.deepEqual(await seenBy(front.instances, alone), [401, 401, 401])
    assert.deepEqual(await seenBy(front.instances, other), [200, 200, 200])
    const [green] = front.instances
    const told = await createAgent().post(`${green?.url}/logout/backchannel`, {
      logout_token: await provider.createLogoutToken(),
    })
    assert.equal(told.status, 200)
    assert.deepEqual(await seenBy(front.instances, other), [401, 401, 401])
  })
})

describe('a deploy', () => {
  test('every instance is replaced in turn during sign-ins and page views: no request is lost', async () => {
    const old = front.instances
    const { broken } = front
    const people = Array.from({ length: 3 }, () => createAgent())
    for (const person of people) assert.equal((await signIn(person)).status, 200)
    let goes = true
    const statuses: Record<number, number> = {}
    const traffic = people.map(async person => {
      while (goes) {
        const page = await person.open(`${front.url}/claims`)
        const again = await signIn()
        for (const { status } of [page, again]) statuses[status] = (statuses[status] ?? 0) + 1
      }
    })
    for (const instance of old) {
      const fresh = await start()
      front.instances = [...front.instances.filter(each => each !== instance), fresh]
      assert.equal(await instance.drain(), 0)
      all.delete(instance)
    }
    goes = false
    await Promise.all(traffic)
    assert.deepEqual(Object.keys(statuses), ['200'])
    assert.equal(front.broken, broken)
    for (const person of people) assert.deepEqual(await seenBy(front.instances, person), [200, 200, 200])
  })

  test('a sign-in begun before every process was replaced ends well after it', async () => {
    const agent = createAgent()
    await agent.open(`${front.url}/login?returnTo=/claims`)
    const fresh = [await start()]
    await behindFront(fresh, async () => {
      assert.equal((await agent.submitForm()).status, 200)
    })
  })

  test('processes that are killed cost at most what they were doing', async () => {
    let attempts = 0
    let goes = true
    const lost: number[] = []
    const traffic = [0, 1].map(async () => {
      while (goes) {
        attempts += 1
        const page = await signIn().catch(() => undefined)
        if (page?.status !== 200) lost.push(page?.status ?? 0)
        await sleep(5)
      }
    })
    const rounds = 2 * scale
    for (let round = 0; round < rounds; round += 1) {
      const fresh = await start()
      const [victim, ...others] = front.instances
      front.instances = [...others, fresh]
      await victim?.kill()
      if (victim) all.delete(victim)
    }
    goes = false
    await Promise.all(traffic)
    // Two sign-ins are under way at any time; one that was hit may cost a second request that finds its state used.
    assert.ok(lost.length <= rounds * 4, `${lost.length} of ${attempts}: ${lost.join(' ')}`)
    assert.equal((await signIn()).status, 200)
  })
})

describe('secrets that change', () => {
  test('a rotation in three steps, never two of them at once: no user is signed out, no sign-in is lost', async () => {
    const agent = createAgent()
    const begun = createAgent()
    await signIn(agent)
    await begun.open(`${front.url}/login?returnTo=/claims`)
    const reads = await start({ secret: [sealing, newer] })
    const writes = await start({ secret: [newer, sealing] })
    await behindFront([reads, writes], async () => {
      assert.deepEqual(await seenBy([reads, writes], agent), [200, 200])
      assert.equal((await begun.submitForm()).status, 200)
      for (let n = 0; n < 4; n += 1) {
        const person = createAgent()
        assert.equal((await signIn(person)).status, 200)
        assert.deepEqual(await seenBy([reads, writes], person), [200, 200])
      }
    })
  })

  test('an instance with a wrong secret signs no user out, and deletes nothing', async () => {
    const agent = createAgent()
    await signIn(agent)
    const wrong = await start({ secret: secret('wrong secret') })
    const cookie = agent.cookies(front.url).find(({ name }) => name === 'sid')?.value
    const page = await createAgent().fetch(`${wrong.url}/session`, {
      from: `${wrong.url}/`,
      headers: { cookie: `sid=${cookie}` },
    })
    assert.equal(page.status, 200)
    assert.deepEqual(page.hops[0]?.setCookies, [], 'the cookie is left alone')
    assert.deepEqual(await seenBy([wrong], agent), [401])
    assert.deepEqual(await seenBy(front.instances, agent), [200, 200, 200])
    all.delete(wrong)
    await wrong.kill()
  })

  test('two sites with one Redis and one prefix by mistake do not see each other', async () => {
    const agent = createAgent()
    await signIn(agent)
    const other = await start({ secret: secret('secret of another site') })
    assert.deepEqual(await seenBy([other], agent), [401])
    assert.deepEqual(await seenBy(front.instances, agent), [200, 200, 200])
    all.delete(other)
    await other.kill()
  })
})

describe('clocks', () => {
  test('25 s apart: every way works', async () => {
    const pair = [await start({}, { ahead: 25_000 }), await start({}, { ahead: -20_000 })]
    await behindFront(pair, async () => {
      for (let n = 0; n < 4; n += 1) {
        const agent = createAgent()
        assert.equal((await signIn(agent)).status, 200)
        assert.deepEqual(await seenBy(pair, agent), [200, 200])
        const told = await createAgent().post(`${pair[n % 2]?.url}/logout/backchannel`, {
          logout_token: await provider.createLogoutToken(),
        })
        assert.equal(told.status, 200)
        assert.deepEqual(await seenBy(pair, agent), [401, 401])
        // What comes in the same second at the provider counts as before the logout.
        await sleep(1000)
        assert.equal((await signIn(agent)).status, 200)
        assert.deepEqual(await seenBy(pair, agent), [200, 200])
        await agent.post(`${front.url}/logout?local=1`, {})
        assert.deepEqual(await seenBy(pair, agent), [401, 401])
      }
    })
  })

  test('90 s apart: an instance that is ahead or behind logs it, and no user is signed out by it', async () => {
    const agent = createAgent()
    await signIn(agent)
    const late = await start({}, { ahead: -90_000 })
    assert.deepEqual(await seenBy([late], agent), [200])
    await behindFront([late], async () => {
      const page = await signIn()
      assert.equal(page.status, 400)
      await untilSaid(late, /ERR_OIDC_(ID_TOKEN_ISSUED_AT|TRANSACTION)/)
    })
    assert.deepEqual(await seenBy(front.instances, agent), [200, 200, 200])
  })
})

describe('readiness', () => {
  test('an instance is ready when provider and Redis are, not before, and needs no restart', async () => {
    await redis.kill()
    const instance = await start()
    const ask = () => createAgent().open(`${instance.url}/ready`)
    assert.equal((await ask()).status, 503)
    await redis.restart()
    await until('it is ready', async () => (await ask()).status === 200)
    all.delete(instance)
    await instance.kill()
  })
})
