import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type Agent, createAgent } from '../support/agent.js'
import { type HostileProvider, type RecordedRequest, startHostileProvider } from '../support/hostile-provider.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { type Farm, startFarm } from './processes.js'

/** Seconds an access token lives, and how far the clocks go so that it is time for another. */
const LIFE = 300
const AT_EXPIRY = 290

describe('several processes of one site, and a provider that revokes a family of tokens on reuse', () => {
  let redis: RedisServer
  let provider: HostileProvider
  let farm: Farm
  let ahead = 0

  before(async () => {
    redis = await startRedis()
  })
  after(() => redis.stop())
  beforeEach(async () => {
    await redis.command('FLUSHALL')
    ahead = 0
    provider = await startHostileProvider({ expiresIn: LIFE, now: () => Math.floor(Date.now() / 1000) + ahead })
  })
  afterEach(async () => {
    await farm.close()
    await provider.close()
  })

  async function open(options: Parameters<typeof startFarm>[3] = {}): Promise<void> {
    farm = await startFarm(3, provider, redis.url, options)
  }

  /** All clocks, those of the site's processes and that of the provider. */
  async function setAhead(seconds: number): Promise<void> {
    ahead = seconds
    await farm.setAhead(seconds)
  }

  async function signIn(): Promise<Agent> {
    const agent = createAgent()
    const page = await agent.visit(`${farm.url}/claims`)
    assert.equal(page.status, 200)
    return agent
  }

  /** The same request many times at once, spread over the processes that live. */
  async function askAll(agent: Agent, count: number, sites = farm.sites) {
    const ask = async ({ url }: Farm['sites'][number]) => {
      const page = await agent.fetch(`${url}/fresh`, { from: `${url}/` })
      return { status: page.status, ...page.json<{ value?: string; code?: string }>() }
    }
    const none = { status: 0, value: undefined, code: undefined }
    return Promise.all(
      Array.from({ length: count }, (_, at) =>
        ask(sites[at % sites.length] as Farm['sites'][number]).catch(() => none),
      ),
    )
  }

  const refreshes = (): RecordedRequest[] =>
    provider.requestsTo('token').filter(({ form }) => form.grant_type === 'refresh_token')

  async function isFamilyAlive(agent: Agent): Promise<boolean> {
    await setAhead(2 * AT_EXPIRY)
    const [later] = await askAll(agent, 1, [farm.sites.at(-1) as Farm['sites'][number]])
    return later?.status === 200 && provider.reusedRefreshTokens.length === 0
  }

  test('200 requests at once when the token expires: one token request, 200 responses, and the refresh token stays valid', async t => {
    await open()
    const agent = await signIn()
    await setAhead(AT_EXPIRY)
    const responses = await askAll(agent, 200)
    t.diagnostic(
      `${refreshes().length} token request, ${responses.filter(({ status }) => status === 200).length} answers`,
    )
    assert.equal(refreshes().length, 1)
    assert.deepEqual(new Set(responses.map(({ status }) => status)), new Set([200]))
    assert.equal(new Set(responses.map(({ value }) => value)).size, 1)
    assert.ok(await isFamilyAlive(agent), 'the family of tokens is dead')
  })

  test('the same while the provider takes 4, 8 and 20 seconds', async t => {
    // Generous: six hundred requests at once take a busy machine a while.
    await open({ timeouts: { provider: 40_000, redis: 5_000 } })
    const agents = await Promise.all([signIn(), signIn(), signIn()])
    const delays = [4_000, 8_000, 20_000]
    const delayOf = new Map<string, number>()
    provider.break({
      token: {
        until: ({ form }) => {
          const delay = delayOf.get(form.refresh_token ?? '') ?? delays[delayOf.size] ?? 0
          delayOf.set(form.refresh_token ?? '', delay)
          return wait(delay)
        },
      },
    })
    await setAhead(AT_EXPIRY)
    const responses = await Promise.all(agents.map(agent => askAll(agent, 200)))
    t.diagnostic(`${refreshes().length} token requests for 3 sessions, ${responses.flat().length} answers`)
    assert.equal(refreshes().length, 3)
    assert.equal(delayOf.size, 3)
    for (const session of responses) {
      assert.deepEqual(new Set(session.map(({ status }) => status)), new Set([200]))
      assert.equal(new Set(session.map(({ value }) => value)).size, 1)
    }
    provider.heal()
    for (const agent of agents) assert.ok(await isFamilyAlive(agent), 'the family of tokens is dead')
  })

  test('a provider slower than the deadline: one token request per deadline, and the session stays', async t => {
    await open({ timeouts: { provider: 1_000 } })
    const agent = await signIn()
    provider.break({ token: { hang: 'before' } })
    await setAhead(LIFE + 10)
    const responses = await askAll(agent, 60)
    t.diagnostic(`${refreshes().length} token request for ${responses.length} requests, which got 503`)
    assert.equal(refreshes().length, 1)
    assert.deepEqual(new Set(responses.map(({ code }) => code)), new Set(['ERR_OIDC_PROVIDER_UNAVAILABLE']))
    provider.heal()
    await setAhead(LIFE + 80)
    const [later] = await askAll(agent, 1)
    assert.equal(later?.status, 200)
  })

  test('the process that refreshes is killed before the provider acts: another one does it, the family lives', async t => {
    await open({ timeouts: { provider: 1_000, redis: 800 } })
    const agent = await signIn()
    let killed = ''
    provider.break({
      token: {
        times: 1,
        cut: 'before',
        until: async ({ headers }) => {
          killed = String(headers['x-process'])
          await farm.byName(killed).kill()
        },
      },
    })
    await setAhead(AT_EXPIRY)
    const responses = await askAll(agent, 200)
    const survivors = farm.sites.filter(({ name }) => name !== killed)
    t.diagnostic(`${killed} was killed; ${refreshes().length} token requests, one of which was never answered`)
    assert.equal(refreshes().length, 2)
    assert.equal(provider.reusedRefreshTokens.length, 0)
    const served = responses.filter((_, at) => farm.sites[at % farm.sites.length]?.name !== killed)
    assert.deepEqual(new Set(served.map(({ status }) => status)), new Set([200]))
    const [later] = await askAll(agent, 1, survivors)
    assert.equal(later?.status, 200)
  })

  test('the process that refreshes is killed after the provider rotated: the session ends once, without a loop', async t => {
    await open({ timeouts: { provider: 1_000, redis: 800 } })
    const agent = await signIn()
    let killed = ''
    provider.break({
      token: {
        times: 1,
        respond: response => {
          void farm.byName(killed).kill()
          return response
        },
        until: async ({ headers }) => {
          killed = String(headers['x-process'])
        },
        cut: 'after',
      },
    })
    await setAhead(AT_EXPIRY)
    const responses = await askAll(agent, 200)
    const served = responses.filter((_, at) => farm.sites[at % farm.sites.length]?.name !== killed)
    t.diagnostic(`${refreshes().length} token requests; ${served.length} requests got 401`)
    assert.equal(refreshes().length, 2)
    assert.deepEqual(new Set(served.map(({ status }) => status)), new Set([401]))
    const [survivor] = farm.sites.filter(({ name }) => name !== killed)
    const again = await agent.open(`${survivor?.url}/claims`, { redirect: 'manual' })
    assert.equal(again.status, 303)
    assert.ok(again.hops[0]?.location?.startsWith(`${provider.issuer}/authorize`), again.hops[0]?.location)
  })

  test('Redis is cut between the response and the save: nothing is lost, and nothing is sent twice', async t => {
    await open()
    const agent = await signIn()
    await setAhead(AT_EXPIRY)
    provider.break({
      token: {
        respond: response => {
          redis.pause()
          return response
        },
      },
    })
    const responses = await askAll(agent, 60)
    await wait(1_500)
    redis.resume()
    const statuses = new Set(responses.map(({ status }) => status))
    assert.ok(
      [...statuses].every(status => status === 503 || status === 200),
      [...statuses].join(),
    )
    await until('the session works again', async () => (await askAll(agent, 1))[0]?.status === 200)
    t.diagnostic(`${refreshes().length} token request; Redis stood still for more than 1.5 s`)
    assert.equal(refreshes().length, 1)
    provider.heal()
    assert.ok(await isFamilyAlive(agent), 'the family of tokens is dead')
  })

  for (const revokeTokens of [true, false]) {
    const what = revokeTokens ? 'the sign-out revokes the old tokens' : 'what the refresh brings is revoked'
    test(`a sign-out while a refresh is under way: ended stays ended, and ${what}`, async () => {
      await open({ revokeTokens })
      const agent = await signIn()
      await setAhead(AT_EXPIRY)
      const [a, b] = farm.sites as [Farm['sites'][number], Farm['sites'][number]]
      const arrived = withResolvers<void>()
      const released = withResolvers<void>()
      provider.break({
        token: {
          until: async () => {
            arrived.resolve()
            await released.promise
          },
        },
      })
      const refreshing = askAll(agent.tab(), 3, [a])
      await arrived.promise
      const signedOut = await agent.post(`${b.url}/logout?local`, {}, { from: `${b.url}/` })
      assert.equal(signedOut.status, 200)
      assert.equal(await recordCount(), 0)
      if (revokeTokens) await until('the refresh token is revoked', () => revoked().size === 1)
      released.resolve()
      assert.deepEqual(
        (await refreshing).map(({ status }) => status),
        [401, 401, 401],
      )
      await until('a refresh token is revoked', () => revoked().size === 1)
      assert.equal(revoked().has(refreshes()[0]?.form.refresh_token), revokeTokens)
      assert.equal(await recordCount(), 0)
    })
  }

  test('a sign-out after a refresh revokes what the refresh brought', async () => {
    await open()
    const agent = await signIn()
    await setAhead(AT_EXPIRY)
    const [a, b] = farm.sites as [Farm['sites'][number], Farm['sites'][number]]
    await askAll(agent, 3, [a])
    await agent.post(`${b.url}/logout?local`, {}, { from: `${b.url}/` })
    await until('the refresh token is revoked', () => revoked().size === 1)
    assert.ok(!revoked().has(refreshes()[0]?.form.refresh_token), 'the old one is revoked')
    assert.deepEqual(
      (await askAll(agent, 3)).map(({ status }) => status),
      [401, 401, 401],
    )
  })

  function revoked(): ReadonlySet<string | undefined> {
    const requests = provider.requestsTo('revocation').filter(({ form }) => form.token_type_hint === 'refresh_token')
    return new Set(requests.map(({ form }) => form.token))
  }

  async function recordCount(): Promise<number> {
    const keys = (await redis.command('KEYS', 'oidc:*')) as string[]
    const records = keys.filter(key => key.length === 'oidc:'.length + 43)
    const alive = await Promise.all(records.map(async key => Number(await redis.command('HEXISTS', key, 'k'))))
    return alive.filter(Boolean).length
  }
})

interface Resolvers<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

function withResolvers<T>(): Resolvers<T> {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(done => {
    resolve = done
  })
  return { promise, resolve }
}
