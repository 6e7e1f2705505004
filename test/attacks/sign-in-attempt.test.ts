import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { createAgent } from '../support/agent.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import { attack, cookieHeader, sessionCookiesSet, startAttempt, whoIs } from './fixture.js'

/** A user who is not alice signs in at the provider from now on. */
const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob-0002', name: 'Bob' })
const bob = { frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob }

describe('tabs that start at once, each without the cookie of the others', () => {
  attack(
    'all of them sign in and return to their pages, whichever set the cookie last',
    {},
    async ({ site, provider }) => {
      const browser = createAgent()
      const tabs = Array.from({ length: 30 }, () => browser.tab())
      const page = (index: number) => `${site.url}/claims?tab=${index}${'a'.repeat(index * 60)}`
      const starts = await Promise.all(tabs.map((_, index) => createAgent().open(page(index), { redirect: 'manual' })))
      for (const start of starts) {
        for (const cookie of start.hops[0]?.setCookies ?? []) {
          browser.jar.set(site.url, cookie, { method: 'GET', isTopLevel: true, initiator: undefined })
        }
      }
      for (const [index, tab] of tabs.entries()) {
        const landed = await tab.visit(starts[index]?.hops[0]?.location ?? '')
        assert.equal(landed.url, page(index), landed.text)
        assert.equal(landed.status, 200)
      }
      assert.ok(cookieHeader({ site }, browser).length < 500)
      assert.ok(provider.count('authorize') <= 61, `${provider.count('authorize')} authorization requests`)
      assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 2, 'with that of the victim')
    },
  )
})

describe('a response in another browser than the one it was meant for', () => {
  attack(
    'within a minute of its first cookie a victim is at most signed in as herself, and never as the attacker',
    {},
    async ({ site, provider, evil }) => {
      const [attacker, victim] = [createAgent(), createAgent()]
      await startAttempt({ site }, victim)
      provider.break(bob)
      const fields = await startAttempt({ site }, attacker)
      provider.heal()
      const page = await victim.post(`${site.url}/callback`, fields, { from: `${evil.url}/` })
      assert.deepEqual(sessionCookiesSet(page), [])
      assert.equal(await whoIs({ site }, victim), undefined)
      await victim.submitForm()
      assert.equal(await whoIs({ site }, victim), 'alice-0001')
    },
  )

  attack('a response without a cookie never starts a sign-in', {}, async ({ site, provider }) => {
    const fields = await startAttempt({ site }, createAgent())
    const before = provider.requests.length
    const stranger = createAgent()
    for (const cookie of [undefined, 'x=1', '__Host-oidc.x=1']) {
      const headers = { ...(cookie && { cookie }) }
      const page = await stranger.post(`${site.url}/callback`, fields, { from: provider.issuer, headers })
      assert.deepEqual([page.status, site.lastCode()], [400, 'ERR_OIDC_TRANSACTION_MISSING'])
      assert.deepEqual(page.hops[0]?.setCookies, [])
    }
    assert.equal(provider.requests.length, before)
  })

  attack('a state and a cookie of another secret are named in the error, each by itself', {}, async ({ provider }) => {
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret }
    const here = await startSite({ oidc })
    const there = await startSite({ oidc: { ...oidc, baseUrl: here.url, secret: secret('another secret') } })
    try {
      const agent = createAgent()
      const fields = await startAttempt({ site: here }, agent)
      const headers = { cookie: cookieHeader({ site: here }, agent) }
      for (const [cookies, said] of [
        [headers, /neither "state" nor the cookie can be opened.*the same "secret"/],
        [{}, /"state" cannot be opened.*another "secret"/],
      ] as const) {
        await createAgent().post(`${there.url}/callback`, fields, { from: issuer, headers: cookies })
        assert.match(String(there.errors.at(-1)), said)
      }
      const other = createAgent()
      await startAttempt({ site: there }, other)
      const foreign = { cookie: cookieHeader({ site: there }, other) }
      await createAgent().post(`${here.url}/callback`, fields, { from: issuer, headers: foreign })
      assert.match(String(here.errors.at(-1)), /the cookie of this sign-in cannot be opened.*another "secret"/)
      const response = await createAgent().post(`${here.url}/callback`, fields, { from: issuer })
      assert.equal(response.status, 400)
      assert.match(String(here.errors.at(-1)), /cookie .* is missing/)
    } finally {
      await here.close()
      await there.close()
    }
  })

  attack('two sites on one host leave the cookies of each other alone', {}, async ({ provider }) => {
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret }
    const [one, two] = [await startSite({ oidc }), await startSite({ oidc: { ...oidc, secret: secret('of two') } })]
    try {
      const agent = createAgent()
      const first = await startAttempt({ site: one }, agent)
      const second = await startAttempt({ site: two }, agent.tab())
      for (const [site, fields] of [
        [one, first],
        [two, second],
      ] as const) {
        const page = await agent.post(`${site.url}/callback`, fields, { from: issuer, redirect: 'manual' })
        assert.equal(page.status, 303, page.text)
      }
    } finally {
      await one.close()
      await two.close()
    }
  })
})

