import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type OidcOptions, type OidcRequest, requiresAuth, type SessionOptions } from '../../lib/index.js'
import { deviceProof } from '../../lib/session/device-route.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import {
  challengeOf,
  createDevice,
  type Device,
  findOffer,
  type Offer,
  offerOf,
  postProof,
  refresh,
  register,
} from '../support/device.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

/** Sessions that are bound to a key of their browser, with a browser whose key is made here. The real one: `device-in-a-browser.test.ts`. */

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

interface Browser extends Fixture {
  readonly device: Device
  readonly clock: { ahead: number }
  /** Of the keys in Redis. */
  readonly prefix: string
  /** Another browser, whose cookies expire by the same clock. */
  newAgent(): Agent
  signIn(agent?: Agent): Promise<{ page: Page; offer: Offer; url: string }>
  /** Signs in and registers the key. */
  bind(agent?: Agent, device?: Device): Promise<{ identifier: string; url: string; page: Page }>
}

let count = 0

function inBrowser(
  options: { session?: SessionOptions; oidc?: OidcOptions; handlesErrors?: boolean },
  run: (browser: Browser) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const clock = { ahead: 0 }
    const now = () => Date.now() + clock.ahead * 1000
    count += 1
    const prefix = `device-${count}:`
    const fixture = await openFixture({
      oidc: {
        redis: redis.url,
        redisPrefix: prefix,
        session: { deviceBound: 'when-possible', ...options.session },
        now: () => new Date(now()),
        ...options.oidc,
      },
      provider: { now: () => Math.floor(now() / 1000) },
      site: {
        handlesErrors: options.handlesErrors ?? true,
        routes(app) {
          app.all('/strict', requiresAuth({ deviceBound: true }), (_req, res) => void res.send('strict'))
          app.get('/private', (req, res) => void res.json({ pencil: Reflect.get(req.session, 'pencil') ?? null }))
          app.get('/sessions', requiresAuth(), async (req, res) => {
            res.json(await fixture.site.oidc.sessions.list({ sub: (req.oidc as OidcRequest).user?.sub ?? '' }))
          })
        },
      },
    })
    const device = createDevice()
    const newAgent = () => createAgent({ now })
    const agent = newAgent()
    const signIn = async (of = agent) => {
      const page = await of.visit(`${fixture.site.url}/login?returnTo=/user`)
      assert.equal(page.status, 200, page.text)
      const offer = offerOf(page)
      return { page, offer, url: new URL(offer.path, fixture.site.url).href }
    }
    try {
      await run({
        ...fixture,
        agent,
        device,
        clock,
        prefix,
        newAgent,
        signIn,
        async bind(of = agent, by = device) {
          const { offer, url } = await signIn(of)
          const page = await register(of, url, by.prove(offer.challenge))
          assert.equal(page.status, 200, page.text)
          return { identifier: page.json<{ session_identifier: string }>().session_identifier, url, page }
        },
      })
    } finally {
      await fixture.close()
    }
  }
}

const whenPossible = {}
const required = { session: { deviceBound: 'required' } } as const

async function isSignedIn({ site }: Pick<Fixture, 'site'>, agent: Agent): Promise<boolean> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

/** Another browser that has some of the cookies of the first one. */
function thief({ newAgent, site }: Browser, from: Agent, isCopied: (name: string) => boolean): Agent {
  const agent = newAgent()
  for (const { name, value } of from.cookies(site.url)) if (isCopied(name)) setCookie(agent, site.url, name, value)
  return agent
}

function setCookie(agent: Agent, url: string, name = '', value = ''): void {
  agent.jar.set(url, `${name}=${value}; Path=/`, { method: 'GET', isTopLevel: true, initiator: undefined })
}

const isSession = (name: string) => name === 'sid'

/** Another process of the site, which shares its Redis and its clock. */
function startAnother({ provider, site, clock, prefix }: Browser, oidc: OidcOptions): Promise<Site> {
  const { issuer, clientId, clientSecret } = provider
  const shared = { issuer, clientId, clientSecret, redis: redis.url, redisPrefix: prefix, baseUrl: site.url }
  const now = () => new Date(Date.now() + clock.ahead * 1000)
  return startSite({ oidc: { ...shared, session: { deviceBound: 'when-possible' }, now, ...oidc } })
}

