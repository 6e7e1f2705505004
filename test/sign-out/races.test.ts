import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import { createRecordStore, type RecordStore } from '../../lib/store/store.js'
import { createAgent } from '../support/agent.js'
import { type FixtureOptions, sessionCookie, sessionCookieOf } from '../support/handler-fixture.js'
import type { Faults } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  assertObeyed,
  createGate,
  isSignedIn,
  type LogoutFixture,
  openLogoutFixture,
  postLogoutToken,
  signIn,
  withLogoutFixture,
} from './support.js'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

/** Records of sessions; there are other keys, too. */
async function records(): Promise<number> {
  const keys = (await redis.command('KEYS', '*')) as string[]
  return keys.filter(key => /^oidc:[\w-]{43}$/.test(key)).length
}

const alg = { provider: { alg: 'ES256' }, idTokenAlgorithm: 'ES256' } as const

describe('a logout token that arrives while a user signs in', () => {
  const places: readonly (readonly [string, keyof Faults, string])[] = [
    ['during the code exchange', 'token', 'code'],
    ['during the code exchange', 'token', 'code id_token'],
    ['during the code exchange', 'token', 'code token'],
    ['during the code exchange', 'token', 'code id_token token'],
    ['while userinfo is fetched', 'userinfo', 'code id_token'],
    ['while userinfo is fetched', 'userinfo', 'code id_token token'],
  ]
  for (const [name, endpoint, responseType] of places) {
    for (const by of ['sid', 'sub'] as const) {
      test(`${name} (${responseType}), by ${by}: no user is signed in, and the next sign-in lives`, async () => {
        const options: FixtureOptions = { oidc: { redis: redis.url, responseType } }
        await withLogoutFixture(options, async fixture => {
          const { agent, site, provider } = fixture
          const gate = createGate()
          provider.break({ [endpoint]: { until: gate.until } })
          const visiting = agent.visit(`${site.url}/claims`)
          await gate.reached
          const claims = by === 'sid' ? { sub: undefined } : { sid: undefined }
          await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken(claims)))
          gate.open()
          assert.equal((await visiting).status, 400)
          assert.equal(site.lastCode(), 'ERR_OIDC_SIGN_IN_ENDED')
          assert.equal(await isSignedIn(fixture, agent), false)
          assert.equal(await records(), 0)
          provider.heal()
          await signIn(fixture, agent)
          assert.equal(await isSignedIn(fixture, agent), true)
          await site.oidc.sessions.revoke({ sub: 'alice-0001' })
        })()
      })
    }
  }

  test('a session the browser had before stays, where the logout was not about that', async () => {
    await withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
      let sid = 'old'
      const { agent, site, provider } = fixture
      provider.break({
        frontIdToken: claims => ({ ...claims, sid }),
        backIdToken: claims => ({ ...claims, sid }),
      })
      await signIn(fixture, agent)
      sid = 'new'
      const gate = createGate()
      provider.break({ token: { until: gate.until } })
      const tab = agent.tab()
      const visiting = tab.visit(`${site.url}/login?returnTo=/claims`)
      await gate.reached
      await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken({ sid: 'new' })))
      gate.open()
      await visiting
      assert.equal(site.lastCode(), 'ERR_OIDC_SIGN_IN_ENDED')
      assert.equal(await isSignedIn(fixture, agent), true)
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
    })()
  })

  test('while the person is still at the provider: who signs in there after it lives', async () => {
    let seconds = Math.floor(Date.now() / 1000)
    const clocks = { provider: { now: () => seconds }, oidc: { redis: redis.url, now: () => new Date(seconds * 1000) } }
    await withLogoutFixture(clocks, async fixture => {
      const { agent, site, provider } = fixture
      const gate = createGate()
      provider.break({ authorize: { until: gate.until } })
      const visiting = agent.visit(`${site.url}/claims`)
      await gate.reached
      await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken({ sid: undefined })))
      seconds += 2
      gate.open()
      assert.equal((await visiting).status, 200)
      assert.equal(await isSignedIn(fixture, agent), true)
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
    })()
  })
})

describe('a logout token that arrives while tokens are refreshed', () => {
  test('ends the session, and what the refresh brings is not kept', async () => {
    let seconds = Math.floor(Date.now() / 1000)
    const options: FixtureOptions = {
      oidc: { redis: redis.url, scope: 'openid offline_access', now: () => new Date(seconds * 1000) },
      provider: { expiresIn: 60, now: () => seconds },
    }
    await withLogoutFixture(options, async fixture => {
      const { agent, site, provider } = fixture
      await signIn(fixture, agent)
      seconds += 120
      const gate = createGate()
      provider.break({ token: { until: gate.until } })
      const asking = agent.fetch(`${site.url}/token`, { from: `${site.url}/` })
      await gate.reached
      await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken()))
      gate.open()
      const response = await asking
      assert.equal(response.status, 401, response.text)
      assert.equal(await isSignedIn(fixture, agent), false)
      assert.equal(await records(), 0)
    })()
  })
})

/** A page that writes to the session, and takes as long as a test wants. */
function addSlowRoute(wait: () => Promise<unknown>): (app: Express) => void {
  return app => {
    app.post('/slow', (req, res, next) => {
      Object.assign(req.session, { cart: String(req.query.cart) })
      wait().then(() => res.json({ done: true }), next)
    })
  }
}

