import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import { type AuditEntry, type Hooks, type OidcOptions, requiresAuth } from '../../lib/index.js'
import { assertObeyed, isSignedIn, postLogoutToken, signIn } from '../sign-out/support.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, type FixtureOptions, openFixture } from '../support/handler-fixture.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { startProvider } from '../support/provider.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { checkNothingPersonal, keepSecret, secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const alice = 'alice-0001'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

interface AuditFixture extends Fixture {
  readonly entries: AuditEntry[]
  readonly requests: unknown[]
}

function addPages(app: Express): void {
  app.get('/fresh', requiresAuth({ maxAge: 60 }), (req, res) => void res.json(req.oidc.handle))
  app.get('/handle', (req, res) => void res.json(req.oidc.handle ?? null))
  app.get('/refresh', (req, res, next) => {
    req.oidc.accessToken({ forceRefresh: true, ...req.query }).then(() => res.json('refreshed'), next)
  })
  app.get('/regenerate', (req, res, next) => req.session.regenerate(error => (error ? next(error) : res.json(''))))
}

/** With a real Redis. Every entry, as a site would write it, is searched for secrets and for what is personal. */
function withAudit(
  options: { readonly oidc?: OidcOptions; readonly hooks?: Hooks; readonly provider?: FixtureOptions['provider'] },
  run: (fixture: AuditFixture) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const entries: AuditEntry[] = []
    const requests: unknown[] = []
    const hooks: Hooks = {
      audit(entry, req) {
        assert.ok(Object.isFrozen(entry))
        entries.push(entry)
        requests.push(req)
      },
      ...options.hooks,
    }
    const fixture = await openFixture({
      oidc: { redis: redis.url, scope: 'openid email offline_access', ...options.oidc, hooks },
      ...(options.provider && { provider: options.provider }),
      site: { routes: addPages, handlesErrors: false },
    })
    try {
      await run({ ...fixture, entries, requests })
      for (const { value } of fixture.agent.cookies(fixture.site.url)) keepSecret('a cookie', value.padEnd(16))
      checkNothingPersonal(JSON.stringify(entries), 'the audit')
    } finally {
      await fixture.close()
    }
  }
}

/** Everything but what differs from run to run. */
function plain(entry: AuditEntry | undefined): object {
  assert.ok(entry !== undefined)
  const { at, correlationId, ip, ...rest } = entry
  assert.ok(Math.abs(at - Date.now()) < 60_000)
  assert.equal(ip === undefined, correlationId === undefined)
  if (ip !== undefined) assert.match(ip, /127\.0\.0\.1|::1/)
  if (correlationId !== undefined) assert.match(correlationId, /^[\da-f-]{36}$/)
  if (!('signedInAt' in rest)) return rest
  const { signedInAt, ...others } = rest
  assert.ok(Math.abs(signedInAt - Date.now() / 1000) < 60)
  return others
}

/** What begins a test: alice has signed in. */
async function signedIn(fixture: AuditFixture) {
  await signIn(fixture, fixture.agent)
  const first = fixture.entries.shift()
  fixture.requests.shift()
  assert.ok(first?.type === 'sign-in')
  const { session } = first
  const { issuer } = fixture.provider
  return { session, user: { issuer, sub: alice, sid: 'sid-1', session } }
}

async function handleOf({ agent, site }: Fixture): Promise<string> {
  return (await agent.fetch(`${site.url}/handle`, { from: `${site.url}/` })).json<string>()
}