test('the route is none of a site that binds no sessions, and says so', async () => {
  for (const session of [false, {}])
    await assert.rejects(deviceProof({ services: { site: { session } } } as never), { code: 'ERR_OIDC_OPTIONS' })
})

describe('the offer', () => {
  test(
    'comes with the response that begins the session, and with no other',
    inBrowser(whenPossible, async browser => {
      const { agent, site } = browser
      const { page, offer } = await browser.signIn()
      assert.equal(offer.algorithms, 'ES256 RS256')
      assert.equal(offer.path, '/session/device')
      const with303 = page.hops.filter(({ headers }) => headers['secure-session-registration'] !== undefined)
      assert.deepEqual(
        with303.map(({ url, status }) => [new URL(url).pathname, status]),
        [['/callback', 303]],
      )
      assert.equal(findOffer(await agent.open(`${site.url}/claims`)), undefined)
    }),
  )

  test('is not made, and there is no route, where the option is off', async () => {
    const fixture = await openFixture()
    const page = await fixture.agent.visit(`${fixture.site.url}/claims`)
    assert.equal(findOffer(page), undefined)
    assert.equal((await postProof(fixture.agent, `${fixture.site.url}/session/device`, {})).status, 404)
    await fixture.close()
  })

  test(
    'names the path of the site, also below a router and behind a proxy',
    inBrowser(
      { oidc: { baseUrl: 'https://site.example/app', responseType: 'code', responseMode: 'query' } },
      async ({ site, agent, provider }) => {
        // The browser is the proxy here: it asks the site itself for what the public address would lead to.
        const start = await agent.open(`${site.url}/login`, { redirect: 'manual' })
        const cookie = start.hops[0]?.setCookies.map(text => text.split(';')[0]).join('; ') ?? ''
        const authorized = await agent.open(start.hops[0]?.location ?? '', { redirect: 'manual' })
        const back = new URL(authorized.hops[0]?.location ?? '')
        assert.equal(back.pathname, '/app/callback', provider.issuer)
        const { headers } = await send({ url: `${site.url}/callback${back.search}`, headers: { cookie } })
        assert.match(String(headers['secure-session-registration']), /;path="\/app\/session\/device";/)
      },
    ),
  )
})

describe('a registration', () => {
  test(
    'binds the session: a cookie for ten minutes, what the browser has to do, and a word in the list',
    inBrowser(whenPossible, async browser => {
      const { agent, site } = browser
      const { identifier, page } = await browser.bind()
      const [cookie = ''] = page.hops[0]?.setCookies ?? []
      assert.match(cookie, /^sid\.device\.[\w-]{8}=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/)
      assert.equal(page.headers['cache-control'], 'no-store')
      assert.deepEqual(page.json(), {
        session_identifier: identifier,
        refresh_url: '/session/device',
        scope: { origin: site.url, include_site: false, scope_specification: [] },
        credentials: [{ type: 'cookie', name: cookie.split('=')[0], attributes: 'Path=/; HttpOnly; SameSite=Lax' }],
      })
      const [listed] = (await agent.open(`${site.url}/sessions`)).json<{ deviceBound: boolean }[]>()
      assert.equal(listed?.deviceBound, true)
      assert.ok(!(await redis.contents()).includes(String(browser.device.jwk.x)), 'the key is sealed')
    }),
  )

  test(
    'of the same key again gets the same, and of another key is refused',
    inBrowser(whenPossible, async ({ agent, signIn, device, clock }) => {
      const { offer, url } = await signIn()
      const proof = device.prove(offer.challenge)
      assert.equal((await register(agent, url, proof)).status, 200)
      clock.ahead += 40
      assert.equal((await register(agent, url, proof)).status, 200)
      const other = await register(agent, url, createDevice().prove(offer.challenge))
      assert.deepEqual([other.status, other.hops[0]?.setCookies], [401, []])
    }),
  )

  test(
    'is refused half a minute after the sign-in: a copied cookie cannot be bound to the device of a thief',
    inBrowser(whenPossible, async ({ agent, signIn, device, clock, site }) => {
      const { offer, url } = await signIn()
      clock.ahead += 31
      assert.equal((await register(agent, url, device.prove(offer.challenge))).status, 401)
      assert.match(site.log.join('\n'), /ERR_OIDC_DEVICE_PROOF POST \/session\/device: device proof: it comes too late/)
    }),
  )

  test(
    'is refused after the session has ended',
    inBrowser(whenPossible, async ({ agent, signIn, device, site }) => {
      const { offer, url } = await signIn()
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      assert.equal((await register(agent, url, device.prove(offer.challenge))).status, 401)
    }),
  )

  test(
    'is refused without a proof, with a challenge that is none of its own, and with what another key has signed',
    inBrowser(whenPossible, async browser => {
      const { agent, signIn, device, site } = browser
      const { identifier } = await browser.bind(browser.newAgent())
      const { offer, url } = await signIn()
      const { challenge } = challengeOf(await refresh(agent, url, identifier))
      const hostile = [
        '',
        'a.b.c',
        device.prove('challenge'),
        device.prove(identifier),
        device.prove(challenge),
        device.prove(offer.challenge, { header: { jwk: createDevice().jwk } }),
        device.proveAgain(offer.challenge),
        device.prove(offer.challenge, { header: { alg: 'none' } }),
        device.prove(offer.challenge, { header: { typ: 'JWT' } }),
      ]
      for (const proof of hostile) {
        const page = await register(agent, url, proof)
        assert.deepEqual([page.status, page.hops[0]?.setCookies], [401, []], proof)
      }
      assert.equal((await postProof(agent, url, {})).status, 401)
      assert.equal(
        (await send({ url, headers: { 'secure-session-response': device.prove(offer.challenge) } })).status,
        405,
      )
      const listed = (await agent.open(`${site.url}/sessions`)).json<{ deviceBound: boolean }[]>()
      assert.deepEqual(listed.map(({ deviceBound }) => deviceBound).sort(), [false, true])
    }),
  )
})