describe('a logout token that arrives during 100 parallel requests', () => {
  test('ends the session for all of them, and it stays ended', async () => {
    const gate = createGate()
    const full = createGate()
    let waiting = 0
    const wait = () => {
      waiting += 1
      if (waiting === 100) full.open()
      return gate.until()
    }
    const options: FixtureOptions = { oidc: { redis: redis.url }, site: { routes: addSlowRoute(wait) } }
    await withLogoutFixture(options, async fixture => {
      const { agent, site, provider } = fixture
      await signIn(fixture, agent)
      const from = `${site.url}/`
      const pages = Array.from({ length: 100 }, (_, at) =>
        agent.fetch(`${site.url}/slow?cart=${at}`, { method: 'POST', from }),
      )
      await full.until()
      await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken()))
      gate.open()
      for (const { status } of await Promise.all(pages)) assert.equal(status, 200)
      assert.equal(await isSignedIn(fixture, agent), false)
      assert.equal(await records(), 0)
    })()
  })
})

describe('1,000 trials of a back-channel logout', () => {
  const trials = 1000
  let fixture: LogoutFixture
  let wait: () => Promise<unknown> = async () => {}
  before(async () => {
    fixture = await openLogoutFixture({
      provider: alg.provider,
      oidc: { redis: redis.url, responseType: 'id_token', scope: 'openid', idTokenAlgorithm: alg.idTokenAlgorithm },
      site: { routes: addSlowRoute(() => wait()) },
    })
  })
  after(() => fixture.close())

  test('against a slow save: none is revived', async t => {
    const { site, provider, signedOut } = fixture
    let revived = 0
    for (let trial = 0; trial < trials; trial += 1) {
      const agent = createAgent()
      await signIn(fixture, agent)
      const cookie = `${sessionCookie}=${sessionCookieOf({ ...fixture, agent })}`
      const [session] = await site.oidc.sessions.list({ sub: 'alice-0001' })
      const key = `oidc:${session?.handle.slice(1)}`
      assert.equal(await redis.command('EXISTS', key), 1)
      const token = await provider.createLogoutToken(trial % 2 === 0 ? {} : { sid: undefined })
      // Every fourth save waits until the logout was answered; the others meet it a few steps earlier or later.
      const gate = createGate()
      wait = trial % 4 === 0 ? gate.until : () => turns(trial % 37)
      const saving = agent.fetch(`${site.url}/slow?cart=${trial}`, { method: 'POST', from: `${site.url}/` })
      if (trial % 4 === 0) await gate.reached
      else await turns((trial * 7) % 41)
      await assertObeyed(postLogoutToken(site.url, token))
      gate.open()
      assert.equal((await saving).status, 200)
      // A request that came after the logout began an anonymous session of its own; the old one must be gone for good.
      const page = await send({ url: `${site.url}/user`, headers: { cookie } })
      const isBack = JSON.parse(page.text).isAuthenticated || (await redis.command('EXISTS', key)) !== 0
      if (isBack) revived += 1
    }
    t.diagnostic(`${revived} of ${trials} sessions revived by a slow save`)
    assert.equal(revived, 0)
    assert.equal(signedOut.length, trials)
  })

  /** Lets other work go first, a number of times. */
  async function turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn += 1) await new Promise(resolve => setImmediate(resolve))
  }
})

describe('1,000 trials of a logout between new id and save', () => {
  const issuer = 'https://op.example'
  const states: RecordStore[] = []
  before(() => {
    const settings = { idle: 3600, absolute: 7200, timeout: 5000, now: () => new Date(), log: () => {} }
    const sealing = secret('sealing secret')
    for (let count = 0; count < 2; count += 1) {
      states.push(createRecordStore({ ...settings, redis: redis.url, secrets: [sealing] }))
    }
  })
  after(() => Promise.all(states.map(store => store.close())))

  test('by another process: none is revived, and none that is later is lost', async t => {
    const [here, elsewhere] = states as [RecordStore, RecordStore]
    const trials = 1000
    // The clock of the store is known once it has answered.
    while (here.startTime() === 0) await here.ping()
    const inAnHour = () => here.startTime() + 3_600_000_000
    let alive = 0
    let ended = 0
    for (let trial = 0; trial < trials; trial += 1) {
      const time = Math.floor(Date.now() / 1000)
      const sid = `session-${trial}`
      const begin = (startedAt: number, id: string) =>
        here.signIn({
          id,
          ticket: {
            issuer,
            subject: 'alice',
            sid,
            claims: { sub: 'alice' },
            scope: 'openid',
            signedInAt: time,
            expiresAt: time + 3600,
          },
          tokens: { scope: 'openid' },
          previous: [],
          keep: [],
          time: { startedAt, grantedAt: time },
        })
      const earlier = begin(here.startTime(), `earlier-${trial}`).then(
        () => 'signed in',
        error => error.code,
      )
      const later = begin(inAnHour(), `later-${trial}`)
      for (let count = trial % 6; count > 0; count -= 1) await elsewhere.ping()
      const query = trial % 2 === 0 ? { issuer, sid } : { issuer, subject: 'alice' }
      const logout = { issuedAt: time }
      const [outcome] = await Promise.all([earlier, later, elsewhere.endAll(query, { logout, remember: 60 })])
      if (outcome !== 'signed in') {
        assert.equal(outcome, 'ERR_OIDC_SIGN_IN_ENDED')
        ended += 1
      }
      if ((await here.load(`earlier-${trial}`)) !== undefined) alive += 1
      assert.notEqual(await here.load(`later-${trial}`), undefined, `the later sign-in of trial ${trial}`)
      await here.end(`later-${trial}`)
    }
    t.diagnostic(`${alive} of ${trials} sessions revived; ${ended} sign-ins were told, the others ended right after`)
    assert.equal(alive, 0)
  })
})
