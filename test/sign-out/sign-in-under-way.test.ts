import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import session from 'express-session'
import { createAgent } from '../support/agent.js'
import type { FixtureOptions } from '../support/handler-fixture.js'
import { secret } from '../support/secrets.js'
import { createGate, isSignedIn, type LogoutFixture, signIn, withLogoutFixture } from './support.js'

/** Signs the browser out, in another tab than the one that is signing in. */
const ways: Readonly<Record<string, (fixture: LogoutFixture) => Promise<unknown>>> = {
  'POST /logout': ({ agent, site }) => agent.tab().post(`${site.url}/logout`, {}, { from: `${site.url}/` }),
  'POST /logout?local=1': ({ agent, site }) =>
    agent.tab().post(`${site.url}/logout?local=1`, {}, { from: `${site.url}/` }),
  'req.oidc.logout()': ({ agent, site }) => agent.tab().open(`${site.url}/leave`),
  'front-channel logout': ({ agent, site, provider }) => {
    const named = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1' })
    return agent.tab().frame(`${site.url}/logout/frontchannel?${named}`, { from: `${provider.issuer}/end_session` })
  },
}

const hosts: Readonly<Record<string, FixtureOptions>> = {
  'the session of this package': {},
  '`session: false`': {
    oidc: { session: false },
    site: {
      before: app =>
        app.use(
          session({ secret: secret('secret of the site'), name: 'site', resave: false, saveUninitialized: false }),
        ),
    },
  },
}

function optionsFor(name: string): FixtureOptions {
  const { oidc, site } = hosts[name] ?? {}
  return {
    oidc: { ...oidc, routes: { logoutCallback: false } },
    site: {
      ...site,
      routes(app) {
        app.get('/leave', (req, _res, next) => req.oidc.logout().catch(next))
        app.get('/destroy', (req, res) => void req.session.destroy(() => res.send('bye')))
        app.get('/regenerate', (req, res) => void req.session.regenerate(() => res.send('bye')))
      },
    },
  }
}

/** What a site does with its session, in a request of another tab. */
const ofSite = {
  'req.session.destroy()': ({ agent, site }: LogoutFixture) => agent.tab().open(`${site.url}/destroy`),
  'req.session.regenerate()': ({ agent, site }: LogoutFixture) => agent.tab().open(`${site.url}/regenerate`),
}

for (const host of Object.keys(hosts)) {
  describe(`a sign-in that is being finished while the user signs out, with ${host}`, () => {
    for (const [way, signOut] of Object.entries(host.includes('false') ? ways : { ...ways, ...ofSite })) {
      test(`${way}: it fails, and the user stays signed out`, async () => {
        await withLogoutFixture(optionsFor(host), async fixture => {
          const { agent, site, provider } = fixture
          await signIn(fixture, agent)
          const gate = createGate()
          provider.break({ token: { until: gate.until } })
          const signingIn = agent.tab().visit(`${site.url}/login?returnTo=/claims`)
          await gate.reached
          await signOut(fixture)
          gate.open()
          assert.equal((await signingIn).status, 400)
          assert.equal(site.lastCode(), 'ERR_OIDC_SIGN_IN_ENDED')
          assert.equal(await isSignedIn(fixture, agent), false)
          assert.deepEqual(await site.oidc.sessions.list({ sub: 'alice-0001' }), [])
          provider.heal()
          await signIn(fixture, agent)
          assert.equal(await isSignedIn(fixture, agent), true)
        })()
      })
    }
  })
}

test(
  'a sign-in of another browser goes on while this one signs out',
  withLogoutFixture({}, async fixture => {
    const { agent, site, provider } = fixture
    await signIn(fixture, agent)
    const gate = createGate()
    provider.break({ token: { until: gate.until } })
    const other = createAgent()
    const signingIn = other.visit(`${site.url}/claims`)
    await gate.reached
    await agent.post(`${site.url}/logout`, {}, { from: `${site.url}/` })
    gate.open()
    assert.equal((await signingIn).status, 200)
  }),
)