describe('a copied cookie', () => {
  test(
    'of the session alone is worth nothing half a minute after the registration, and its owner stays signed in',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock } = browser
      await browser.bind()
      await agent.fetch(`${site.url}/session?pencil=ink`, { method: 'POST' })
      const other = thief(browser, agent, isSession)
      assert.equal(
        await isSignedIn(browser, other),
        true,
        'requests that were sent before the registration are under way',
      )
      clock.ahead += 31
      assert.equal(await isSignedIn(browser, other), false)
      assert.deepEqual((await other.fetch(`${site.url}/private`)).json(), { pencil: null })
      const script = await other.fetch(`${site.url}/claims`)
      assert.deepEqual([script.status, site.lastCode()], [401, 'ERR_OIDC_DEVICE_PROOF'])
      assert.match(site.log.join('\n'), /a session was used without the proof of its device/)
      const navigation = await other.open(`${site.url}/claims`, { redirect: 'manual' })
      assert.match(navigation.hops[0]?.location ?? '', /\/authorize\?/)
      assert.equal(await isSignedIn(browser, agent), true)
      assert.deepEqual((await agent.fetch(`${site.url}/private`)).json(), { pencil: 'ink' })
    }),
  )

  test(
    'together with that of the proof is worth ten minutes, and not more',
    inBrowser(whenPossible, async browser => {
      const { agent, clock } = browser
      await browser.bind()
      const other = thief(browser, agent, () => true)
      // Some seconds on both sides of the limit: the clock goes on while the test runs.
      clock.ahead += 625
      assert.equal(await isSignedIn(browser, other), true)
      clock.ahead += 7
      assert.equal(await isSignedIn(browser, other), false)
    }),
  )

  test(
    'of the proof of one session proves no other',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock } = browser
      await browser.bind()
      const other = browser.newAgent()
      await browser.bind(other)
      const proofOf = (of: Agent) => of.cookies(site.url).find(({ name }) => name.startsWith('sid.device.'))
      const mixed = thief(browser, agent, isSession)
      setCookie(mixed, site.url, proofOf(agent)?.name, proofOf(other)?.value)
      setCookie(mixed, site.url, proofOf(other)?.name, proofOf(other)?.value)
      clock.ahead += 31
      assert.equal(await isSignedIn(browser, mixed), false)
      assert.equal(await isSignedIn(browser, agent), true)
    }),
  )

  test(
    'opens no WebSocket',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock } = browser
      await browser.bind()
      clock.ahead += 31
      const userOf = async (of: Agent) => {
        const cookie = of
          .cookies(site.url)
          .map(({ name, value }) => `${name}=${value}`)
          .join('; ')
        return site.oidc.authenticate({ method: 'GET', url: '/socket', headers: { cookie } } as never)
      }
      assert.equal((await userOf(agent))?.sub, 'alice-0001')
      assert.equal(await userOf(thief(browser, agent, isSession)), undefined)
    }),
  )

  test(
    'can end the session, as the owner can without a proof',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock } = browser
      await browser.bind()
      const other = thief(browser, agent, isSession)
      clock.ahead += 31
      await other.open(`${site.url}/logout?local=1`)
      assert.equal(await isSignedIn(browser, agent), false)
    }),
  )
})

