import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { Redis } from 'ioredis'
import { createSealer } from '../../lib/store/seal.js'
import { type Agent, createAgent } from '../support/agent.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import { startTokenFixture } from '../tokens/token-fixture.js'
import { attack, cookieHeader, sessionCookiesSet, startAttempt, whoIs } from './fixture.js'

const now = () => Math.floor(Date.now() / 1000)
const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('tokens', () => {
  attack(
    'CVE-2026-107723: a token whose content is a list is refused although it is rightly signed: ID Token of either channel, logout token, userinfo',
    { oidc: { responseType: 'code id_token' }, allows: [502] },
    async ({ refuses, provider, site, victim }) => {
      const lists = (claims: object) => [[], [claims], [claims, claims], [Object.entries(claims)], [[claims]]]
      const code = 'ERR_OIDC_ID_TOKEN_MALFORMED'
      for (const index of lists({}).keys()) {
        const claims = (given: object) => lists(given)[index]
        await refuses({ what: `front ${index}`, faults: { frontIdToken: { claims } }, code })
        await refuses({ what: `back ${index}`, faults: { backIdToken: { claims } }, code, tokenRequests: 1 })
        const body = await provider.keys.sign({ sub: 'alice-0001' }, { claims })
        await refuses({
          what: `userinfo ${index}`,
          faults: { userinfo: { body, contentType: 'application/jwt' } },
          code: 'ERR_OIDC_USER_INFO_RESPONSE',
          tokenRequests: 1,
          userInfoRequests: 1,
        })
        const logoutToken = await provider.createLogoutToken({}, { claims })
        const fields = new URLSearchParams({ logout_token: logoutToken }).toString()
        const response = await send({
          url: `${site.url}/logout/backchannel`,
          method: 'POST',
          headers: form,
          body: fields,
        })
        assert.equal(response.status, 400)
        assert.equal(await whoIs({ site }, victim), 'alice-0001')
      }
    },
  )
})

describe('sign-ins', () => {
  attack(
    'CVE-2026-7507: a sign-in that an attacker has begun and a victim finishes does not sign the attacker in, with and without a cookie planted in the browser of the victim',
    {},
    async ({ site, provider }) => {
      for (const plants of [false, true]) {
        const attacker = createAgent()
        await attacker.fetch(`${site.url}/session?cart=planted`, { method: 'POST', from: `${site.url}/` })
        const start = await attacker.open(`${site.url}/claims`, { redirect: 'manual' })
        const before = cookieHeader({ site }, attacker)
        const victim = createAgent()
        if (plants) plant(victim, site.url, before)
        // The link of the attacker leads to the provider, where the victim is known.
        await victim.visit(String(start.headers.location))
        assert.equal(await whoIs({ site }, victim), plants ? 'alice-0001' : undefined)
        assert.equal(await whoIs({ site }, attacker), undefined, 'the attacker is signed in')
        const stolen = await send({ url: `${site.url}/user`, headers: { cookie: before } })
        assert.equal((JSON.parse(stolen.text) as { user: unknown }).user, null)
        if (plants) {
          const { text } = await send({
            url: `${site.url}/session`,
            headers: { cookie: cookieHeader({ site }, victim) },
          })
          assert.equal(text.includes('planted'), false)
        }
        provider.heal()
      }
    },
  )
})

function plant(agent: Agent, url: string, cookies: string): void {
  for (const pair of cookies.split('; ')) {
    agent.jar.set(url, `${pair}; Path=/; Secure; HttpOnly; SameSite=None`, {
      method: 'GET',
      isTopLevel: true,
      initiator: undefined,
    })
  }
}

describe('responses', () => {
  test('CVE-2026-22751: a response that several browsers post at once, to several processes, signs in one of them, once', async () => {
    const redis = await startRedis()
    const provider = await startHostileProvider()
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret, redis: redis.url, secret: secret('shared secret') }
    const first = await startSite({ oidc })
    const second = await startSite({ oidc: { ...oidc, baseUrl: first.url } })
    try {
      for (let round = 0; round < 5; round += 1) {
        const before = provider.count('token')
        const owner = createAgent()
        const fields = await startAttempt({ site: first }, owner)
        const cookie = cookieHeader({ site: first }, owner)
        const bring = (index: number) =>
          createAgent().post(`${[first, second][index % 2]?.url}/callback`, fields, {
            from: issuer,
            headers: index < 6 ? { cookie } : {},
            redirect: 'manual',
          })
        const responses = await Promise.all([...Array(12).keys()].map(bring))
        assert.equal(provider.count('token') - before, 1, 'the code was redeemed once')
        const sessions = (from: number, to: number) =>
          new Set(responses.slice(from, to).flatMap(page => sessionCookiesSet(page).map(text => text.split(';')[0])))
        assert.equal(sessions(0, 6).size, 1)
        assert.equal(sessions(6, 12).size, 0, 'a browser without the cookie that binds the attempt')
      }
    } finally {
      await Promise.all([first.close(), second.close()])
      await provider.close()
      await redis.stop()
    }
  })
})