describe('a response to an attempt that was used', () => {
  attack(
    'Alice signs in and goes Back, Bob signs in on that login page: he gets a session of Bob',
    {},
    async ({ site, provider }) => {
      const ended: unknown[] = []
      site.app.locals.ended = ended
      const browser = createAgent()
      const ofAlice = await startAttempt({ site }, browser)
      const state = ofAlice.find(([name]) => name === 'state')?.[1]
      await browser.submitForm()
      assert.equal(await whoIs({ site }, browser), 'alice-0001')
      provider.break(bob)
      const authorize = provider.requestsTo('authorize').find(({ query }) => query.state === state)
      await browser.open(`${provider.issuer}/authorize${authorize?.search}`, { from: null })
      const page = await browser.visit(browser.page?.url ?? '')
      assert.equal(page.status, 200, page.text)
      assert.equal(await whoIs({ site }, browser), 'bob-0002')
      assert.match(site.log.join('\n'), /has replaced the session of another user/)
    },
  )

  attack(
    'the same response gets the same session again, and a session that has ended is not restored',
    {},
    async ({ site, provider }) => {
      const browser = createAgent()
      const earlier = (await site.oidc.sessions.list({ sub: 'alice-0001' })).map(({ handle }) => handle)
      const fields = await startAttempt({ site }, browser)
      const first = await browser.post(`${site.url}/callback`, fields, { from: provider.issuer, redirect: 'manual' })
      const second = await browser.post(`${site.url}/callback`, fields, { from: provider.issuer, redirect: 'manual' })
      const cookies = [first, second].map(page => sessionCookiesSet(page)[0]?.split(';')[0])
      assert.ok(cookies[0])
      assert.equal(cookies[0], cookies[1])
      const handles = async () => (await site.oidc.sessions.list({ sub: 'alice-0001' })).map(({ handle }) => handle)
      const [handle = ''] = (await handles()).filter(name => !earlier.includes(name))
      await site.oidc.sessions.revoke({ handle, sub: 'alice-0001' })
      const third = await browser.post(`${site.url}/callback`, fields, { from: provider.issuer, redirect: 'manual' })
      assert.deepEqual([third.status, sessionCookiesSet(third)], [303, []])
      assert.equal(await whoIs({ site }, browser), undefined)
    },
  )

  attack('garbage, errors and refusals leave nothing in Redis, and the attempt open', {}, async ({ provider }) => {
    const redis = await startRedis()
    const { issuer, clientId, clientSecret } = provider
    let refuses = true
    const hooks = {
      signIn: () => {
        if (refuses) throw new RangeError('not you')
        return undefined
      },
    }
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, redis: redis.url, hooks } })
    try {
      const browser = createAgent()
      const fields = await startAttempt({ site }, browser)
      const post = (changed: typeof fields) =>
        browser.post(`${site.url}/callback`, changed, { from: issuer, redirect: 'manual' })
      const change = (name: string, value: string) =>
        fields.map(field => (field[0] === name ? ([name, value] as const) : field))
      for (const changed of [
        change('code', 'x'),
        change('id_token', 'x'),
        [
          ['state', fields.find(([name]) => name === 'state')?.[1] ?? ''],
          ['error', 'access_denied'],
        ] as const,
      ]) {
        assert.ok((await post([...changed])).status >= 400)
        assert.equal(await redis.command('dbsize'), 0)
      }
      assert.equal((await post(fields)).status, 500, 'the hook refuses')
      assert.equal(await redis.command('dbsize'), 0)
      refuses = false
      const again = createAgent({ jar: browser.jar })
      assert.equal((await again.visit(`${site.url}/claims`)).status, 200)
    } finally {
      await site.close()
      await redis.stop()
    }
  })
})

