import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import type { Express } from 'express'
import type { OpenIdConnect, SeveralProvidersOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { PATHS } from '../support/hostile-endpoints.js'
import { type HostileProvider, type HostileProviderOptions, startHostileProvider } from '../support/hostile-provider.js'
import { parseForms } from '../support/html-form.js'
import { send } from '../support/http-client.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

const optionsOf = ({ issuer, clientId, clientSecret }: HostileProvider | TestProvider) => ({
  issuer,
  clientId,
  clientSecret,
})

/** The instance, for guards that routes are made with before it is there. */
type Late = { oidc?: OpenIdConnect }

function addPages(late: Late) {
  return (app: Express) => {
    app.get('/who', (req, res) => {
      const { provider, user, sid, handle } = req.oidc
      res.json({ provider, sub: user?.sub, sid, handle })
    })
    app.get('/choose', (req, res) => void res.send(`choose for ${req.query.returnTo}`))
    app.get('/fresh', async (req, res) => void res.json(await req.oidc.accessToken({ forceRefresh: true })))
    app.get(
      '/only-b',
      (req, res, next) => late.oidc?.requiresAuth({ provider: 'b' })(req, res, next),
      (req, res) => void res.json(req.oidc.provider),
    )
  }
}

interface Two {
  readonly a: HostileProvider
  readonly b: HostileProvider
  readonly site: Site
}

/** Two providers that know each other: the same user, the same session id, the same client. */
async function withTwo(
  run: (two: Two) => Promise<void>,
  oidc: Partial<SeveralProvidersOptions> = {},
  settings: HostileProviderOptions = {},
  settingsOfA: (b: HostileProvider) => HostileProviderOptions = () => ({}),
): Promise<void> {
  const clientSecret = secret('client secret')
  const b = await startHostileProvider({ clientSecret, refreshTokens: 'always', ...settings })
  const a = await startHostileProvider({ clientSecret, refreshTokens: 'always', ...settings, ...settingsOfA(b) })
  const late: Late = {}
  const site = await startSite({
    oidc: { ...oidc, providers: { a: optionsOf(a), b: optionsOf(b) } } as SeveralProvidersOptions,
    routes: addPages(late),
  })
  late.oidc = site.oidc
  try {
    await run({ a, b, site })
  } finally {
    await site.close()
    await Promise.all([a.close(), b.close()])
  }
}

async function who(agent: ReturnType<typeof createAgent>, site: Site) {
  return JSON.parse((await agent.fetch(`${site.url}/who`)).text) as Record<string, string | undefined>
}

function postLogout(site: Site, name: string, token: string): Promise<Response> {
  return fetch(`${site.url}/logout/backchannel/${name}`, {
    method: 'POST',
    body: new URLSearchParams({ logout_token: token }),
  })
}

test('a user signs in at one of two real providers, then at the other, and signs out there', async () => {
  const a = await startProvider()
  const b = await startProvider({ host: 'localhost' })
  const site = await startSite({
    oidc: {
      providers: { a: optionsOf(a), b: { ...optionsOf(b), responseType: 'code' } },
      defaultProvider: 'a',
    } as never,
    routes: addPages({}),
  })
  for (const [name, provider] of Object.entries({ a, b })) {
    provider.register(site.url, {
      redirect_uris: [`${site.url}/callback/${name}`],
      backchannel_logout_uri: `${site.url}/logout/backchannel/${name}`,
    })
  }
  try {
    await site.oidc.ready()
    const agent = createAgent()
    await agent.visit(`${site.url}/claims`)
    const first = await who(agent, site)
    assert.deepEqual([first.provider, first.sub], ['a', 'alice'])
    await agent.visit(`${site.url}/login/b?returnTo=/who`)
    const second = await who(agent, site)
    assert.deepEqual([second.provider, second.sub], ['b', 'alice'])
    // The same `sub` at another provider is another user: the session of the first has ended.
    assert.equal((await site.oidc.sessions.list({ sub: 'alice', provider: 'a' })).length, 0)
    assert.deepEqual(
      (await site.oidc.sessions.list({ sub: 'alice', provider: 'b' })).map(({ handle, provider }) => [
        handle,
        provider,
      ]),
      [[second.handle, 'b']],
    )
    const { text } = await agent.fetch(`${site.url}/fresh`)
    assert.equal(typeof JSON.parse(text).value, 'string')
    const before = [a.count('endSession'), b.count('endSession')]
    await agent.visit(`${site.url}/logout`)
    assert.deepEqual([a.count('endSession'), b.count('endSession') > (before[1] ?? 0)], [before[0], true])
    assert.equal((await who(agent, site)).provider, undefined)
    assert.deepEqual([a.errors, b.errors], [[], []])
  } finally {
    await site.close()
    await Promise.all([a.close(), b.close()])
  }
})

test('the same sub and sid at two providers never meet: each ends its own sessions only', () =>
  withTwo(async ({ a, b, site }) => {
    const [one, other] = [createAgent(), createAgent()]
    await one.visit(`${site.url}/login/a?returnTo=/who`)
    await other.visit(`${site.url}/login/b?returnTo=/who`)
    const names = async () => [(await who(one, site)).provider, (await who(other, site)).provider]
    assert.deepEqual(await names(), ['a', 'b'])
    assert.equal((await postLogout(site, 'b', await a.createLogoutToken())).status, 400)
    assert.deepEqual(await names(), ['a', 'b'])
    // A frame names an issuer and a session; the path says whose.
    const foreign = new URLSearchParams({ iss: a.issuer, sid: 'sid-1' })
    assert.equal((await fetch(`${site.url}/logout/frontchannel/b?${foreign}`)).status, 400)
    assert.deepEqual(await names(), ['a', 'b'])
    assert.equal((await postLogout(site, 'a', await a.createLogoutToken())).status, 200)
    assert.deepEqual(await names(), [undefined, 'b'])
    const own = new URLSearchParams({ iss: b.issuer, sid: 'sid-1' })
    assert.equal((await fetch(`${site.url}/logout/frontchannel/b?${own}`)).status, 200)
    assert.deepEqual(await names(), [undefined, undefined])
  }))

test('sessions are listed and revoked at the provider that is named, and never without one', () =>
  withTwo(async ({ site }) => {
    const [one, other] = [createAgent(), createAgent()]
    await one.visit(`${site.url}/login/a?returnTo=/who`)
    await other.visit(`${site.url}/login/b?returnTo=/who`)
    const sub = 'alice-0001'
    const { sessions } = site.oidc
    for (const call of [
      () => sessions.list({ sub }),
      () => sessions.revoke({ sub }),
      () => sessions.revoke({ sid: 'sid-1' }),
    ])
      await assert.rejects(call, { code: 'ERR_OIDC_OPTIONS' })
    await assert.rejects(sessions.revoke({ sub, provider: 'c' }), { code: 'ERR_OIDC_PROVIDER_UNKNOWN' })
    assert.equal(await sessions.revoke({ handle: String((await who(one, site)).handle), sub, provider: 'b' }), 0)
    assert.equal(await sessions.revoke({ sub, provider: 'a' }), 1)
    assert.deepEqual([(await who(one, site)).provider, (await who(other, site)).provider], [undefined, 'b'])
  }))

/** How far the browser has come: the address at the provider, and the cookies of the site. */
async function leaveFor(site: Site, name: string) {
  const { status, headers, text } = await send({ url: `${site.url}/login/${name}`, headers: { accept: 'text/html' } })
  const location = headers.location ?? parseForms(text, site.url)[0]?.action ?? String(status)
  const cookie = (headers['set-cookie'] ?? []).map(line => line.split(';')[0])
  return { location: new URL(location), cookie: cookie.join('; ') }
}

async function answerOf(location: URL): Promise<Record<string, string>> {
  const page = await (await fetch(location, { redirect: 'manual' })).text()
  const [form] = parseForms(page, location.href)
  return Object.fromEntries(form?.fields ?? [])
}

for (const responseType of ['code', 'code id_token'] as const)
  for (const sendsIss of [true, false])
    test(`mix-up: the code of one provider is not sent to another (${responseType}, ${sendsIss ? 'with' : 'without'} iss)`, () =>
      withTwo(
        async ({ a, b, site }) => {
          const { location, cookie } = await leaveFor(site, 'a')
          assert.equal(location.searchParams.get('redirect_uri'), `${site.url}/callback/a`)
          // Provider a sends the browser on to b, with the state of the attempt at a.
          const onward = new URL(`${b.issuer}/authorize${location.search}`)
          onward.pathname = location.pathname
          onward.searchParams.set('redirect_uri', `${site.url}/callback/b`)
          const fields = await answerOf(onward)
          assert.ok(fields.code, 'b has issued a code')
          const post = (path: string, body: Record<string, string>) =>
            fetch(site.url + path, {
              method: 'POST',
              body: new URLSearchParams(body),
              headers: { cookie, origin: b.issuer },
              redirect: 'manual',
            })
          assert.equal((await post('/callback/b', fields)).status, 400)
          assert.equal(site.lastCode(), 'ERR_OIDC_RESPONSE_ISSUER')
          assert.equal((await post('/callback/c', fields)).status, 404)
          assert.notEqual((await post('/callback', fields)).status, 303)
          if (sendsIss || responseType !== 'code') assert.equal((await post('/callback/a', fields)).status, 400)
          assert.deepEqual([a.count('token'), b.count('token')], [0, 0])
        },
        { responseType },
        { sendsIss },
      ))

for (const [responseType, sendsIss, code] of [
  ['code', true, 'ERR_OIDC_RESPONSE_ISSUER'],
  ['code id_token', true, 'ERR_OIDC_RESPONSE_ISSUER'],
  ['code id_token', false, 'ERR_OIDC_ID_TOKEN_KEY'],
] as const)
  test(`mix-up: a provider that names the authorization endpoint of another gets no code of it (${responseType}, ${sendsIss ? 'with' : 'without'} iss)`, () =>
    withTwo(
      async ({ a, b, site }) => {
        const { location, cookie } = await leaveFor(site, 'a')
        assert.equal(location.origin, new URL(b.issuer).origin, 'the user signs in at b')
        const fields = await answerOf(location)
        assert.ok(fields.code, 'b has issued a code')
        const { status } = await fetch(`${site.url}/callback/a`, {
          method: 'POST',
          body: new URLSearchParams(fields),
          headers: { cookie, origin: b.issuer },
          redirect: 'manual',
        })
        assert.equal(status, 400)
        assert.equal(site.lastCode(), code)
        assert.deepEqual([a.count('token'), b.count('token')], [0, 0])
      },
      { responseType },
      { sendsIss },
      b => ({ metadata: { authorization_endpoint: `${b.issuer}${PATHS.authorize}` } }),
    ))

test('tokens go to the provider that issued them: refresh, and revocation at a sign-out', () =>
  withTwo(async ({ a, b, site }) => {
    const agent = createAgent()
    await agent.visit(`${site.url}/login/a?returnTo=/who`)
    const tokenOf = async () => JSON.parse((await agent.fetch(`${site.url}/fresh`)).text).value as string
    const before = b.count('token')
    assert.equal(typeof (await tokenOf()), 'string', JSON.stringify(site.errors.map(String)))
    assert.deepEqual([a.count('token'), b.count('token') - before], [2, 0])
    await agent.visit(`${site.url}/logout`)
    await site.oidc.close()
    const secrets = a.requestsTo('revocation').map(({ path }) => path)
    assert.ok(secrets.length > 0)
    assert.equal(b.count('revocation'), 0)
  }))

test('a page that requires one provider sends a user of another one there, without a hint, and a script gets 401', () =>
  withTwo(async ({ b, site }) => {
    const agent = createAgent()
    await agent.visit(`${site.url}/login/a?returnTo=/who`)
    assert.equal((await agent.fetch(`${site.url}/only-b`)).status, 401)
    const { text } = await agent.visit(`${site.url}/only-b`)
    assert.equal(text, '"b"')
    const asked = b.requestsTo('authorize').map(({ query }) => Object.keys(Object(query)))
    assert.equal(asked.length, 1)
    assert.ok(!asked.flat().some(name => name === 'login_hint' || name === 'id_token_hint'))
  }))

test('a sign-in that names no provider goes to the page on which the user chooses', () =>
  withTwo(
    async ({ site }) => {
      const agent = createAgent()
      const page = await agent.visit(`${site.url}/claims?x=1`)
      assert.equal(page.text, 'choose for /claims?x=1')
      assert.equal((await agent.visit(`${site.url}/login/c`)).status, 404)
      assert.equal((await agent.visit(`${site.url}/login/%61`)).status, 404)
      await agent.visit(`${site.url}/login/a?returnTo=/login/b`)
      assert.equal((await who(agent, site)).provider, 'a')
    },
    { chooseProvider: '/choose' },
  ))

/** Runs it as if so much time had passed for the cache of resolved providers. */
async function sixMinutesLater(run: () => Promise<void>): Promise<void> {
  const real = performance.now.bind(performance)
  const clock = mock.method(performance, 'now', () => real() + 6 * 60_000)
  try {
    await run()
  } finally {
    clock.mock.restore()
  }
}

for (const [what, isGone] of [
  ['that the site does not know any more', true],
  ['that has another issuer now', false],
] as const)
  test(`a session of a provider ${what} is none`, async () => {
    const a = await startHostileProvider()
    const b = await startHostileProvider()
    let given: object | undefined = optionsOf(a)
    const site = await startSite({ oidc: { resolveProvider: () => given } as never, routes: addPages({}) })
    try {
      const agent = createAgent()
      await agent.visit(`${site.url}/login/acme?returnTo=/who`)
      assert.equal((await who(agent, site)).provider, 'acme')
      given = isGone ? undefined : optionsOf(b)
      assert.equal((await who(agent, site)).provider, 'acme', 'what was resolved is used for five minutes')
      await sixMinutesLater(async () => {
        assert.deepEqual(await who(agent, site), {})
        assert.equal((await agent.visit(`${site.url}/login/acme`)).status, isGone ? 404 : 200)
      })
      assert.equal(b.count('token'), isGone ? 0 : 1)
    } finally {
      await site.close()
      await Promise.all([a.close(), b.close()])
    }
  })

test('a sign-in at another provider ends the session before it, and nothing of that one goes to the other provider', () =>
  withTwo(async ({ a, b, site }) => {
    const agent = createAgent()
    await agent.visit(`${site.url}/login/a?returnTo=/who`)
    await agent.visit(`${site.url}/login/b?returnTo=/who`)
    assert.equal((await who(agent, site)).provider, 'b')
    assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001', provider: 'a' }), [])
    await site.oidc.close()
    assert.deepEqual(b.requestsTo('revocation'), [])
    assert.ok(a.count('token') > 0)
  }))
