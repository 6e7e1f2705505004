import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import express, { type Express, type Request, type RequestHandler } from 'express'
import session, { type Cookie } from 'express-session'
import fc from 'fast-check'
import { type OidcOptions, openIdConnect } from '../../lib/index.js'
import { captureCookie, changedAttributes, changedLifetime } from '../../lib/store/session-cookie-lifetime.js'
import { StoreFixture, startOfTest, ticket, tokens } from '../store/fixtures.js'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

// `req.session.cookie`: what is read and written, beside express-session, and what a write does to the session.

const hour = 3600
const day = 24 * hour
const lifetime = 2 * day

/** What a site does with the cookie. */
type Write =
  | { readonly op: 'maxAge'; readonly ms: number | null }
  | { readonly op: 'expires'; readonly inMs: number | null | false }
  | { readonly op: 'touch' | 'read' }

function write({ session }: Request, step: Write): void {
  const { cookie } = session
  if (step.op === 'maxAge') cookie.maxAge = step.ms as number
  if (step.op === 'expires') {
    const { inMs } = step
    cookie.expires = (typeof inMs === 'number' ? new Date(Date.now() + inMs) : inMs) as Date
  }
  if (step.op === 'touch') session.touch()
}

interface Seen {
  readonly fields: object
  /** Those that depend on the moment, in milliseconds from now. */
  readonly times: readonly unknown[]
  readonly json: readonly string[]
}

function look({ session: { cookie } }: Request): Seen {
  const { httpOnly, path, sameSite, secure, domain, originalMaxAge, maxAge, expires } = cookie
  const fromNow = expires instanceof Date ? expires.getTime() - Date.now() : expires
  const json = JSON.parse(JSON.stringify(cookie))
  return {
    fields: { httpOnly, path, sameSite, secure, domain },
    times: [originalMaxAge, maxAge, fromNow].map(time => time ?? null),
    json: Object.keys(json).sort(),
  }
}

interface Side {
  readonly url: string
  close(): Promise<void>
}

async function startSide(mount: (app: Express, url: string) => () => Promise<unknown>): Promise<Side> {
  const app = express()
  const server = createServer(app)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  const stop = mount(app, url)
  const play: RequestHandler = (req, res) => {
    const steps = JSON.parse(String(req.query.steps)) as Write[]
    Object.assign(req.session, { used: true })
    res.json([
      look(req),
      ...steps.map(step => {
        write(req, step)
        return look(req)
      }),
    ])
  }
  app.get('/play', play)
  return {
    url,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      await stop()
    },
  }
}

const steps: fc.Arbitrary<Write[]> = fc.array(
  fc.oneof(
    fc.record({
      op: fc.constant('maxAge' as const),
      ms: fc.oneof(fc.constant(null), fc.integer({ min: 1000, max: lifetime * 1000 })),
    }),
    fc.record({
      op: fc.constant('expires' as const),
      inMs: fc.oneof(fc.constantFrom(null, false as const), fc.integer({ min: 1000, max: lifetime * 1000 })),
    }),
    fc.record({ op: fc.constantFrom('touch' as const, 'read' as const) }),
  ),
  { maxLength: 4 },
)

const near = (a: unknown, b: unknown) =>
  typeof a === 'number' && typeof b === 'number' ? Math.abs(a - b) < 3000 : (a || null) === (b || null)