describe('a refresh', () => {
  test(
    'gets a challenge, and a cookie for the proof of it, once',
    inBrowser(whenPossible, async browser => {
      const { agent, device, clock } = browser
      const { identifier, url } = await browser.bind()
      clock.ahead += 700
      assert.equal(await isSignedIn(browser, agent), false)
      const asked = await refresh(agent, url, `"${identifier}"`)
      assert.deepEqual([asked.status, challengeOf(asked).identifier, asked.hops[0]?.setCookies], [403, identifier, []])
      const proof = device.proveAgain(challengeOf(asked).challenge)
      const page = await refresh(agent, url, identifier, proof)
      assert.equal(page.status, 200)
      assert.equal(page.json<{ session_identifier: string }>().session_identifier, identifier)
      assert.equal(await isSignedIn(browser, agent), true)
      const replayed = await refresh(browser.newAgent(), url, identifier, proof)
      assert.deepEqual([replayed.status, replayed.hops[0]?.setCookies], [403, []])
      assert.notEqual(challengeOf(replayed).challenge, challengeOf(asked).challenge)
    }),
  )

  test(
    'takes every challenge that is not older than two minutes, also one before the last',
    inBrowser(whenPossible, async browser => {
      const { agent, device, clock } = browser
      const { identifier, url } = await browser.bind()
      const [first, second, third] = await Promise.all(
        [1, 2, 3].map(async () => challengeOf(await refresh(agent, url, identifier)).challenge),
      )
      clock.ahead += 116
      assert.equal((await refresh(agent, url, identifier, device.proveAgain(second ?? ''))).status, 200)
      assert.equal((await refresh(agent, url, identifier, device.proveAgain(first ?? ''))).status, 200)
      clock.ahead += 6
      const late = await refresh(agent, url, identifier, device.proveAgain(third ?? ''))
      assert.equal(late.status, 403)
      assert.equal((await refresh(agent, url, identifier, device.proveAgain(challengeOf(late).challenge))).status, 200)
    }),
  )

  test(
    'that is refused gets another challenge, and signs no user out',
    inBrowser(whenPossible, async browser => {
      const { agent, device } = browser
      const { identifier, url } = await browser.bind()
      const other = await browser.bind(browser.newAgent())
      const { challenge } = challengeOf(await refresh(agent, url, identifier))
      const foreign = challengeOf(await refresh(agent, url, other.identifier)).challenge
      const hostile = [
        '',
        'a.b.c',
        device.proveAgain('challenge'),
        device.proveAgain(identifier),
        device.proveAgain(foreign),
        device.prove(challenge),
        createDevice().proveAgain(challenge),
        createDevice().prove(challenge),
        device.proveAgain(challenge, { header: { alg: 'none' } }),
        device.proveAgain(challenge, { header: { alg: 'RS256' } }),
        device.proveAgain(challenge, { header: { crit: ['jti'] } }),
        device.proveAgain(challenge, { header: { typ: undefined } }),
        device.proveAgain(challenge, { claims: { jti: [challenge] } }),
      ]
      for (const proof of hostile) {
        const page = await refresh(agent, url, identifier, proof)
        assert.deepEqual([page.status, page.hops[0]?.setCookies], [403, []], proof)
        assert.notEqual(challengeOf(page).challenge, challenge)
      }
      assert.equal(await isSignedIn(browser, agent), true)
      // None of them has used the challenge up.
      assert.equal((await refresh(agent, url, identifier, device.proveAgain(challenge))).status, 200)
    }),
  )

  test(
    'after a sign-out ends it in the browser, and brings nothing back',
    inBrowser(whenPossible, async browser => {
      const { agent, device, site } = browser
      const { identifier, url } = await browser.bind()
      const { challenge } = challengeOf(await refresh(agent, url, identifier))
      await agent.open(`${site.url}/logout?local=1`)
      for (const proof of [undefined, device.proveAgain(challenge)]) {
        const page = await refresh(agent, url, identifier, proof)
        assert.deepEqual([page.status, page.hops[0]?.setCookies], [200, []])
        assert.deepEqual(page.json(), { session_identifier: identifier, continue: false })
      }
      assert.equal(await isSignedIn(browser, agent), false)
    }),
  )

  test(
    'of a session that is not bound, and of one that is none of this site, ends in the browser',
    inBrowser(whenPossible, async browser => {
      const { agent } = browser
      const { offer, url } = await browser.signIn()
      for (const identifier of [offer.challenge, 'unknown'])
        assert.deepEqual((await refresh(agent, url, identifier)).json(), {
          session_identifier: identifier,
          continue: false,
        })
      for (const identifier of ['', 'a b', 'a'.repeat(600)])
        assert.equal((await refresh(agent, url, identifier)).status, 401)
    }),
  )

  test(
    'does not extend the session, and is no use of it',
    inBrowser({ session: { idle: 900 } }, async browser => {
      const { agent, device, clock } = browser
      const { identifier, url } = await browser.bind()
      clock.ahead += 600
      const { challenge } = challengeOf(await refresh(agent, url, identifier))
      assert.equal((await refresh(agent, url, identifier, device.proveAgain(challenge))).status, 200)
      assert.ok(await isSignedIn(browser, agent))
    }),
  )
})

