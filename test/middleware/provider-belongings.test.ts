import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SeveralProvidersOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type HostileProvider, replace, startHostileProvider } from '../support/hostile-provider.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'

const optionsOf = ({ issuer, clientId, clientSecret }: HostileProvider | TestProvider) => ({
  issuer,
  clientId,
  clientSecret,
})

interface Two {
  readonly a: HostileProvider
  readonly b: HostileProvider
  readonly site: Site
}

async function withTwo(run: (two: Two) => Promise<void>, oidc: Partial<SeveralProvidersOptions> = {}): Promise<void> {
  const clientSecret = secret('client secret')
  const [a, b] = [await startHostileProvider({ clientSecret }), await startHostileProvider({ clientSecret })]
  const site = await startSite({
    oidc: { ...oidc, providers: { a: optionsOf(a), b: optionsOf(b) } } as SeveralProvidersOptions,
    routes: app => {
      app.get('/who', (req, res) => void res.json({ provider: req.oidc.provider }))
      app.get('/info', (req, res, next) => req.oidc.userInfo().then(info => res.json(info), next))
    },
  })
  try {
    await run({ a, b, site })
  } finally {
    await site.close()
    await Promise.all([a.close(), b.close()])
  }
}

test('a token of the site itself comes from the provider that is named, each has its own, and the default is asked otherwise', async () => {
  await withTwo(async ({ a, b, site }) => {
    const [one, again, other] = [
      await site.oidc.clientCredentials({ provider: 'a', scope: 'jobs' }),
      await site.oidc.clientCredentials({ provider: 'a', scope: 'jobs' }),
      await site.oidc.clientCredentials({ provider: 'b', scope: 'jobs' }),
    ]
    assert.deepEqual([one.value === again.value, one.value === other.value], [true, false])
    assert.deepEqual([a.count('token'), b.count('token')], [1, 1])
    assert.equal(b.requestsTo('token')[0]?.form.grant_type, 'client_credentials')
    await assert.rejects(site.oidc.clientCredentials(), { code: 'ERR_OIDC_OPTIONS', message: /provider is missing/ })
    await assert.rejects(site.oidc.clientCredentials({ provider: 'c' }), { code: 'ERR_OIDC_PROVIDER_UNKNOWN' })
  })
  await withTwo(
    async ({ a, b, site }) => {
      await site.oidc.clientCredentials()
      assert.deepEqual([a.count('token'), b.count('token')], [0, 1])
    },
    { defaultProvider: 'b' },
  )
})

test('userinfo is that of the provider of the user, who is asked with its own token', () =>
  withTwo(async ({ a, b, site }) => {
    const agent = createAgent()
    await agent.visit(`${site.url}/login/b?returnTo=/who`)
    const before = b.count('userinfo')
    b.break({ userInfoClaims: claims => ({ ...claims, from: 'b' }) })
    assert.equal((await agent.fetch(`${site.url}/info`)).json<{ from: string }>().from, 'b')
    assert.deepEqual([a.count('userinfo'), b.count('userinfo') - before], [0, 1])
    a.break({ userInfoClaims: claims => ({ ...claims, from: 'a' }) })
    await agent.visit(`${site.url}/login/a?returnTo=/who`)
    assert.equal((await agent.fetch(`${site.url}/info`)).json<{ from: string }>().from, 'a')
  }))

test('the iss of one provider in the response, or in an ID Token, of the other is refused', () =>
  withTwo(async ({ a, b, site }) => {
    const visit = () => createAgent().visit(`${site.url}/login/a?returnTo=/who`)
    a.break({ response: replace('iss', b.issuer) })
    await visit()
    assert.equal(site.lastCode(), 'ERR_OIDC_RESPONSE_ISSUER')
    assert.deepEqual([a.count('token'), b.count('token')], [0, 0])
    a.heal()
    const swapped = (claims: object) => ({ ...claims, iss: b.issuer })
    a.break({ frontIdToken: swapped })
    await visit()
    assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_ISSUER')
    assert.deepEqual([a.count('token'), b.count('token')], [0, 0])
    a.heal()
    a.break({ backIdToken: swapped })
    await visit()
    assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_ISSUER')
    assert.equal(b.count('token'), 0)
  }))

test('a sign-out at one of two real providers reaches the site by the back channel and ends the session of its own user only', async () => {
  const [a, b] = [await startProvider(), await startProvider()]
  const site = await startSite({
    oidc: { providers: { a: optionsOf(a), b: optionsOf(b) } } as never,
    routes: app => void app.get('/who', (req, res) => void res.json({ provider: req.oidc.provider ?? null })),
  })
  for (const [name, provider] of Object.entries({ a, b }))
    provider.register(site.url, {
      redirect_uris: [`${site.url}/callback/${name}`],
      backchannel_logout_uri: `${site.url}/logout/backchannel/${name}`,
      backchannel_logout_session_required: true,
    })
  try {
    const [one, other] = [createAgent(), createAgent()]
    await one.visit(`${site.url}/login/a?returnTo=/who`)
    await other.visit(`${site.url}/login/b?returnTo=/who`)
    const who = async () => [
      (await one.fetch(`${site.url}/who`)).json<{ provider: string }>().provider,
      (await other.fetch(`${site.url}/who`)).json<{ provider: string }>().provider,
    ]
    assert.deepEqual(await who(), ['a', 'b'])
    // At the provider itself, not at the site.
    const page = await one.visit(`${a.issuer}/end_session`)
    assert.equal(page.status, 200, page.text)
    assert.deepEqual(await who(), [null, 'b'])
    assert.deepEqual([a.errors, b.errors], [[], []])
  } finally {
    await site.close()
    await Promise.all([a.close(), b.close()])
  }
})