for (const persistent of [false, true]) {
  describe(`beside express-session, ${persistent ? 'with' : 'without'} a cookie that outlives the browser`, () => {
    let theirs: Side
    let ours: Side
    before(async () => {
      const cookie = { sameSite: 'lax' as const, secure: false, ...(persistent && { maxAge: lifetime * 1000 }) }
      theirs = await startSide(app => {
        const options = { secret: secret('of express-session'), resave: false, saveUninitialized: false, cookie }
        app.use(session(options))
        return async () => {}
      })
      ours = await startSide((app, baseUrl) => {
        const oidc = openIdConnect({
          issuer: 'http://localhost:9',
          clientId: 'client',
          clientSecret: secret('of the client'),
          baseUrl,
          secret: secret('of our session'),
          session: { persistent, absolute: lifetime, idle: day },
          log: () => {},
        })
        app.use(oidc)
        return () => oidc.close()
      })
    })
    after(async () => {
      await theirs.close()
      await ours.close()
    })

    test('the same is read after each write, and the cookie of a new session lives as long', async () => {
      const property = fc.asyncProperty(steps, async program => {
        const [expected, actual] = await Promise.all(
          [theirs, ours].map(async ({ url }) => {
            const response = await fetch(`${url}/play?steps=${encodeURIComponent(JSON.stringify(program))}`)
            const [set = ''] = response.headers.getSetCookie()
            const maxAge = /Max-Age=(\d+)/.exec(set)?.[1]
            const expires = /Expires=([^;]+)/.exec(set)?.[1]
            const lives = maxAge ? Number(maxAge) * 1000 : expires ? Date.parse(expires) - Date.now() : null
            return { seen: (await response.json()) as Seen[], lives }
          }),
        )
        assert.ok(near(actual?.lives, expected?.lives), `the cookie lives ${actual?.lives}, not ${expected?.lives}`)
        assert.equal(actual?.seen.length, expected?.seen.length)
        for (const [at, { fields, times, json }] of (actual?.seen ?? []).entries()) {
          const other = expected?.seen[at] ?? assert.fail()
          assert.deepEqual([fields, json], [other.fields, other.json])
          for (const [n, time] of times.entries()) assert.ok(near(time, other.times[n]), `${time}, ${other.times[n]}`)
        }
      })
      await fc.assert(property, { seed: 20_261_127, numRuns: 60, endOnFailure: true })
    })
  })
}

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const handlers = (app: Express) => {
  const set = (cookie: Cookie, { maxAge, expires }: Record<string, unknown>) => {
    if (maxAge !== undefined) cookie.maxAge = Number(maxAge)
    if (expires !== undefined) cookie.expires = null
  }
  app.get('/life', (req, res) => {
    set(req.session.cookie, req.query)
    res.json({ maxAge: req.session.cookie.maxAge })
  })
  app.get('/saved', (req, res, next) => {
    set(req.session.cookie, req.query)
    req.session.save(error => (error ? next(error) : res.json(true)))
  })
  app.get('/remember', (req, _res, next) => {
    const { remember } = req.query
    const data = remember === undefined ? {} : { remember: Number(remember) }
    req.oidc.login({ returnTo: '/user', data, prompt: 'login' } as object).catch(next)
  })
  app.get('/secure', (req, res) => {
    req.session.cookie.domain = 'example.com'
    res.json(true)
  })
}