describe('a session that a sign-in takes the place of', () => {
  test(
    'has a proof of its own, which cannot replace that of the new one',
    inBrowser(whenPossible, async browser => {
      const { agent, device, clock, site } = browser
      const earlier = await browser.bind()
      const later = await browser.bind(agent, createDevice())
      assert.notEqual(later.identifier, earlier.identifier)
      clock.ahead += 31
      assert.equal(await isSignedIn(browser, agent), true)
      const names = agent.cookies(site.url).filter(({ name }) => name.startsWith('sid.device.'))
      assert.equal(names.length, 2)
      const page = await refresh(agent, earlier.url, earlier.identifier, device.proveAgain('x'))
      assert.deepEqual(page.json(), { session_identifier: earlier.identifier, continue: false })
    }),
  )
})

describe('with "when-possible"', () => {
  test(
    'a browser without a key goes on as before',
    inBrowser(whenPossible, async browser => {
      await browser.signIn()
      browser.clock.ahead += 3600
      assert.equal(await isSignedIn(browser, browser.agent), true)
      assert.equal((await browser.agent.open(`${browser.site.url}/claims`)).status, 200)
    }),
  )
})

describe('with "required"', () => {
  test(
    'a browser without a key is refused half a minute after the sign-in, with a code',
    inBrowser(required, async browser => {
      const { agent, site, clock } = browser
      await browser.signIn()
      clock.ahead += 26
      assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
      clock.ahead += 6
      for (const page of [
        await agent.open(`${site.url}/claims`, { redirect: 'manual' }),
        await agent.fetch(`${site.url}/claims`),
      ]) {
        assert.deepEqual([page.status, site.lastCode()], [403, 'ERR_OIDC_DEVICE_REQUIRED'])
      }
      assert.equal(await isSignedIn(browser, agent), false)
      assert.match(
        site.log.join('\n'),
        /session\.deviceBound is "required", but browsers bind no session on plain http/,
      )
    }),
  )

  test(
    'the page says what the user can do',
    inBrowser({ ...required, handlesErrors: false }, async ({ agent, site, clock, signIn }) => {
      await signIn()
      clock.ahead += 31
      const page = await agent.open(`${site.url}/claims`)
      assert.equal(page.status, 403)
      assert.match(page.text, /This page needs a browser that can protect your session with a key of this device/)
    }),
  )

  test(
    'a browser with a key is signed in',
    inBrowser(required, async browser => {
      await browser.bind()
      browser.clock.ahead += 31
      assert.equal(await isSignedIn(browser, browser.agent), true)
    }),
  )

  test(
    'a session from before the option signs in again, and is not refused',
    inBrowser(required, async browser => {
      const { agent, clock } = browser
      const shared = { redis: redis.url, redisPrefix: `device-${count}:`, secret: secret('shared secret') }
      const start = (session: SessionOptions, port?: number) =>
        startSite({
          oidc: {
            issuer: browser.provider.issuer,
            clientId: browser.provider.clientId,
            clientSecret: browser.provider.clientSecret,
            now: () => new Date(Date.now() + clock.ahead * 1000),
            ...shared,
            session,
          },
          ...(port !== undefined && { port }),
        })
      const before = await start({})
      await agent.visit(`${before.url}/claims`)
      await before.close()
      const later = await start({ deviceBound: 'required' }, Number(new URL(before.url).port))
      clock.ahead += 31
      const page = await agent.open(`${later.url}/claims`, { redirect: 'manual' })
      assert.match(page.hops[0]?.location ?? page.text, /\/authorize\?/)
      assert.equal((await agent.fetch(`${later.url}/claims`)).status, 401)
      assert.equal(later.lastCode(), 'ERR_OIDC_LOGIN_REQUIRED')
      await later.close()
    }),
  )
})

