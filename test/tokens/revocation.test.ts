import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import type { HostileProviderOptions } from '../support/hostile-provider.js'
import { until } from '../support/redis.js'
import { answering, startTokenFixture, type TokenFixture } from './token-fixture.js'

let fixture: TokenFixture

async function signedIn(oidc: OidcOptions = {}, provider: HostileProviderOptions = {}): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    oidc,
    provider,
    routes: app =>
      void app.post(
        '/forget',
        answering(req => req.oidc.revokeTokens()),
      ),
  })
  await fixture.signIn()
  return fixture
}

afterEach(() => fixture.close())

const hints = () => fixture.provider.requestsTo('revocation').map(({ form }) => form.token_type_hint)

test('a sign-out gives back the refresh token first, and then every access token', async () => {
  const { agent, site, provider, token } = await signedIn()
  const main = await token()
  const other = await token('?resource=https://orders.example.com')
  await agent.post(`${site.url}/logout?local`, {})
  await until('everything is revoked', () => provider.count('revocation') === 3)
  assert.deepEqual(hints(), ['refresh_token', 'access_token', 'access_token'])
  const given = provider.requestsTo('revocation').map(({ form }) => form.token)
  assert.deepEqual(given.slice(1), [main.value, other.value])
  const [request] = provider.requestsTo('revocation')
  assert.match(request?.headers.authorization ?? '', /^Basic /)
})

test('a sign-out waits for none of it', async () => {
  const { agent, site, provider } = await signedIn()
  let release = () => {}
  provider.break({ revocation: { until: () => new Promise<void>(resolve => (release = resolve)) } })
  const page = await agent.post(`${site.url}/logout?local`, {})
  assert.equal(page.status, 200)
  await until('the revocation is under way', () => provider.count('revocation') === 1)
  release()
  await until('everything is revoked', () => provider.count('revocation') === 2)
})

test('a revocation that fails is logged by its code, and signs out all the same', async () => {
  const { agent, site, provider } = await signedIn()
  provider.break({ revocation: { status: 503 } })
  assert.equal((await agent.post(`${site.url}/logout?local`, {})).status, 200)
  await until('it is logged', () => site.log.some(line => line.includes('ERR_OIDC_PROVIDER_UNAVAILABLE')))
  assert.equal((await agent.fetch(`${site.url}/fresh`)).status, 401)
})

test('nothing is sent with revokeTokens: false, or to a provider that does not offer it', async () => {
  const { agent, site, provider } = await signedIn({ revokeTokens: false })
  await agent.post(`${site.url}/logout?local`, {})
  await site.oidc.close()
  assert.equal(provider.count('revocation'), 0)
  await fixture.close()
  const quiet = await signedIn({}, { metadata: { revocation_endpoint: undefined } })
  await quiet.agent.post(`${quiet.site.url}/logout?local`, {})
  await quiet.site.oidc.close()
  assert.equal(quiet.provider.count('revocation'), 0)
  assert.deepEqual(
    quiet.site.log.filter(line => line.includes('revoked')),
    [],
  )
})

test('revokeTokens as a call: the tokens are gone, the person stays signed in', async () => {
  const { agent, site, provider, token } = await signedIn()
  assert.equal((await agent.fetch(`${site.url}/forget`, { method: 'POST' })).status, 200)
  assert.deepEqual(hints(), ['refresh_token', 'access_token'])
  assert.equal((await token()).code, 'ERR_OIDC_ACCESS_TOKEN_EXPIRED')
  assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
  assert.equal(provider.count('token'), 1)
  // The ID Token stays: the provider wants to see it when the person signs out.
  const away = await agent.open(`${site.url}/logout`, { redirect: 'manual' })
  assert.match(String(away.headers.location), /[?&]id_token_hint=ey/)
})

test('revokeTokens as a call says when it fails, and keeps the tokens then', async () => {
  const { agent, site, provider, token } = await signedIn()
  provider.break({ revocation: { status: 503 } })
  const page = await agent.fetch(`${site.url}/forget`, { method: 'POST' })
  assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal((await token()).status, 200)
})

test('revokeTokens as a call says when the provider does not offer it', async () => {
  const { agent, site } = await signedIn({}, { metadata: { revocation_endpoint: undefined } })
  const page = await agent.fetch(`${site.url}/forget`, { method: 'POST' })
  assert.equal(page.json<{ code: string }>().code, 'ERR_OIDC_UNSUPPORTED')
})