for (const store of ['memory', 'Redis']) {
  let ahead = 0
  const now = () => new Date(Date.now() + ahead * 1000)
  const withSession = (oidc: OidcOptions, run: Parameters<typeof withFixture>[1]) => async () => {
    ahead = 0
    const kept = store === 'Redis' ? { redis: redis.url } : {}
    const all = { now, ...kept, ...oidc, session: { idle: day, absolute: lifetime, ...(oidc.session || {}) } }
    await withFixture({ oidc: all, site: { routes: handlers } }, run)()
  }
  const isSignedIn = async ({ agent, site }: Parameters<Parameters<typeof withFixture>[1]>[0]) =>
    (await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated
  const tooLong = (line: string) => /req\.session\.cookie\.maxAge .* later than session\.absolute/.test(line)

  describe(`req.session.cookie.maxAge of one session, in ${store}`, () => {
    for (const path of ['/life', '/saved'])
      test(
        `${path}: the session of a user ends then, whatever it is used for, and nothing else has to change`,
        withSession({}, async fixture => {
          const { agent, site } = fixture
          await agent.visit(`${site.url}/claims`)
          assert.equal((await agent.open(`${site.url}${path}?maxAge=${hour * 1000}`)).status, 200)
          ahead = hour - 60
          assert.equal(await isSignedIn(fixture), true)
          ahead = hour + 5
          assert.equal(await isSignedIn(fixture), false)
          assert.equal((await agent.open(`${site.url}/session`)).text, '{}')
        }),
      )

    test(
      'set again with each request it puts the end off, and never past the absolute end, of which a longer one is told once',
      withSession({}, async fixture => {
        const { agent, site } = fixture
        await agent.visit(`${site.url}/claims`)
        for (ahead = 0; ahead < lifetime - hour; ahead += hour / 2) {
          await agent.open(`${site.url}/life?maxAge=${hour * 1000}`)
          assert.equal(await isSignedIn(fixture), true, `${ahead} s`)
        }
        assert.deepEqual(site.log.filter(tooLong), [])
        for (let count = 0; count < 2; count += 1) await agent.open(`${site.url}/life?maxAge=${30 * day * 1000}`)
        assert.equal(site.log.filter(tooLong).length, 1)
        assert.equal(await isSignedIn(fixture), true)
        ahead = lifetime + 5
        assert.equal(await isSignedIn(fixture), false)
      }),
    )

    test(
      'an anonymous session ends then, too, and 0 ends it at once',
      withSession({}, async ({ agent, site }) => {
        const data = async () => (await agent.open(`${site.url}/session`)).text
        for (const [maxAge, lives] of [
          [60_000, true],
          [0, false],
        ] as const) {
          ahead = 0
          await agent.fetch(`${site.url}/session?cart=pears`, { method: 'POST' })
          await agent.open(`${site.url}/life?maxAge=${maxAge}`)
          assert.equal(await data(), lives ? '{"cart":"pears"}' : '{}')
          ahead = 65
          assert.equal(await data(), '{}')
        }
      }),
    )

    test(
      'in the signIn hook it makes the cookie of this sign-in outlive the browser, or not',
      withSession(
        {
          hooks: {
            signIn({ claims, req, data }) {
              const wish = data as { remember?: number } | undefined
              if (wish?.remember !== undefined) req.session.cookie.maxAge = wish.remember
              return claims
            },
          },
        },
        async fixture => {
          const { agent, site } = fixture
          for (const [remember, expected] of [
            [undefined, undefined],
            [hour * 1000, hour],
            [30 * day * 1000, lifetime],
          ] as const) {
            ahead = 0
            const query = remember === undefined ? '' : `?remember=${remember}`
            const { hops } = await agent.visit(`${site.url}/remember${query}`)
            const set = hops.flatMap(hop => hop.setCookies).find(text => text.startsWith('sid=')) ?? assert.fail()
            assert.equal(/Max-Age=(\d+)/.exec(set)?.[1], expected?.toString())
            assert.equal(await isSignedIn(fixture), true)
            assert.ok(sessionCookieOf(fixture))
            if (expected === hour) {
              ahead = hour + 5
              assert.equal(await isSignedIn(fixture), false)
            }
          }
          assert.equal(site.log.filter(tooLong).length, 1)
        },
      ),
    )

    test(
      'what another attribute is set to has no effect, and is told once',
      withSession({}, async ({ agent, site }) => {
        for (let count = 0; count < 2; count += 1) await agent.open(`${site.url}/secure`)
        assert.equal(site.log.filter(line => /attribute of req\.session\.cookie .* no effect/.test(line)).length, 1)
      }),
    )
  })
}

test('data that came after the sign-in stays apart, however near the end of its session was brought', async () => {
  const fixture = new StoreFixture()
  try {
    const store = fixture.state()
    const user = await store.signIn({ ticket: ticket(), tokens: tokens(), previous: [], keep: [] })
    const begin = async () => {
      const req = {} as Express.Request
      store.sessions.generate(req)
      Object.assign(req.session, { cart: 'pears' })
      await store.sessions.save(req)
      await store.limit(req.sessionID, fixture.clock.seconds + 60)
      return req.sessionID
    }
    for (const [wait, kept] of [
      [30, '{}'],
      [0, '{"cart":"pears"}'],
    ] as const) {
      fixture.clock.seconds = startOfTest + wait
      const record = (await store.load(user)) ?? assert.fail()
      await store.adopt(record, await begin(), ['cart'])
      assert.equal((await store.load(user))?.sessionText() ?? '{}', kept)
    }
  } finally {
    await fixture.close()
  }
})

describe('what counts as a change', () => {
  const cookieOf = (maxAge: number | null) =>
    ({ originalMaxAge: maxAge, expires: maxAge === null ? null : new Date(Date.now() + maxAge) }) as Cookie

  test('a date or its absence does; the same date, touch() and what is no date do not', () => {
    const [none, some] = [cookieOf(null), cookieOf(60_000)]
    assert.equal(changedLifetime(captureCookie(none), none, null), undefined)
    assert.ok(Math.abs((changedLifetime(captureCookie(none), some, null)?.maxAge ?? 0) - 60) < 3)
    assert.deepEqual(changedLifetime(captureCookie(some), none, null), { maxAge: undefined })
    assert.equal(changedLifetime(captureCookie(some), some, null), undefined)
    const initial = captureCookie(cookieOf(50_000))
    assert.equal(changedLifetime(initial, some, 60_001), undefined, 'touch')
    assert.notEqual(changedLifetime(initial, some, 61_000), undefined)
    assert.equal(
      changedLifetime(captureCookie(none), { originalMaxAge: null, expires: new Date(Number.NaN) }, null),
      undefined,
    )
    assert.equal(changedLifetime(captureCookie(none), undefined, null), undefined)
  })

  test('attributes are compared with those of the options', () => {
    const usual = { secure: true, sameSite: 'lax' as const }
    const cookie = { ...usual, httpOnly: true, path: '/', originalMaxAge: null }
    assert.deepEqual(changedAttributes(cookie, usual), [])
    assert.deepEqual(changedAttributes({ ...cookie, httpOnly: false, domain: 'a.example' }, usual), [
      'httpOnly',
      'domain',
    ])
    assert.deepEqual(changedAttributes(undefined, usual), [])
  })
})