describe('requiresAuth({ deviceBound: true })', () => {
  test(
    'makes a page wait for the key, and a script and a form try again',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock } = browser
      await browser.signIn()
      const page = await agent.open(`${site.url}/strict`)
      assert.deepEqual([page.status, page.headers.refresh, page.headers['cache-control']], [401, '1', 'no-store'])
      assert.match(page.text, /One moment/)
      for (const refused of [await agent.fetch(`${site.url}/strict`), await agent.post(`${site.url}/strict`, {})])
        assert.deepEqual([refused.status, site.lastCode()], [401, 'ERR_OIDC_DEVICE_PROOF'])
      clock.ahead += 31
      assert.equal((await agent.open(`${site.url}/strict`)).status, 403)
      assert.equal(site.lastCode(), 'ERR_OIDC_DEVICE_REQUIRED')
      assert.equal((await agent.open(`${site.url}/claims`)).status, 200, 'other pages do not need it')
    }),
  )

  test(
    'lets the device pass from the registration on, and sends a copied cookie away at once',
    inBrowser(whenPossible, async browser => {
      const { agent, site } = browser
      await browser.bind()
      assert.equal((await agent.open(`${site.url}/strict`)).text, 'strict')
      const other = thief(browser, agent, isSession)
      assert.equal((await other.fetch(`${site.url}/strict`)).status, 401)
    }),
  )

  test(
    'starts a sign-in where no user is signed in',
    inBrowser(whenPossible, async ({ agent, site }) => {
      const page = await agent.open(`${site.url}/strict`, { redirect: 'manual' })
      assert.match(page.hops[0]?.location ?? '', /\/authorize\?/)
    }),
  )

  test('is a mistake where no session is bound', async () => {
    const fixture = await openFixture({
      site: { routes: app => app.get('/strict', requiresAuth({ deviceBound: true }), (_req, res) => void res.end()) },
    })
    assert.equal((await fixture.agent.open(`${fixture.site.url}/strict`)).status, 500)
    assert.equal(fixture.site.lastCode(), 'ERR_OIDC_OPTIONS')
    assert.throws(() => fixture.site.oidc.requiresAuth({ deviceBound: true }), { code: 'ERR_OIDC_OPTIONS' })
    await fixture.close()
  })
})

describe('a link of another site, after the proof has expired', () => {
  test(
    'gets a page that loads itself once, because the browser proves nothing on the way',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock, device } = browser
      const { identifier, url } = await browser.bind()
      clock.ahead += 700
      const from = { from: 'https://elsewhere.example/' }
      const page = await agent.click(`${site.url}/claims`, { ...from, redirect: 'manual' })
      assert.deepEqual([page.status, page.headers.refresh], [401, '0'])
      const { challenge } = challengeOf(await refresh(agent, url, identifier))
      await refresh(agent, url, identifier, device.proveAgain(challenge))
      assert.equal((await agent.click(`${site.url}/claims`)).status, 200)
    }),
  )

  test(
    'goes to the sign-in where that did not help',
    inBrowser(whenPossible, async browser => {
      const { agent, site, clock } = browser
      await browser.bind()
      clock.ahead += 700
      const click = () => agent.click(`${site.url}/claims`, { from: 'https://elsewhere.example/', redirect: 'manual' })
      assert.equal((await click()).status, 401)
      assert.match((await click()).hops[0]?.location ?? '', /\/authorize\?/)
    }),
  )
})

