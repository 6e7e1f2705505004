import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Express } from 'express'
import { attemptSilentLogin, type OidcOptions, openIdConnect, requiresAuth } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { deny, type Faults, startHostileProvider } from '../support/hostile-provider.js'
import { startProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const routes = (app: Express) => {
  app.use('/news', attemptSilentLogin())
  app.get('/news', (req, res) => void res.send(req.oidc.isAuthenticated ? 'signed in' : 'signed out'))
  app.post('/news', (_req, res) => void res.send('posted'))
  app.post('/destroy', (req, res) => req.session.destroy(() => res.send('gone')))
}

const silent = (options: FixtureOptions, run: (fixture: Fixture) => Promise<void>) =>
  withFixture({ ...options, site: { ...options.site, routes } }, run)

const visit = async ({ agent, site }: Fixture, path = '/news') => (await agent.visit(site.url + path)).text
const asked = ({ provider }: Fixture) => provider.count('authorize')
const refuseAll = (error: string): Faults => ({ response: deny(error) })

describe('a page that may be seen signed out', () => {
  test(
    'signs in a user whom the provider knows, without a page and at the page that was asked for',
    silent({}, async fixture => {
      const { provider } = fixture
      assert.equal(await visit(fixture, '/news?topic=7'), 'signed in')
      assert.equal(new URL(fixture.agent.page?.url ?? '').search, '?topic=7')
      assert.equal(provider.requestsTo('authorize')[0]?.query.prompt, 'none')
      assert.equal(await visit(fixture), 'signed in')
      assert.equal(asked(fixture), 1)
    }),
  )

  for (const error of ['login_required', 'interaction_required', 'consent_required', 'account_selection_required']) {
    test(
      `is shown signed out after ${error}, and asks no second time in this browser session`,
      silent({}, async fixture => {
        const { provider, site, agent } = fixture
        provider.break(refuseAll(error))
        assert.equal(await visit(fixture), 'signed out')
        assert.equal(agent.page?.url, `${site.url}/news`)
        assert.equal(await visit(fixture), 'signed out')
        assert.equal(await visit(fixture, '/news?again'), 'signed out')
        assert.deepEqual([asked(fixture), site.errors.length], [1, 0])
        assert.doesNotMatch(site.log.join('\n'), /silent|ERR_OIDC|refused/)
        const marker = agent.cookies(site.url).find(({ name }) => name.includes('oidc.silent'))
        assert.deepEqual([marker?.httpOnly, marker?.expires], [true, undefined])
      }),
    )
  }

  const modes: readonly OidcOptions[] = [
    { responseType: 'code', responseMode: 'query' },
    { responseType: 'code', responseMode: 'form_post' },
    { responseType: 'code', responseMode: 'query.jwt' },
    { responseType: 'code', responseMode: 'form_post.jwt' },
  ]
  for (const oidc of modes)
    test(
      `signs in, and is shown signed out, with responseMode ${oidc.responseMode}`,
      silent({ oidc }, async fixture => {
        const { responseMode } = oidc
        const signed = ({ code: _, ...claims }: object & { code?: unknown }) => ({ ...claims, error: 'login_required' })
        fixture.provider.break(
          responseMode?.endsWith('.jwt') ? { signedResponse: signed } : refuseAll('login_required'),
        )
        assert.equal(await visit(fixture), 'signed out')
        assert.equal(await visit(fixture), 'signed out')
        assert.equal(asked(fixture), 1)
        fixture.provider.heal()
        const other = { ...fixture, agent: createAgent() }
        assert.equal(await visit(other), 'signed in')
        assert.deepEqual(fixture.site.errors, [])
      }),
    )

  const failures: Readonly<Record<string, Faults>> = {
    'the provider responds with an error': refuseAll('server_error'),
    'the ID Token is not for this site': { frontIdToken: claims => ({ ...claims, aud: 'other' }) },
    'the token endpoint fails': { token: { status: 500 } },
  }
  for (const [what, faults] of Object.entries(failures))
    test(
      `is shown signed out where ${what}, and the log says why`,
      silent({}, async fixture => {
        fixture.provider.break(faults)
        assert.equal(await visit(fixture), 'signed out')
        assert.equal(await visit(fixture), 'signed out')
        assert.deepEqual([asked(fixture), fixture.site.errors], [1, []])
        assert.match(fixture.site.log.join('\n'), /a silent sign-in has failed: ERR_OIDC_/)
      }),
    )

  test(
    'is shown signed out while the provider is away, and asks no second time',
    silent({}, async fixture => {
      fixture.provider.break({ discovery: { cut: 'before' } })
      assert.equal(await visit(fixture), 'signed out')
      fixture.provider.heal()
      assert.equal(await visit(fixture), 'signed out')
      assert.deepEqual([asked(fixture), fixture.site.errors], [0, []])
      assert.match(fixture.site.log.join('\n'), /a silent sign-in could not be started: ERR_OIDC_PROVIDER_UNAVAILABLE/)
    }),
  )

  test('is shown signed out in a browser that keeps no cookie, after one round, with each way of the response', async () => {
    for (const responseMode of ['query', 'form_post'] as const)
      await silent({ oidc: { responseType: 'code', responseMode } }, async fixture => {
        const { site } = fixture
        const start = await createAgent().open(`${site.url}/news?topic=7`, { redirect: 'manual' })
        const page = await createAgent().visit(String(start.headers.location))
        assert.equal(page.text, 'signed out')
        assert.equal(page.url, `${site.url}/news?topic=7&oidc_silent=0`)
        assert.deepEqual([asked(fixture), site.errors], [1, []])
      })()
  })
})

test('the audit log has what a silent sign-in was refused for, and nothing where the provider only did not know the user', async () => {
  const entries: string[] = []
  const hooks = { audit: ({ type }: { readonly type: string }) => void entries.push(type) }
  await silent({ oidc: { hooks } }, async fixture => {
    fixture.provider.break(refuseAll('login_required'))
    await visit(fixture)
    assert.deepEqual(entries, [])
    fixture.provider.heal()
    fixture.provider.break({ frontIdToken: claims => ({ ...claims, aud: 'other' }) })
    await visit({ ...fixture, agent: createAgent() })
    await new Promise(setImmediate)
    assert.deepEqual(entries, ['sign-in-refused'])
  })()
})

describe('no silent sign-in is made', () => {
  const requests: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
    'for a prefetch': { 'sec-purpose': 'prefetch' },
    'for a page that is rendered ahead': { 'sec-purpose': 'prefetch;prerender' },
    'for a prefetch of an older browser': { purpose: 'prefetch' },
    'for a frame': { 'sec-fetch-dest': 'iframe' },
    'for a script': { 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
    'for an image': { 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    'for a program that says nothing of a navigation': { 'sec-fetch-mode': undefined, 'sec-fetch-dest': undefined },
    'for a robot': {
      'user-agent': 'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html) Chrome/156',
    },
    'for a preview': { 'user-agent': 'Slackbot-LinkExpanding 1.0' },
  }
  for (const [what, headers] of Object.entries(requests))
    test(
      what,
      silent({}, async fixture => {
        const page = await fixture.agent.open(`${fixture.site.url}/news`, { headers })
        assert.deepEqual([page.text, asked(fixture)], ['signed out', 0])
        assert.match(String(page.headers.vary), /Cookie/)
        assert.deepEqual(fixture.agent.cookies(fixture.site.url), [])
      }),
    )

  test(
    'for HEAD and for a posted form, whose body would be lost',
    silent({}, async fixture => {
      const { agent, site } = fixture
      const head = await fetch(`${site.url}/news`, {
        method: 'HEAD',
        redirect: 'manual',
        headers: { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document', accept: 'text/html' },
      })
      assert.deepEqual([head.status, head.headers.get('set-cookie')], [200, null])
      assert.equal((await agent.post(`${site.url}/news`, { a: '1' })).text, 'posted')
      assert.equal(asked(fixture), 0)
    }),
  )

  test(
    'a telephone whose name ends like that of a robot is none; a service worker hands on a navigation',
    silent({}, async fixture => {
      const page = (headers: Record<string, string>) =>
        createAgent().open(`${fixture.site.url}/news`, { headers, redirect: 'manual' })
      assert.equal((await page({ 'user-agent': 'Mozilla/5.0 (Linux; Android 14; CUBOT P80)' })).status, 303)
      // The navigation of a frame looks the same, so that a page leads on, as at a guarded page.
      assert.match((await page({ 'sec-fetch-dest': 'empty' })).text, /http-equiv="refresh"/)
    }),
  )
})

describe('after a sign-out', () => {
  const endings: Readonly<Record<string, (fixture: Fixture) => Promise<unknown>>> = {
    'at /logout?local=1': ({ agent, site }) => agent.visit(`${site.url}/logout?local=1`, { from: `${site.url}/` }),
    'by req.session.destroy()': ({ agent, site }) => agent.post(`${site.url}/destroy`, {}, { from: `${site.url}/` }),
  }
  test('no silent sign-in undoes a sign-out, although the session at the provider goes on', async () => {
    for (const [how, end] of Object.entries(endings))
      for (const signIn of ['/claims', '/news'])
        await silent({}, async fixture => {
          await visit(fixture, signIn)
          await end(fixture)
          const before = asked(fixture)
          assert.equal(await visit(fixture), 'signed out', how)
          assert.equal(await visit(fixture), 'signed out', how)
          forgetSessionCookies(fixture)
          assert.equal(await visit(fixture), 'signed out', `${how}, after the browser was closed`)
          assert.equal(asked(fixture), before)
        })()
  })

  test(
    'a browser session in which a user was signed in asks no more, also where the sign-out left nothing in the browser',
    silent({}, async fixture => {
      const { agent, site } = fixture
      await visit(fixture, '/claims')
      assert.equal(await visit(fixture), 'signed in')
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      for (const { name } of agent.cookies(site.url)) if (!name.includes('silent')) agent.jar.remove(name)
      assert.equal(await visit(fixture), 'signed out')
      assert.equal(asked(fixture), 1)
    }),
  )

  test(
    'while a silent sign-in is under way, its response signs in no user',
    silent({ oidc: { responseType: 'code', responseMode: 'query' } }, async fixture => {
      const { agent, site } = fixture
      await visit(fixture, '/claims')
      const other = agent.tab()
      agent.jar.remove('sid')
      const { headers } = await other.open(`${site.url}/news`, { redirect: 'manual' })
      await agent.visit(`${site.url}/logout?local=1`, { from: `${site.url}/` })
      const page = await other.visit(String(headers.location))
      assert.equal(page.text, 'signed out')
      assert.deepEqual(site.errors, [])
    }),
  )
})

function forgetSessionCookies({ agent, site }: Fixture): void {
  for (const { name, expires } of agent.cookies(site.url)) if (expires === undefined) agent.jar.remove(name)
}

test(
  'a user who signs in by hand while a silent sign-in is under way is not replaced by it',
  silent({}, async fixture => {
    const { agent, provider, site } = fixture
    const silentTab = agent.tab()
    const { headers } = await silentTab.open(`${site.url}/news`, { redirect: 'manual' })
    const asBob = (claims: object) => ({ ...claims, sub: 'bob-0002' })
    provider.break({ frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob })
    assert.match(await visit(fixture, '/claims'), /bob-0002/)
    provider.heal()
    const calls = provider.count('token')
    assert.equal((await silentTab.visit(String(headers.location))).text, 'signed in')
    assert.equal(provider.count('token'), calls, 'the code was used')
    assert.match(await visit(fixture, '/claims'), /bob-0002/)
  }),
)

test(
  'tabs that are restored at once: each ends at its own page, all with one session',
  silent({}, async fixture => {
    const { agent, site } = fixture
    const tabs = Array.from({ length: 6 }, () => agent.tab())
    const starts = await Promise.all(
      tabs.map((tab, at) => tab.open(`${site.url}/news?tab=${at}`, { redirect: 'manual' })),
    )
    for (const [at, tab] of tabs.entries()) {
      const page = await tab.visit(String(starts[at]?.headers.location))
      assert.deepEqual([page.url, page.text], [`${site.url}/news?tab=${at}`, 'signed in'])
    }
    assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
    // Some had to begin anew, without the user as well.
    const prompts = fixture.provider.requestsTo('authorize').map(({ query }) => query.prompt)
    assert.ok(prompts.length > tabs.length, `${prompts.length} requests`)
    assert.deepEqual([...new Set(prompts)], ['none'])
  }),
)

test('the options of the site do not change the prompt', () =>
  silent(
    {
      oidc: {
        authorizationParams: { prompt: 'select_account' },
        hooks: { authorizationParams: () => ({ prompt: 'login' }) },
      },
    },
    async fixture => {
      assert.equal(await visit(fixture), 'signed in')
      assert.equal(fixture.provider.requestsTo('authorize')[0]?.query.prompt, 'none')
    },
  )())

describe('with several providers', () => {
  const options = { clientId: 'client', clientSecret: secret('client secret') }
  const two = {
    providers: { a: { issuer: 'https://a.example', ...options }, b: { issuer: 'https://b.example', ...options } },
    baseUrl: 'http://localhost:3000',
    secret: secret('session secret'),
  }

  test('the site says which one is asked: by a default, or for each page', async () => {
    const provider = await startHostileProvider()
    const { issuer, clientId, clientSecret } = provider
    const site = await startSite({
      oidc: { providers: { a: { ...two.providers.a }, b: { issuer, clientId, clientSecret } } },
      routes: app => {
        app.get('/b', attemptSilentLogin({ provider: 'b' }), (req, res) => void res.send(String(req.oidc.provider)))
        app.get('/any', attemptSilentLogin(), (_req, res) => void res.send('any'))
        app.get('/x', attemptSilentLogin({ provider: 'x' }), (_req, res) => void res.send('shown'))
      },
    })
    try {
      assert.equal((await createAgent().visit(`${site.url}/b`)).text, 'b')
      await createAgent().visit(`${site.url}/any`)
      assert.equal(site.lastCode(), 'ERR_OIDC_OPTIONS')
      assert.equal((await createAgent().visit(`${site.url}/x`)).text, 'shown')
      assert.match(site.log.join('\n'), /ERR_OIDC_PROVIDER_UNKNOWN/)
    } finally {
      await site.close()
      await provider.close()
    }
  })

  test('without a default, a guard that names none is refused at the start', async () => {
    const oidc = openIdConnect({ ...two, log: () => {} })
    assert.throws(() => oidc.attemptSilentLogin(), { code: 'ERR_OIDC_OPTIONS', message: /name the provider/ })
    oidc.attemptSilentLogin({ provider: 'a' })
    await oidc.close()
    const other = openIdConnect({ ...two, defaultProvider: 'a', log: () => {} })
    other.attemptSilentLogin()
    await other.close()
  })

  for (const value of [null, 'a', { provider: undefined }, { provider: '' }, { returnTo: '/' }])
    test(`it is not made with ${JSON.stringify(value)}`, () => {
      assert.throws(() => attemptSilentLogin(value as never), { code: 'ERR_OIDC_OPTIONS' })
    })
})

describe('in a real browser', { timeout: 120_000 }, () => {
  let chromium: Chromium
  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium?.close())

  test('at a real provider: signed out without a page of it, then signed in at another site, and Back leads to no circle', async () => {
    const provider = await startProvider()
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret }
    const site = await startSite({
      oidc,
      routes: app => {
        routes(app)
        app.get('/sign-in', requiresAuth(), (_req, res) => void res.send('done'))
      },
    })
    provider.register(site.url)
    const context = await chromium.newContext()
    try {
      const tab = await context.newPage()
      await tab.goto(`${site.url}/`)
      await tab.goto(`${site.url}/news`)
      await tab.getByText('signed out').waitFor()
      assert.equal(tab.url(), `${site.url}/news`)
      await tab.goBack()
      await tab.goForward()
      await tab.getByText('signed out').waitFor()
      await tab.reload()
      assert.equal(provider.count('authorize'), 1)
      assert.deepEqual(site.errors, [])
    } finally {
      await context.close()
      await site.close()
      await provider.close()
    }
  })
})