describe('the hook audit', () => {
  test(
    'is told of a sign-in, with the user, the handle and the request',
    withAudit({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const { entries, requests, provider } = fixture
      const session = await handleOf(fixture)
      assert.deepEqual(entries.map(plain), [
        { type: 'sign-in', issuer: provider.issuer, sub: alice, sid: 'sid-1', session, replaces: [] },
      ])
      const [listed] = await fixture.site.oidc.sessions.list({ sub: alice })
      assert.equal(listed?.handle, session)
      assert.equal((requests[0] as { method?: string }).method, 'POST')
    }),
  )

  test(
    'is told of a step-up, which takes the place of the session before; a sign-in for nothing more is none',
    withAudit({}, async fixture => {
      const first = await signedIn(fixture)
      const { agent, site, entries } = fixture
      await agent.visit(`${site.url}/login?returnTo=/handle`)
      const second = await handleOf(fixture)
      assert.deepEqual(entries.map(plain), [
        { ...first.user, type: 'sign-in', session: second, replaces: [first.session] },
      ])
    }),
  )

  test(
    'is told of a step-up where a page asks for a fresh sign-in',
    (() => {
      let seconds = Math.floor(Date.now() / 1000)
      const clocks = { oidc: { now: () => new Date(seconds * 1000) }, provider: { now: () => seconds } }
      return withAudit(clocks, async fixture => {
        await signIn(fixture, fixture.agent)
        const { agent, site, entries } = fixture
        seconds += 1000
        const page = await agent.visit(`${site.url}/fresh`)
        assert.equal(page.status, 200, page.text)
        const [first, second, ...others] = entries
        assert.deepEqual(others, [])
        assert.ok(first?.type === 'sign-in' && second?.type === 'step-up')
        assert.deepEqual([second.replaces, second.sub], [[first.session], alice])
        assert.equal(second.session, page.json<string>())
        assert.equal(second.at, seconds * 1000)
      })
    })(),
  )

  test(
    'is told of a refused sign-in with its code, and with the user only where an ID Token has said it',
    withAudit({}, async fixture => {
      const { agent, site, provider, entries } = fixture
      const { issuer } = provider
      provider.break({ frontIdToken: { key: 'foreign' } })
      const page = await agent.visit(`${site.url}/claims`)
      assert.equal(page.status, 400, page.text)
      const [refused, ...others] = entries.splice(0)
      assert.deepEqual(others, [])
      assert.ok(refused?.type === 'sign-in-refused' && refused.code?.startsWith('ERR_OIDC_ID_TOKEN_'))
      assert.deepEqual(plain(refused), { type: 'sign-in-refused', issuer, code: refused.code })
      assert.ok(page.text.includes(refused.correlationId ?? '-'), 'the page shows the same number')
      assert.ok(site.log.some(line => line.includes(refused.correlationId ?? '-')))
    }),
  )

  test(
    'is told of a sign-in that the hook signIn refuses',
    withAudit(
      {
        hooks: {
          signIn() {
            throw new Error('blocked')
          },
        },
      },
      async ({ agent, site, provider, entries }) => {
        await agent.visit(`${site.url}/claims`)
        assert.deepEqual(entries.map(plain), [
          { type: 'sign-in-refused', issuer: provider.issuer, code: undefined, sub: alice, sid: 'sid-1' },
        ])
      },
    ),
  )

  test(
    'is told of a response without an attempt, and not of a method that no response comes by',
    withAudit({}, async ({ site, entries, provider }) => {
      await send({ url: `${site.url}/callback` })
      assert.deepEqual(entries, [])
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      await send({ url: `${site.url}/callback`, method: 'POST', headers, body: 'state=x&code=y' })
      assert.deepEqual(entries.map(plain), [
        { type: 'sign-in-refused', issuer: provider.issuer, code: 'ERR_OIDC_TRANSACTION_MISSING' },
      ])
    }),
  )

  test(
    'is told once of a refused refresh, which ends the session, however many requests wait for it',
    withAudit({ provider: { refreshTokens: 'always' } }, async fixture => {
      const { user } = await signedIn(fixture)
      const { agent, site, provider, entries, requests } = fixture
      provider.break({ token: { status: 400, body: { error: 'invalid_grant' } } })
      const from = `${site.url}/`
      await Promise.all(Array.from({ length: 5 }, () => agent.fetch(`${site.url}/refresh`, { from })))
      await agent.fetch(`${site.url}/refresh`, { from })
      assert.deepEqual(entries.map(plain), [
        { ...user, type: 'refresh-refused', code: 'ERR_OIDC_REFRESH_REJECTED', endsSession: true },
      ])
      assert.deepEqual(requests, [undefined], 'several requests share one refresh')
    }),
  )

  test(
    'is told of a refused token for another API, which ends nothing; a provider that is away has refused nothing',
    withAudit({ provider: { refreshTokens: 'always' } }, async fixture => {
      const { user } = await signedIn(fixture)
      const { agent, site, provider, entries } = fixture
      const from = `${site.url}/`
      provider.break({ token: { status: 400, body: { error: 'invalid_target' } } })
      await agent.fetch(`${site.url}/refresh?resource=https://api.example.com/`, { from })
      assert.deepEqual(entries.map(plain), [
        { ...user, type: 'refresh-refused', code: 'ERR_OIDC_TOKEN_DENIED', endsSession: false },
      ])
      provider.break({ token: { status: 503, body: {} } })
      await agent.fetch(`${site.url}/refresh`, { from })
      assert.equal(entries.length, 1)
      assert.equal(await isSignedIn(fixture, agent), true)
    }),
  )

  const ends: readonly (readonly [reason: string, by: string, end: (fixture: AuditFixture) => Promise<unknown>])[] = [
    ['logout', 'user', ({ agent, site }) => agent.post(`${site.url}/logout`, {})],
    [
      'back-channel',
      'provider',
      async ({ site, provider }) =>
        assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken({ sid: undefined }))),
    ],
    [
      'front-channel',
      'provider',
      ({ agent, site, provider }) =>
        agent.frame(`${site.url}/logout/frontchannel?${new URLSearchParams({ iss: provider.issuer, sid: 'sid-1' })}`, {
          from: `${provider.issuer}/end_session`,
        }),
    ],
    ['revoked', 'site', ({ site }) => site.oidc.sessions.revoke({ sub: alice })],
    ['destroyed', 'site', ({ agent, site }) => agent.fetch(`${site.url}/session`, { method: 'DELETE' })],
    ['destroyed', 'site', ({ agent, site }) => agent.fetch(`${site.url}/regenerate`)],
  ]
  for (const [at, [reason, by, end]] of ends.entries()) {
    test(
      `is told of a sign-out: ${reason}, by ${by} (${at}); and not of an expiry when its cookie comes again`,
      withAudit({}, async fixture => {
        const { user } = await signedIn(fixture)
        const { agent, site, entries, requests } = fixture
        const cookie = agent.cookies(site.url).find(({ name }) => name === 'sid')
        await end(fixture)
        assert.deepEqual(entries.map(plain), [{ ...user, type: 'sign-out', by, reason }])
        assert.equal(requests[0] === undefined, by === 'site')
        const headers = { cookie: `sid=${cookie?.value}` }
        for (let count = 0; count < 3; count += 1) await send({ url: `${site.url}/user`, headers })
        await site.oidc.sessions.revoke({ sub: alice })
        assert.equal(entries.length, 1)
      }),
    )
  }

  test(
    'is told of a sign-out by a security event, with its type',
    withAudit({ oidc: { routes: { signals: '/signals', revocation: '/revocation' } } }, async fixture => {
      const { user } = await signedIn(fixture)
      const { site, provider, entries } = fixture
      const now = Math.floor(Date.now() / 1000)
      const { issuer: iss, clientId: aud } = provider
      const event = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
      const claims = { iss, aud, iat: now, jti: secret('event id'), events: { [event]: {} } }
      const subject = { format: 'iss_sub', iss, sub: alice }
      const body = await provider.keys.sign({ ...claims, sub_id: subject }, undefined, 'secevent+jwt')
      const headers = { 'content-type': 'application/secevent+jwt', accept: 'application/json' }
      const { status, text } = await send({ url: `${site.url}/signals`, method: 'POST', headers, body })
      assert.equal(status, 202, text)
      assert.deepEqual(entries.map(plain), [{ ...user, type: 'sign-out', by: 'provider', reason: 'signal', event }])
    }),
  )

  test(
    'is told of each session that a global revocation ends, once, with the request and without a token',
    withAudit({ oidc: { routes: { revocation: '/revocation' } } }, async fixture => {
      const { user } = await signedIn(fixture)
      const { site, provider, entries, requests } = fixture
      const other = await signedIn({ ...fixture, agent: createAgent() })
      const now = Math.floor(Date.now() / 1000)
      const claims = { iss: provider.issuer, aud: `${site.url}/revocation`, iat: now, exp: now + 60 }
      const typ = 'global-token-revocation+jwt'
      const token = await provider.keys.sign({ ...claims, jti: secret('revocation id') }, undefined, typ)
      const revoke = (sub: string) =>
        send({
          url: `${site.url}/revocation`,
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ sub_id: { format: 'iss_sub', iss: provider.issuer, sub } }),
        })
      assert.equal((await revoke(alice)).status, 204)
      const expected = [user.session, other.session].map(session => ({
        ...{ ...user, session, type: 'sign-out', by: 'provider', reason: 'global-revocation' },
      }))
      const bySession = (one: object, another: object) => (JSON.stringify(one) < JSON.stringify(another) ? -1 : 1)
      assert.deepEqual(entries.map(plain).sort(bySession), expected.sort(bySession))
      assert.deepEqual(
        requests.map(req => (req as { method?: string }).method),
        ['POST', 'POST'],
      )
      assert.equal((await revoke(alice)).status, 204, 'a token that comes again')
      assert.equal(entries.length, 2)
    }),
  )

  test(
    'is told of an expired session when its cookie comes again, once, with the user that it was of',
    withAudit({}, async fixture => {
      const { user, session } = await signedIn(fixture)
      const { agent, entries } = fixture
      const key = `oidc:${session.slice(1)}`
      await redis.command('PEXPIRE', key, '1')
      await until('expired', async () => (await redis.command('EXISTS', key)) === 0)
      assert.deepEqual(entries, [], 'nothing is said until the browser comes back')
      for (let count = 0; count < 3; count += 1) await isSignedIn(fixture, agent)
      await until('told of', () => entries.length > 0)
      assert.deepEqual(entries.map(plain), [{ ...user, type: 'session-expired' }])
    }),
  )

  test(
    'is told of the absolute end as well',
    (() => {
      let seconds = Math.floor(Date.now() / 1000)
      const clocks = { oidc: { now: () => new Date(seconds * 1000) }, provider: { now: () => seconds } }
      return withAudit(clocks, async fixture => {
        await signIn(fixture, fixture.agent)
        seconds += 8 * 24 * 3600
        await isSignedIn(fixture, fixture.agent)
        await until('told of', () => fixture.entries.length > 1)
        assert.equal(fixture.entries[1]?.type, 'session-expired')
      })
    })(),
  )

  test('tells two users of one browser apart: the session of the first is replaced', async () => {
    const provider = await startProvider()
    const entries: AuditEntry[] = []
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({
      oidc: { issuer, clientId, clientSecret, redis: redis.url, hooks: { audit: entry => void entries.push(entry) } },
      routes: app => app.get('/again', (req, _res, next) => void req.oidc.login({ prompt: 'login' }).catch(next)),
    })
    // It would end the session of the first user itself.
    provider.register(site.url, { backchannel_logout_uri: undefined })
    const agent = createAgent()
    try {
      await agent.visit(`${site.url}/claims`)
      provider.user = 'bob'
      await agent.visit(`${site.url}/again`)
      const shown = entries.map(entry => [entry.type, 'sub' in entry && entry.sub, 'reason' in entry && entry.reason])
      const [first] = entries
      assert.ok(first?.type === 'sign-in')
      assert.deepEqual(shown, [
        ['sign-in', first.sub, false],
        ['sign-out', first.sub, 'replaced'],
        ['sign-in', 'bob', false],
      ])
    } finally {
      await site.close()
      await provider.close()
    }
  })

  test('names the provider, where the site has several', async () => {
    const provider = await startHostileProvider()
    const { issuer, clientId, clientSecret } = provider
    const entries: AuditEntry[] = []
    const site = await startSite({
      oidc: {
        providers: { work: { issuer, clientId, clientSecret } },
        defaultProvider: 'work',
        redis: redis.url,
        hooks: { audit: entry => void entries.push(entry) },
      },
    })
    try {
      await createAgent().visit(`${site.url}/claims`)
      await site.oidc.sessions.revoke({ sub: alice, provider: 'work' })
      assert.deepEqual(
        entries.map(({ type, provider: name, issuer: at }) => [type, name, at]),
        [
          ['sign-in', 'work', issuer],
          ['sign-out', 'work', issuer],
        ],
      )
    } finally {
      await site.close()
      await provider.close()
    }
  })

  const failures: Readonly<Record<string, NonNullable<Hooks['audit']>>> = {
    throws() {
      throw new TypeError('a secret of the site')
    },
    rejects: () => Promise.reject(new TypeError('a secret of the site')),
    'never settles': () => new Promise(() => {}),
  }
  for (const [what, audit] of Object.entries(failures)) {
    test(
      `changes nothing for the user where it ${what}`,
      withAudit({ hooks: { audit } }, async fixture => {
        const { agent, site } = fixture
        await signIn(fixture, agent)
        assert.equal(await isSignedIn(fixture, agent), true)
        await agent.post(`${site.url}/logout`, {})
        assert.equal(await isSignedIn(fixture, agent), false)
        const lines = site.log.filter(line => line.includes('audit'))
        assert.deepEqual(lines, what === 'never settles' ? [] : Array(2).fill('the hook audit failed: TypeError'))
      }),
    )
  }

  test('where Redis is away, a sign-in that could not be kept is told of as refused, and nothing as expired', async () => {
    const own = await startRedis()
    const entries: AuditEntry[] = []
    const fixture = await openFixture({
      oidc: { redis: own.url, hooks: { audit: entry => void entries.push(entry) } },
      site: { handlesErrors: false },
    })
    const { agent, site } = fixture
    try {
      await signIn(fixture, agent)
      own.pause()
      assert.equal((await agent.open(`${site.url}/claims`)).status, 503)
      const page = await createAgent().visit(`${site.url}/claims`)
      assert.equal(page.status, 503, page.text)
      const [first, second, ...others] = entries
      assert.deepEqual(others, [])
      assert.ok(first?.type === 'sign-in' && second?.type === 'sign-in-refused')
      assert.equal(second.code, 'ERR_OIDC_STORE_UNAVAILABLE')
    } finally {
      own.resume()
      await fixture.close()
      await own.stop()
    }
  })
})