describe('several processes and a Redis that is away', () => {
  test(
    'one registers, another refreshes, a third one has the page',
    inBrowser(whenPossible, async browser => {
      const shared = { redis: redis.url, redisPrefix: `device-${count}:`, secret: secret('secret of three processes') }
      const { provider, device, newAgent } = browser
      const sites: Site[] = []
      const baseUrl = browser.site.url
      for (const _ of [1, 2, 3])
        sites.push(
          await startSite({
            oidc: {
              issuer: provider.issuer,
              clientId: provider.clientId,
              clientSecret: provider.clientSecret,
              session: { deviceBound: 'required' },
              now: () => new Date(Date.now() + browser.clock.ahead * 1000),
              ...shared,
              baseUrl,
            },
          }),
        )
      // Cookies do not tell ports apart: the browser shows each of them what another one has set.
      const [one, two, three] = sites.map(({ url }) => url)
      const agent = newAgent()
      const start = await agent.open(`${one}/login?returnTo=/user`)
      const action = start.forms[0]?.action ?? ''
      assert.ok(action.startsWith(baseUrl), action)
      const landed = await agent.post(action.replace(baseUrl, two ?? ''), start.forms[0]?.fields ?? [], {
        redirect: 'manual',
      })
      const offer = offerOf(landed)
      const registered = await register(agent, `${three}${offer.path}`, device.prove(offer.challenge))
      const { session_identifier: identifier } = registered.json<{ session_identifier: string }>()
      browser.clock.ahead += 700
      const { challenge } = challengeOf(await refresh(agent, `${one}${offer.path}`, identifier))
      assert.equal((await refresh(agent, `${two}${offer.path}`, identifier, device.proveAgain(challenge))).status, 200)
      assert.equal(
        (await refresh(agent, `${three}${offer.path}`, identifier, device.proveAgain(challenge))).status,
        403,
      )
      const page = await agent.fetch(`${three}/user`, { from: `${three}/` })
      assert.equal(page.json<{ isAuthenticated: boolean }>().isAuthenticated, true)
      for (const site of sites) await site.close()
    }),
  )

  test('a copied cookie without its proof keeps no session alive, in whichever process; with the proof it does', async () => {
    const common = secret('secret of both processes')
    const session = { deviceBound: 'when-possible', idle: 900 } as const
    await inBrowser({ session, oidc: { secret: common } }, async browser => {
      const { agent, site, clock } = browser
      await browser.bind()
      const another = await startAnother(browser, { session, secret: common })
      try {
        const lastSeenAt = async () => (await site.oidc.sessions.list({ sub: 'alice-0001' }))[0]?.lastSeenAt
        const before = await lastSeenAt()
        clock.ahead += 200
        const other = thief(browser, agent, isSession)
        for (const { url } of [site, another, site, another]) {
          const page = await other.fetch(`${url}/user`, { from: `${url}/` })
          assert.equal(page.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
          await other.open(`${url}/claims`, { redirect: 'manual' })
        }
        const cookie = other.cookies(site.url).map(({ name, value }) => `${name}=${value}`)
        const upgrade = { method: 'GET', url: '/socket', headers: { cookie: cookie.join('; ') } }
        assert.equal(await another.oidc.authenticate(upgrade as never), undefined)
        // A write that one of them has begun is there before the reply to this.
        for (const { oidc } of [site, another]) await oidc.health()
        assert.equal(await lastSeenAt(), before)
        assert.equal(await isSignedIn(browser, agent), true)
        await until('the request of the owner has extended it', async () => (await lastSeenAt()) !== before)
      } finally {
        await another.close()
      }
    })()
  })

  test('the secret is replaced: keys, cookies, names and challenges of the old one count, as long as it is in the list', async () => {
    const [old, fresh] = [secret('secret of last year'), secret('secret of this year')]
    await inBrowser({ oidc: { secret: old } }, async browser => {
      const { agent, site, clock, device, newAgent } = browser
      const { identifier, url } = await browser.bind()
      const { challenge } = challengeOf(await refresh(agent, url, identifier))
      const later = newAgent()
      const { offer } = await browser.signIn(later)
      const both = await startAnother(browser, { secret: [fresh, old] })
      const only = await startAnother(browser, { secret: fresh })
      try {
        const at = (of: Site) => `${of.url}/session/device`
        const isSignedInAt = async (of: Site, by: Agent) =>
          (await by.fetch(`${of.url}/user`, { from: `${of.url}/` })).json<{ isAuthenticated: boolean }>()
            .isAuthenticated
        assert.equal((await register(later, at(both), createDevice().prove(offer.challenge))).status, 200)
        clock.ahead += 60
        assert.equal(await isSignedInAt(both, agent), true, 'the cookie is of the old secret')
        assert.equal(await isSignedInAt(both, thief(browser, agent, isSession)), false)
        assert.equal(await isSignedInAt(only, agent), false)
        const proof = device.proveAgain(challenge)
        assert.deepEqual((await refresh(agent, at(only), identifier, proof)).json(), {
          session_identifier: identifier,
          continue: false,
        })
        assert.equal((await refresh(agent, at(both), identifier, proof)).status, 200)
        clock.ahead += 590
        assert.equal(await isSignedInAt(both, agent), true, 'the cookie is of the new secret')
        assert.equal(await isSignedInAt(site, agent), false, 'which a process that has only the old one cannot read')
      } finally {
        await both.close()
        await only.close()
      }
    })()
  })

  test('while Redis is away the browser is told to try again, and nothing is lost', async () => {
    const own = await startRedis()
    try {
      await inBrowser({ oidc: { redis: own.url, timeouts: { redis: 300 } } }, async browser => {
        const { agent, device, clock } = browser
        const { identifier, url } = await browser.bind()
        const { offer } = await browser.signIn(browser.newAgent())
        clock.ahead += 700
        const { challenge } = challengeOf(await refresh(agent, url, identifier))
        own.pause()
        try {
          const proof = device.proveAgain(challenge)
          for (const page of [
            await refresh(agent, url, identifier, proof),
            await register(agent, url, device.prove(offer.challenge)),
          ])
            assert.deepEqual([page.status, page.headers['retry-after'], page.hops[0]?.setCookies], [503, '5', []])
        } finally {
          own.resume()
        }
        const again = challengeOf(await refresh(agent, url, identifier)).challenge
        assert.equal((await refresh(agent, url, identifier, device.proveAgain(again))).status, 200)
        assert.equal(await isSignedIn(browser, agent), true)
      })()
    } finally {
      await own.stop()
    }
  })
})

describe('the options', () => {
  const cases: readonly [name: string, options: OidcOptions, message: RegExp][] = [
    [
      'another word',
      { session: { deviceBound: 'always' as never } },
      /session\.deviceBound must be "when-possible", "required" or false/,
    ],
    ['true', { session: { deviceBound: true as never } }, /session\.deviceBound must be/],
    [
      'a proof of five minutes less a second',
      { session: { deviceBound: 'required', deviceProofLifetime: 299 } },
      /session\.deviceProofLifetime/,
    ],
    [
      'a proof of more than an hour',
      { session: { deviceBound: 'required', deviceProofLifetime: 3601 } },
      /session\.deviceProofLifetime/,
    ],
    ['a lifetime of proofs that there are not', { session: { deviceProofLifetime: 600 } }, /set session\.deviceBound/],
    ['a route for what is off', { routes: { deviceProof: '/device' } }, /set session\.deviceBound/],
    [
      'no route for what is on',
      { session: { deviceBound: 'required' }, routes: { deviceProof: false } },
      /needs routes\.deviceProof/,
    ],
    [
      'the route of another one',
      { session: { deviceBound: 'required' }, routes: { deviceProof: '/login' } },
      /have the same path/,
    ],
  ]
  for (const [name, oidc, message] of cases)
    test(`refuse ${name}`, async () => {
      await assert.rejects(openFixture({ oidc }), { code: 'ERR_OIDC_OPTIONS', message })
    })

  test(
    'take another path, and another lifetime',
    inBrowser(
      { session: { deviceProofLifetime: 300 }, oidc: { routes: { deviceProof: '/auth/device' } } },
      async browser => {
        const { page } = await browser.bind()
        assert.equal(page.json<{ refresh_url: string }>().refresh_url, '/auth/device')
        assert.match(page.hops[0]?.setCookies[0] ?? '', /Max-Age=300;/)
        browser.clock.ahead += 331
        assert.equal(await isSignedIn(browser, browser.agent), false)
      },
    ),
  )
})
