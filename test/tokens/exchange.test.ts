import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { AccessToken, ExchangeOptions } from '../../lib/index.js'
import { secret } from '../support/secrets.js'
import { answering, LIFE, startTokenFixture, type TokenFixture } from './token-fixture.js'

let fixture: TokenFixture

async function signedIn(): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    routes: app =>
      void app.get(
        '/exchange',
        answering(req => req.oidc.exchange(req.query as ExchangeOptions)),
      ),
  })
  await fixture.signIn()
  return fixture
}

afterEach(() => fixture.close())

const exchanges = () =>
  fixture.provider.requestsTo('token').filter(({ form }) => form.grant_type?.endsWith(':token-exchange'))

function grantExchanges(): void {
  fixture.provider.break({
    token: {
      respond(response, { form }) {
        if (!form.grant_type?.endsWith(':token-exchange')) return response
        const issued_token_type = 'urn:ietf:params:oauth:token-type:access_token'
        const body = {
          access_token: secret('exchanged token'),
          issued_token_type,
          token_type: 'Bearer',
          expires_in: LIFE,
        }
        return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      },
    },
  })
}

async function exchange(query: string) {
  const page = await fixture.agent.fetch(`${fixture.site.url}/exchange?${query}`)
  return { status: page.status, ...page.json<Partial<AccessToken> & { code?: string }>() }
}

test("the person's token is exchanged for one of the next service", async () => {
  const { token, now } = await signedIn()
  grantExchanges()
  const exchanged = await exchange('audience=billing&scope=invoices')
  assert.deepEqual([exchanged.type, exchanged.scope, exchanged.expiresAt], ['Bearer', 'invoices', now() + LIFE])
  const { client_secret: _, ...form } = exchanges()[0]?.form ?? {}
  assert.deepEqual(form, {
    grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    subject_token: (await token()).value,
    subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    audience: 'billing',
    scope: 'invoices',
  })
})

test('an exchanged token is kept for as long as it is fresh, and apart by what it is for', async () => {
  const { advance } = await signedIn()
  grantExchanges()
  const first = await exchange('audience=billing')
  assert.equal((await exchange('audience=billing')).value, first.value)
  assert.notEqual((await exchange('audience=shipping')).value, first.value)
  assert.notEqual((await exchange('resource=https://billing.example.com')).value, first.value)
  assert.equal(exchanges().length, 3)
  advance(LIFE - 59)
  assert.notEqual((await exchange('audience=billing')).value, first.value)
})

test('exchanges that differ in one thing only are two: the token of the user, the audience, the resource, the scope', async () => {
  const { advance } = await signedIn()
  grantExchanges()
  const one = 'audience=a&resource=https://a.example&scope=x'
  const others = [
    'audience=b&resource=https://a.example&scope=x',
    'audience=a&resource=https://b.example&scope=x',
    'audience=a&resource=https://a.example&scope=y',
  ]
  const values = []
  for (const query of [one, ...others]) values.push((await exchange(query)).value)
  assert.equal(new Set(values).size, 4)
  for (const [index, query] of [one, ...others].entries()) assert.equal((await exchange(query)).value, values[index])
  assert.equal(exchanges().length, 4)
  advance(LIFE - 61)
  await fixture.token('?minValidity=3000')
  await fixture.signIn()
  await exchange(one)
  assert.equal(exchanges().length, 5)
})

test('exchanges of one process at the same time are one', async () => {
  await signedIn()
  grantExchanges()
  const all = await Promise.all(Array.from({ length: 10 }, () => exchange('audience=billing')))
  assert.equal(new Set(all.map(({ value }) => value)).size, 1)
  assert.equal(exchanges().length, 1)
})

test('what one person got is not handed to another', async () => {
  const { agent, site } = await signedIn()
  grantExchanges()
  const first = await exchange('audience=billing')
  await agent.post(`${site.url}/logout?local`, {})
  await fixture.signIn()
  assert.notEqual((await exchange('audience=billing')).value, first.value)
})

for (const [error, code] of [
  ['invalid_grant', 'ERR_OIDC_TOKEN_DENIED'],
  ['invalid_target', 'ERR_OIDC_TOKEN_DENIED'],
  ['unsupported_grant_type', 'ERR_OIDC_UNSUPPORTED'],
  ['unauthorized_client', 'ERR_OIDC_TOKEN_DENIED'],
  ['invalid_client', 'ERR_OIDC_TOKEN_DENIED'],
  ['invalid_request', 'ERR_OIDC_TOKEN_DENIED'],
] as const) {
  test(`${error} for an exchange is ${code}, and the session stays`, async () => {
    const { agent, site, provider } = await signedIn()
    provider.break({ token: { status: 400, body: { error } } })
    assert.equal((await exchange('audience=billing')).code, code)
    assert.equal((await agent.open(`${site.url}/claims`)).status, 200)
  })
}

test('an exchange for nothing in particular is a mistake', async () => {
  await signedIn()
  assert.equal((await exchange('scope=a')).code, 'ERR_OIDC_OPTIONS')
})
