import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { until } from '../support/redis.js'
import { type Site, startSite } from '../support/site.js'
import {
  type Act,
  type BackEndpoint,
  backEndpoints,
  cutting,
  ending,
  hanging,
  type Rogue,
  redirects,
  startRogue,
} from './rogue.js'
import { watchProcess } from './watch.js'

/** Every endpoint of the back channel, with everything that can go wrong there, seen by the person in front of the browser. */

interface Fixture {
  readonly rogue: Rogue
  readonly site: Site
  readonly agent: Agent
}

const watch = watchProcess()
let provider: HostileProvider
let evil: { url: string; requests: number; stop(): Promise<void> }

before(async () => {
  provider = await startHostileProvider()
  const server = await startLoopbackServer((_req, res) => {
    evil.requests += 1
    res.end('{}')
  })
  evil = { url: `http://127.0.0.1:${server.port}/collect`, requests: 0, stop: server.stop }
})

after(async () => {
  await provider.close()
  await evil.stop()
  watch.check()
})

async function withFixture(
  run: (fixture: Fixture) => Promise<void>,
  fault?: (rogue: Rogue) => void,
  more: OidcOptions = {},
) {
  const rogue = await startRogue(provider)
  fault?.(rogue)
  const { issuer, clientId, clientSecret } = provider
  const own = { issuer, clientId, clientSecret, responseType: 'code id_token token', timeouts: { provider: 3000 } }
  const site = await startSite({ oidc: { ...own, ...rogue.oidc, ...more } })
  try {
    await run({ rogue, site, agent: createAgent() })
  } finally {
    await site.close()
    await rogue.close()
  }
}

/** Before the browser leaves (discovery), or when it is back (everything else). */
const signIn = ({ agent, site }: Fixture): Promise<Page> =>
  agent.visit(`${site.url}/login?returnTo=/claims`, { from: null })

async function isSignedIn({ agent, site }: Fixture): Promise<boolean> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

/** What may be said about a provider that misbehaves: that it is away, or makes no sense. Nothing about the person, nothing else. */
const blame = new Set([
  'ERR_OIDC_PROVIDER_UNAVAILABLE',
  'ERR_OIDC_PROVIDER_RESPONSE',
  'ERR_OIDC_METADATA',
  'ERR_OIDC_METADATA_ISSUER',
  'ERR_OIDC_TOKEN_RESPONSE',
  'ERR_OIDC_USER_INFO_RESPONSE',
])

function assertBlamed({ site }: Fixture, page: Page, mustBeAway: boolean): void {
  const code = site.lastCode() ?? ''
  assert.ok(blame.has(code), `${code}: ${page.text.slice(0, 200)}`)
  assert.ok(page.status === 502 || page.status === 503, `status ${page.status}`)
  assert.equal(page.headers['retry-after'] !== undefined, page.status === 503)
  if (mustBeAway) assert.equal(code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
}

/** A provider that was away from the start: the site is there all the same, says so, and finds it by itself. */
async function awayFromTheStart(endpoint: BackEndpoint, act: Act, hangs: boolean): Promise<void> {
  const run = async (fixture: Fixture) => {
    assertBlamed(fixture, await signIn(fixture), hangs)
    assert.equal((await fixture.agent.open(`${fixture.site.url}/`)).status, 200)
    assert.equal(await isSignedIn(fixture), false)
    assert.equal(fixture.rogue.count('token'), 0)
    await until('the connections are gone', () => fixture.rogue.stuck === 0)
    fixture.rogue.heal()
    await until('it works again', async () => (await signIn(fixture)).status === 200)
    assert.equal(await isSignedIn(fixture), true)
  }
  await withFixture(run, rogue => rogue.act(endpoint, act))
}

/** A fault in the middle of a second sign-in: the first stays, the code went out once, and the next attempt works. */
async function inTheMiddle(endpoint: BackEndpoint, act: Act, hangs: boolean): Promise<void> {
  await withFixture(async fixture => {
    const { rogue, site } = fixture
    assert.equal((await signIn(fixture)).status, 200)
    const sent = rogue.count(endpoint)
    rogue.act(endpoint, act)
    assertBlamed(fixture, await signIn(fixture), hangs)
    const isAskedAgain = endpoint === 'userinfo' && Object.values(cutting).includes(act)
    assert.equal(rogue.count(endpoint) - sent, isAskedAgain ? 2 : 1, 'requests')
    assert.equal(rogue.count('token'), 2, 'the code was sent once')
    assert.equal(await isSignedIn(fixture), true, 'the first sign-in stays')
    await until('the connections are gone', () => rogue.stuck === 0)
    rogue.heal()
    const before = site.errors.length
    assert.equal((await signIn(fixture)).status, 200)
    assert.equal(site.errors.length, before)
  })
}

const isPublished = (endpoint: BackEndpoint) => endpoint === 'discovery' || endpoint === 'jwks'
const play = (endpoint: BackEndpoint) => (isPublished(endpoint) ? awayFromTheStart : inTheMiddle)

for (const endpoint of backEndpoints) {
  describe(`the ${endpoint} endpoint`, { concurrency: 6 }, () => {
    for (const [name, act] of Object.entries(hanging)) {
      test(`${name}: given up on in time`, () => play(endpoint)(endpoint, act, true))
    }
    for (const [name, act] of Object.entries(ending)) {
      test(`${name}: refused`, () => play(endpoint)(endpoint, act, false))
    }
    if (endpoint !== 'token') {
      test('cut once, in every way: asked once more, and the user is signed in', async () => {
        for (const [name, act] of Object.entries(cutting)) {
          await withFixture(
            async fixture => {
              assert.equal((await signIn(fixture)).status, 200, name)
              assert.equal(await isSignedIn(fixture), true, name)
              assert.equal(fixture.rogue.count(endpoint), 2, name)
              assert.equal(fixture.rogue.count('token'), 1, name)
              assert.deepEqual(fixture.site.errors, [], name)
            },
            rogue =>
              rogue.act(endpoint, (req, res) => {
                rogue.heal()
                act(req, res)
              }),
          )
        }
      })
    }
    test('redirects, by every status and to anywhere: not followed', async () => {
      for (const act of Object.values(redirects(evil.url))) {
        const { requests } = evil
        await withFixture(
          async fixture => {
            assertBlamed(fixture, await signIn(fixture), false)
            assert.equal(fixture.site.lastCode(), 'ERR_OIDC_PROVIDER_RESPONSE')
            assert.equal(evil.requests, requests)
          },
          rogue => rogue.act(endpoint, act),
        )
      }
    })
  })
}
