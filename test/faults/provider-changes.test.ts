import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type OidcErrorCode, openIdConnect } from '../../lib/index.js'
import { createAgent, type Page } from '../support/agent.js'
import {
  assertRefused,
  type Fixture,
  type FixtureOptions,
  openFixture,
  withFixture,
} from '../support/handler-fixture.js'
import type { Claims, Faults } from '../support/hostile-provider.js'
import { until } from '../support/redis.js'
import { createSigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'
import { scale } from './scale.js'
import { startTcpProxy } from './tcp-proxy.js'
import { watchProcess } from './watch.js'

/** A provider that changes, comes and goes while a site runs. */

const watch = watchProcess()
after(watch.check)

const ES256 = { provider: { alg: 'ES256' }, oidc: { idTokenAlgorithm: 'ES256' as const } }

const signIn = ({ site }: Pick<Fixture, 'site'>, agent = createAgent()): Promise<Page> =>
  agent.visit(`${site.url}/login?returnTo=/claims`, { from: null })

async function works(fixture: Pick<Fixture, 'site'>): Promise<void> {
  const page = await signIn(fixture)
  assert.equal(page.status, 200, page.text)
}

/** A site and a provider that share a clock which only the test turns. */
function withClock(
  { provider, oidc }: FixtureOptions,
  run: (fixture: Fixture, pass: (s: number) => void) => Promise<void>,
) {
  let at = Date.now()
  const clocks = {
    provider: { ...provider, now: () => Math.floor(at / 1000) },
    oidc: { ...oidc, now: () => new Date(at) },
  }
  return withFixture(clocks, fixture =>
    run(fixture, seconds => {
      at += seconds * 1000
    }),
  )
}

const hour = 3600

describe('a provider that is away', () => {
  test(
    'when the site starts: pages are there, a sign-in says 503, and works when the provider is back',
    withFixture(ES256, async ({ provider, site, agent }) => {
      await provider.stop()
      const late = await startSite({
        oidc: { ...ES256.oidc, issuer: provider.issuer, clientId: 'client', clientSecret: provider.clientSecret },
      })
      await assert.rejects(late.oidc.ready(), { code: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
      assert.equal((await late.oidc.health()).provider.reachable, false)
      assert.equal((await agent.open(`${late.url}/`)).status, 200)
      const refused = await agent.visit(`${late.url}/claims`)
      assert.deepEqual([refused.status, late.lastCode()], [503, 'ERR_OIDC_PROVIDER_UNAVAILABLE'])
      await provider.start()
      await until('it works', async () => (await signIn({ site: late })).status === 200)
      await late.oidc.ready()
      assert.equal((await late.oidc.health()).provider.reachable, true)
      await late.close()
      assert.deepEqual(site.errors, [])
    }),
  )

  test(
    'people who are signed in notice nothing',
    withFixture(ES256, async ({ provider, site, agent }) => {
      await signIn({ site }, agent)
      await provider.stop()
      for (const path of ['/claims', '/token', '/user', '/session']) {
        assert.equal((await agent.fetch(`${site.url}${path}`, { from: `${site.url}/` })).status, 200, path)
      }
      const out = await agent.post(`${site.url}/logout?local=1`, {})
      assert.deepEqual([out.status, out.url], [200, `${site.url}/`])
      const { isAuthenticated } = (await agent.open(`${site.url}/user`)).json<{ isAuthenticated: boolean }>()
      assert.equal(isAuthenticated, false)
    }),
  )

  test(
    'with metadata and keys that are a day old: what was known goes on being used',
    withClock(ES256, async (fixture, pass) => {
      await works(fixture)
      fixture.provider.break({ discovery: { status: 500 }, jwks: { cut: 'before' } })
      for (const hours of [2, 25, 30]) {
        pass(hours * hour)
        await works(fixture)
      }
    }),
  )

  test(
    'comes and goes all the time: the site lives, asks in measure, and works afterwards',
    withFixture(ES256, async fixture => {
      const { provider, site } = fixture
      const before = provider.count('discovery') + provider.count('jwks')
      const rounds = 6 * scale
      let goes = true
      const traffic = Promise.all(
        Array.from({ length: 3 }, async () => {
          while (goes) {
            const page = await signIn(fixture).catch(() => undefined)
            if (page !== undefined) assert.ok([200, 502, 503].includes(page.status), `${page.status} ${page.text}`)
            await sleep(20)
          }
        }),
      )
      for (let round = 0; round < rounds; round += 1) {
        await provider.stop()
        await sleep(150)
        await provider.start()
        await sleep(150)
      }
      goes = false
      await traffic
      await until('it works', async () => (await signIn(fixture)).status === 200)
      const asked = provider.count('discovery') + provider.count('jwks') - before
      assert.ok(asked <= 2 + rounds, `${asked} requests for metadata and keys in ${rounds} rounds`)
      for (const error of site.errors) assert.match((error as { code: string }).code, /^ERR_OIDC_PROVIDER_/)
    }),
  )
})

describe('a wrong configuration never signs a user in', () => {
  const wrong: Record<string, [Partial<FixtureOptions['oidc']>, OidcErrorCode, number]> = {
    'another issuer': [{ issuer: 'http://127.0.0.1:1/', metadataUrl: 'here' }, 'ERR_OIDC_METADATA_ISSUER', 502],
    'a slash too many in the issuer': [{ issuer: 'slash' }, 'ERR_OIDC_METADATA_ISSUER', 502],
    'an unknown client secret': [{ clientSecret: 'x'.repeat(40) }, 'ERR_OIDC_CLIENT_REJECTED', 502],
    'an algorithm the provider does not sign with': [{ idTokenAlgorithm: 'ES512' }, 'ERR_OIDC_ID_TOKEN_ALGORITHM', 400],
  }
  for (const [name, [options, code, status]] of Object.entries(wrong)) {
    test(
      `${name}: ${code}`,
      withFixture(ES256, async ({ provider, agent }) => {
        const { issuer, clientId, clientSecret } = provider
        const site = await startSite({
          oidc: {
            ...{ issuer, clientId, clientSecret, idTokenAlgorithm: 'ES256' },
            ...options,
            ...(options?.issuer === 'slash' && { issuer: `${issuer}/` }),
            ...(options?.metadataUrl && { metadataUrl: `${issuer}/.well-known/openid-configuration` }),
          },
        })
        const page = await agent.visit(`${site.url}/claims`)
        assert.deepEqual([page.status, site.lastCode()], [status, code], page.text)
        await site.close()
      }),
    )
  }

  const broken: Record<string, object> = {
    'no session secret': { secret: undefined },
    'a short session secret': { secret: 'short' },
    'no base URL': { baseUrl: undefined },
    'a base URL that is none': { baseUrl: 'www.example.com' },
    'plain http on a foreign host': { baseUrl: 'http://www.example.com' },
    'an issuer by plain http': { issuer: 'http://idsrv.example.com' },
    'no client id': { clientId: '' },
    'a response type that does not exist': { responseType: 'code id_token token banana' },
    'a misspelt option': { clientSecrets: 'x' },
  }
  for (const [name, options] of Object.entries(broken)) {
    test(`${name}: the site does not start`, () => {
      const good = {
        issuer: 'http://127.0.0.1:1',
        clientId: 'client',
        baseUrl: 'http://localhost:1',
        secret: 'x'.repeat(32),
      }
      assert.throws(() => openIdConnect({ ...good, ...options, log: () => {} }), { code: 'ERR_OIDC_OPTIONS' })
    })
  }
})

describe('keys that change', () => {
  test(
    'a new key just before each signature of a sign-in, several times',
    withFixture(ES256, async fixture => {
      const { provider } = fixture
      await works(fixture)
      const before = provider.count('jwks')
      provider.break({ rotateBefore: 'both' })
      await works(fixture)
      await works(fixture)
      assert.equal(provider.count('jwks'), before + 4, 'one more for each key')
    }),
  )

  test(
    'a new key under an old name',
    withFixture(ES256, async fixture => {
      const { provider } = fixture
      await works(fixture)
      const [old] = provider.keys.published
      const key = await createSigningKey('ES256')
      provider.keys.published = [{ ...key, kid: old?.kid ?? '', publicJwk: { ...key.publicJwk, kid: old?.kid ?? '' } }]
      await works(fixture)
    }),
  )

  for (const count of [1, 3]) {
    test(
      `${count} keys without names`,
      withFixture(ES256, async fixture => {
        const { provider } = fixture
        const keys = await Promise.all(Array.from({ length: count }, () => createSigningKey('ES256')))
        provider.keys.published = [...keys, ...provider.keys.published]
        const nameless = { header: ({ kid: _, ...rest }: Claims) => rest }
        provider.break({
          frontIdToken: nameless,
          backIdToken: { ...nameless, key: keys.at(-1)?.privateKey as never },
          keys: published => published.map(({ kid: _, ...key }) => key),
        })
        await works(fixture)
      }),
    )
  }

  const troubles: Record<string, Faults> = {
    'is away': { jwks: { cut: 'before' } },
    'says 500': { jwks: { status: 500 } },
    'has no keys': { keys: () => [] },
    'has garbage': { jwks: { body: 'not JSON' } },
  }
  for (const [name, faults] of Object.entries(troubles)) {
    test(
      `a key set that ${name} when it is asked again: known keys go on, unknown ones are refused`,
      withFixture(ES256, async fixture => {
        const { provider, site } = fixture
        await works(fixture)
        provider.break(faults)
        await works(fixture)
        const known = provider.keys.published
        await provider.keys.rotate()
        const page = await signIn(fixture)
        const expected = ['is away', 'says 500'].includes(name) ? 503 : 502
        assert.equal(page.status, expected, `${site.lastCode()}`)
        provider.keys.published = known
        await works(fixture)
      }),
    )
  }

  test(
    'a key set of 5 000 with all that does not belong there: the good key is found',
    withFixture(ES256, async fixture => {
      const { provider } = fixture
      const { publicJwk, privateKey } = await createSigningKey('ES256')
      const junk = [
        { kty: 'oct', k: 'c2VjcmV0' },
        { kty: 'RSA', n: 'A'.repeat(2731), e: 'AQAB' },
        { kty: 'RSA', n: '', e: 'AQAB' },
        { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' },
        { ...privateKey.export({ format: 'jwk' }), kid: 'private' },
        { ...publicJwk, kid: provider.keys.published[0]?.kid },
        { kty: 7 },
      ]
      provider.break({
        keys: keys => [...junk, ...keys, ...Array.from({ length: 5000 }, (_, at) => ({ kty: 'oct', k: `${at}` }))],
      })
      await works(fixture)
    }),
  )

  test(
    'sign-ins with a name no key has cost as many requests as the budget allows',
    withFixture(ES256, async fixture => {
      const { provider, site } = fixture
      await works(fixture)
      const before = provider.count('jwks')
      provider.break({ frontIdToken: { header: header => ({ ...header, kid: Math.random().toString(36) }) } })
      for (let attempt = 0; attempt < 20 * scale; attempt += 1) {
        await signIn(fixture)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_KEY')
      }
      assert.ok(provider.count('jwks') - before <= 5 + scale * 4, `${provider.count('jwks') - before} requests`)
      assert.equal(provider.count('token'), 1)
    }),
  )
})

describe('clocks that differ', () => {
  const cases: readonly [name: string, seconds: number, code: OidcErrorCode | undefined][] = [
    ['25 s ahead', 25, undefined],
    ['25 s behind', -25, undefined],
    ['5 min ahead', 300, 'ERR_OIDC_ID_TOKEN_ISSUED_AT'],
    ['6 min behind', -360, 'ERR_OIDC_ID_TOKEN_EXPIRED'],
    ['a day ahead', 24 * hour, 'ERR_OIDC_ID_TOKEN_ISSUED_AT'],
    ['a day behind', -24 * hour, 'ERR_OIDC_ID_TOKEN_EXPIRED'],
  ]
  for (const [name, seconds, code] of cases) {
    const now = () => Math.floor(Date.now() / 1000) + seconds
    test(
      `a provider that is ${name}: ${code ?? 'fine'}`,
      withFixture({ ...ES256, provider: { ...ES256.provider, now } }, async fixture => {
        const page = await signIn(fixture, fixture.agent)
        if (code === undefined) assert.equal(page.status, 200)
        else await assertRefused(fixture, page, code)
      }),
    )
  }
})

describe('metadata that changes', () => {
  test(
    'another issuer is not followed, and health says so',
    withClock(ES256, async (fixture, pass) => {
      const { provider, site } = fixture
      await works(fixture)
      provider.break({
        metadata: document => ({
          ...document,
          issuer: 'https://evil.example',
          token_endpoint: 'https://evil.example/token',
        }),
      })
      pass(2 * hour)
      await works(fixture)
      await until(
        'it was noticed',
        async () => (await site.oidc.health()).provider.error === 'ERR_OIDC_METADATA_ISSUER',
      )
      pass(23 * hour)
      await works(fixture)
    }),
  )

  test(
    'endpoints that are not secure any more are not followed',
    withClock(ES256, async (fixture, pass) => {
      await works(fixture)
      fixture.provider.break({
        metadata: document => ({ ...document, token_endpoint: 'http://idsrv.example.com/token' }),
      })
      pass(25 * hour)
      await works(fixture)
      assert.equal((await fixture.site.oidc.health()).provider.error, 'ERR_OIDC_METADATA')
    }),
  )

  test(
    'an endpoint that moves is followed after the next load of the metadata',
    withClock(ES256, async (fixture, pass) => {
      const { provider } = fixture
      await works(fixture)
      provider.break({ metadata: document => ({ ...document, token_endpoint: `${document.token_endpoint}?v=2` }) })
      await works(fixture)
      assert.equal(provider.requestsTo('token').at(-1)?.search, '')
      pass(25 * hour)
      await works(fixture)
      assert.equal(provider.requestsTo('token').at(-1)?.search, '?v=2')
    }),
  )
})

describe('where the provider is', () => {
  test('the proxy variables of the environment are not heeded', async () => {
    const variables = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY']
    const before = variables.map(name => [name, process.env[name]] as const)
    for (const name of variables) process.env[name] = 'http://127.0.0.1:1'
    try {
      const fixture = await openFixture(ES256)
      await works(fixture)
      await fixture.close()
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
  })

  test(
    'a provider that has an IPv6 address only',
    withFixture({ ...ES256, provider: { alg: 'ES256', host: '[::1]' } }, async ({ provider, site, agent }) => {
      const wire = await startTcpProxy(provider.port, { host: '::1', port: provider.port })
      await until('it is found', () =>
        site.oidc.ready().then(
          () => true,
          () => false,
        ),
      )
      const left = await agent.open(`${site.url}/login`, { redirect: 'manual' })
      assert.match(left.hops[0]?.location ?? '', /^http:\/\/\[::1\]:/)
      await wire.close()
    }),
  )
})