describe('requests', () => {
  const asked = { falsy: 0, empty: '', list: ['0', ''], nothing: {}, max_age: 0 }
  const routes = (app: Express) =>
    void app.get('/ask', (req, _res, next) => void req.oidc.login({ params: asked, returnTo: '/user' }).catch(next))

  attack(
    'parameters that are zero or empty are sent as they are, and max_age=0 among them is enforced',
    { site: { routes } },
    async ({ site, provider }) => {
      const agent = createAgent()
      await agent.visit(`${site.url}/ask`)
      assert.equal(await whoIs({ site }, agent), 'alice-0001')
      const { query } = provider.requestsTo('authorize').at(-1) ?? {}
      const { falsy, empty, list, nothing, prompt } = query ?? {}
      assert.deepEqual([falsy, empty, list, nothing, prompt], ['0', '', '0 ', '{}', 'login'])
      const old = (claims: object) => ({ ...claims, auth_time: now() - 100 })
      provider.break({ frontIdToken: old, backIdToken: old })
      await createAgent().visit(`${site.url}/ask`)
      assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_AUTH_TIME')
    },
  )
})

describe('records', () => {
  test('a record that a newer version of this package wrote is read where it can be and left alone otherwise, and what is unknown in it stays', async () => {
    const redis = await startRedis()
    const sealing = secret('shared secret')
    const fixture = await startTokenFixture({ oidc: { redis: redis.url, secret: sealing } })
    const { site, agent, provider } = fixture
    const client = new Redis(redis.url)
    try {
      await fixture.signIn()
      await agent.fetch(`${site.url}/session?cart=full`, { method: 'POST', from: `${site.url}/claims` })
      const keys = await client.keys('oidc:*')
      const types = await Promise.all(keys.map(async key => [key, await client.hexists(key, 't').catch(() => 0)]))
      const key = String(types.find(([, found]) => found === 1)?.[0])
      const user = () => whoIs({ site }, agent)
      assert.equal(await user(), 'alice-0001')

      const sid = decodeURIComponent(agent.cookies(site.url).find(({ name }) => name === 'sid')?.value ?? '')
      const id = sid.slice(0, sid.lastIndexOf('.'))
      const sealer = createSealer([sealing], JSON.stringify([provider.issuer, provider.clientId]))
      const ticket = async () => {
        const sealed = (await client.hgetBuffer(key, 't')) ?? Buffer.alloc(0)
        return JSON.parse(String(sealer.open('ticket', id, sealed))) as Record<string, unknown>
      }
      await client.hset(key, 'z', 'of tomorrow')
      await client.hset(key, 't', sealer.seal('ticket', id, JSON.stringify({ ...(await ticket()), later: { a: 1 } })))
      fixture.advance(300)
      assert.equal((await fixture.token()).status, 200)
      await agent.fetch(`${site.url}/session?cart=fuller`, { method: 'POST', from: `${site.url}/claims` })
      assert.deepEqual((await ticket()).later, { a: 1 }, 'a refresh keeps what it does not know')
      assert.equal(await client.hget(key, 'z'), 'of tomorrow')

      const known = (await client.hgetBuffer(key, 't')) ?? Buffer.alloc(0)
      const newer = Buffer.from(known)
      newer[0] = 2
      await client.hset(key, 't', newer)
      const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
      assert.deepEqual([page.status, page.json<{ user: unknown }>().user], [200, null])
      assert.deepEqual(sessionCookiesSet(page), [], 'the cookie is left alone')
      assert.deepEqual(await client.hgetBuffer(key, 't'), newer, 'the record is left alone')
      await client.hset(key, 't', known)
      assert.equal(await user(), 'alice-0001')
    } finally {
      client.disconnect()
      await fixture.close()
      await redis.stop()
    }
  })
})