describe('a sign-out', () => {
  attack(
    'ends what was begun before it, at the provider too, here only or by the site itself, and the page says why',
    {},
    async ({ site, provider }) => {
      for (const [path, method] of [
        ['/logout', 'GET'],
        ['/logout?local=1', 'GET'],
        ['/session', 'DELETE'],
      ] as const) {
        const browser = createAgent()
        await browser.visit(`${site.url}/claims`)
        const other = browser.tab()
        await other.open(`${site.url}/login?returnTo=/claims`)
        const fields = other.page?.forms[0]?.fields ?? []
        await browser.open(`${site.url}/`)
        if (method === 'GET') await browser.open(site.url + path, { redirect: 'manual' })
        else await browser.fetch(site.url + path, { method })
        const late = await browser.post(`${site.url}/callback`, fields, { from: provider.issuer, redirect: 'manual' })
        assert.deepEqual([late.status, site.lastCode()], [400, 'ERR_OIDC_SIGN_IN_ENDED'], path)
        assert.equal(await whoIs({ site }, browser), undefined, path)
        await browser.visit(`${site.url}/claims`)
        assert.equal(await whoIs({ site }, browser), 'alice-0001', path)
      }
    },
  )
})

describe('a browser that goes round in circles', () => {
  attack(
    'is stopped after the second round where its session cookie does not come back',
    {},
    async ({ site, provider }) => {
      const browser = createAgent()
      const before = provider.count('authorize')
      let page = await browser.open(`${site.url}/claims`, { redirect: 'manual' })
      for (let hop = 0; hop < 20 && (page.hops[0]?.location || page.forms[0]); hop += 1) {
        browser.jar.remove('sid')
        const { location } = page.hops[0] ?? {}
        page = location
          ? await browser.open(location, { redirect: 'manual', from: page.url })
          : await browser.submitForm({}, { redirect: 'manual' })
      }
      assert.deepEqual([page.status, site.lastCode()], [400, 'ERR_OIDC_COOKIE_NOT_KEPT'])
      assert.match(String(site.errors.at(-1)), /the cookie "sid" did not come back/)
      assert.equal(provider.count('authorize') - before, 2)
    },
  )

  attack(
    'is told to allow cookies where it keeps none, and "Start again" checks that before it goes to the provider',
    { site: { handlesErrors: false } },
    async ({ site, provider }) => {
      const start = await createAgent().open(`${site.url}/claims?x=1`)
      const fields = start.forms[0]?.fields ?? []
      const refused = await createAgent().post(`${site.url}/callback`, fields, { from: provider.issuer })
      assert.match(refused.text, /allow cookies/)
      const again = /href="([^"]*)">Start again/.exec(refused.text)?.[1]?.replaceAll('&#38;', '&') ?? ''
      assert.match(again, /returnTo=%2Fclaims%3Fx%3D1/)
      const before = provider.count('authorize')
      const first = await createAgent().open(site.url + again, { redirect: 'manual' })
      const blocked = await createAgent().open(first.hops[0]?.location ?? '', { redirect: 'manual' })
      assert.equal(blocked.status, 400)
      assert.match(blocked.text, /allow cookies/)
      assert.equal(provider.count('authorize'), before)
      const keeps = createAgent()
      assert.equal((await keeps.visit(site.url + again)).url, `${site.url}/claims?x=1`)
    },
  )
})
