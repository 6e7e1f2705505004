import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { AuthorizationDetail, ExchangeOptions, Tokens } from '../../lib/index.js'
import { secret } from '../support/secrets.js'
import { answering, LIFE, startTokenFixture, type TokenFixture } from './token-fixture.js'

const payment = { type: 'payment', actions: ['initiate', 'status'], amount: '12.50' }
const narrow = { ...payment, actions: ['status'] }
const account = { type: 'account', accounts: ['DE1', 'DE2'] }
const both = [payment, account]

let fixture: TokenFixture
const hooked: Tokens[] = []

afterEach(async () => {
  hooked.length = 0
  assert.deepEqual(fixture.provider.problems, [])
  await fixture.close()
})

/** A signed-in user whose provider has granted `granted`. */
async function signedIn(granted: unknown = both, asked: readonly AuthorizationDetail[] | null = both) {
  fixture = await startTokenFixture({
    provider: { refreshTokens: 'always' },
    oidc: {
      responseType: 'code',
      ...(asked && { authorizationParams: { authorization_details: asked } }),
      hooks: { signIn: ({ tokens }) => void hooked.push(tokens), refresh: ({ tokens }) => void hooked.push(tokens) },
    },
    routes(app) {
      const read = (text: unknown) => JSON.parse(String(text)) as AuthorizationDetail[]
      app.get(
        '/some',
        answering(req => req.oidc.accessToken({ authorizationDetails: read(req.query.details) })),
      )
      app.get(
        '/client',
        answering(req => fixture.site.oidc.clientCredentials({ authorizationDetails: read(req.query.details) })),
      )
      app.get(
        '/exchange',
        answering(req =>
          req.oidc.exchange({ audience: 'billing', authorizationDetails: read(req.query.details) } as ExchangeOptions),
        ),
      )
    },
  })
  grant(granted)
}

/** What the provider says of its tokens from now on. */
function grant(details: unknown): void {
  fixture.provider.break({
    tokenResponse: body => ({ ...body, ...(details !== 'none' && { authorization_details: details }) }),
  })
}

interface Shown {
  readonly status: number
  readonly value?: string
  readonly code?: string
  readonly authorizationDetails?: unknown
}

async function show(path: string): Promise<Shown> {
  const page = await fixture.agent.fetch(`${fixture.site.url}${path}`)
  return { status: page.status, ...page.json<Omit<Shown, 'status'>>() }
}

const refreshed = async (): Promise<Shown> => {
  fixture.advance(LIFE)
  return show('/fresh')
}

const forms = (grantType: string) =>
  fixture.provider.requestsTo('token').filter(({ form }) => form.grant_type?.endsWith(grantType))

test('what was granted is kept with the tokens, and shown to hooks and pages', async () => {
  const granted = [{ ...payment, debtor: 'DE1' }, account]
  await signedIn(granted)
  await fixture.signIn()
  const query = fixture.provider.requestsTo('authorize')[0]?.query ?? {}
  assert.deepEqual(JSON.parse(query.authorization_details ?? ''), both)
  assert.deepEqual(hooked[0]?.authorizationDetails, granted)
  assert.deepEqual((await show('/fresh')).authorizationDetails, granted)
})

test('what was not requested is not kept, whatever it is', async () => {
  for (const details of [both, 'payment', { type: 'payment' }, 5]) {
    await signedIn(details, null)
    await fixture.signIn()
    assert.deepEqual(Object.keys(await show('/fresh')), ['status', 'value', 'type', 'scope', 'expiresAt'])
    if (details !== 5) await fixture.close()
  }
})

test('a provider that says nothing has granted nothing that is known, also later', async () => {
  await signedIn('none')
  await fixture.signIn()
  assert.ok(!('authorizationDetails' in (await show('/fresh'))))
  grant(both)
  assert.ok(!('authorizationDetails' in (await refreshed())))
})

for (const [what, details] of [
  ['a string', 'payment'],
  ['the list as a string', JSON.stringify(both)],
  ['an object', payment],
  ['a list of strings', ['payment']],
  ['a detail without a type', [{ actions: ['initiate'] }]],
  ['actions as a string', [{ ...payment, actions: 'initiate' }]],
  ['a type that was not asked for', [payment, { type: 'admin' }]],
] as const) {
  test(`a sign-in with ${what} in the token response is refused, and the tokens are not used`, async () => {
    await signedIn(details)
    const page = await fixture.agent.visit(`${fixture.site.url}/claims`)
    assert.equal(page.status, 502)
    assert.equal(fixture.site.lastCode(), 'ERR_OIDC_TOKEN_RESPONSE')
    assert.equal(hooked.length, 0)
  })
}

test('a refresh sends no details, and keeps them where the response has none', async () => {
  await signedIn()
  await fixture.signIn()
  grant('none')
  for (const _ of [1, 2]) assert.deepEqual((await refreshed()).authorizationDetails, both)
  assert.ok(forms('refresh_token').every(({ form }) => !('authorization_details' in form)))
})

test('a refresh that narrows is kept, and what it took away does not come back', async () => {
  await signedIn()
  await fixture.signIn()
  grant([narrow])
  const { value, authorizationDetails } = await refreshed()
  assert.deepEqual(authorizationDetails, [narrow])
  assert.deepEqual(hooked.at(-1)?.authorizationDetails, [narrow])
  grant(both)
  const refused = await refreshed()
  assert.equal(refused.code, 'ERR_OIDC_TOKEN_RESPONSE')
  assert.notEqual(refused.value, value)
})

for (const [what, details] of [
  ['a type more', [...both, { type: 'admin' }]],
  ['a larger amount', [{ ...payment, amount: '1250' }]],
  ['another action', [{ ...payment, actions: ['initiate', 'cancel'] }]],
  ['a string', 'payment'],
  ['an object', payment],
] as const) {
  test(`a refresh with ${what} is refused, its refresh token is kept, and the user stays signed in`, async () => {
    await signedIn()
    await fixture.signIn()
    const before = (await show('/fresh')).value
    grant(details)
    assert.equal((await refreshed()).code, 'ERR_OIDC_TOKEN_RESPONSE')
    grant(both)
    const after = await refreshed()
    assert.deepEqual([after.status, after.authorizationDetails], [200, both])
    assert.notEqual(after.value, before)
    assert.equal(forms('refresh_token').length, 2)
    assert.deepEqual(fixture.provider.reusedRefreshTokens, [])
  })
}

const query = (details: unknown) => `?details=${encodeURIComponent(JSON.stringify(details))}`

test('a token with some of the details: the request names them, and each list has a token of its own', async () => {
  await signedIn()
  await fixture.signIn()
  const main = await show('/fresh')
  grant([narrow])
  const some = await show(`/some${query([narrow])}`)
  assert.deepEqual([some.status, some.authorizationDetails], [200, [narrow]])
  assert.deepEqual(JSON.parse(forms('refresh_token')[0]?.form.authorization_details ?? ''), [narrow])
  assert.equal((await show(`/some${query([narrow])}`)).value, some.value)
  grant([account])
  const other = await show(`/some${query([account])}`)
  assert.deepEqual(other.authorizationDetails, [account])
  assert.equal(new Set([main.value, some.value, other.value]).size, 3)
  assert.deepEqual(await show('/fresh'), main)
})

for (const [what, details] of [
  ['more details', both],
  ['details without saying which', 'none'],
] as const) {
  test(`a provider that ignores the request and grants ${what} is refused`, async () => {
    await signedIn()
    await fixture.signIn()
    grant(details)
    assert.equal((await show(`/some${query([narrow])}`)).code, 'ERR_OIDC_TOKEN_DENIED')
  })
}

test('invalid_authorization_details denies the token, and the session goes on', async () => {
  await signedIn()
  await fixture.signIn()
  fixture.provider.break({ token: { status: 400, body: { error: 'invalid_authorization_details' } } })
  assert.equal((await show(`/some${query([{ type: 'admin' }])}`)).code, 'ERR_OIDC_TOKEN_DENIED')
  assert.equal((await show('/fresh')).status, 200)
})

test('a token for another API shows details of the grant only', async () => {
  await signedIn()
  await fixture.signIn()
  grant([account])
  const token = await fixture.token('?resource=https://api.example')
  assert.deepEqual((token as Shown).authorizationDetails, [account])
  grant([{ type: 'admin' }])
  assert.equal((await fixture.token('?resource=https://other.example')).code, 'ERR_OIDC_TOKEN_DENIED')
})

test('a token of the site itself, one for each list', async () => {
  await signedIn()
  await fixture.signIn()
  grant([payment])
  const token = await show(`/client${query([payment])}`)
  assert.deepEqual(token.authorizationDetails, [payment])
  assert.deepEqual(JSON.parse(forms('client_credentials')[0]?.form.authorization_details ?? ''), [payment])
  assert.equal((await show(`/client${query([payment])}`)).value, token.value)
  assert.equal((await show(`/client${query([account])}`)).code, 'ERR_OIDC_TOKEN_RESPONSE')
  grant('none')
  assert.equal((await show(`/client${query([narrow])}`)).code, 'ERR_OIDC_TOKEN_DENIED')
})

test('a token that is exchanged', async () => {
  await signedIn()
  await fixture.signIn()
  let granted: readonly AuthorizationDetail[] | undefined = [payment]
  fixture.provider.break({
    token: {
      respond(response, { form }) {
        if (!form.grant_type?.endsWith(':token-exchange')) return response
        const body = { access_token: secret('exchanged token'), token_type: 'Bearer', expires_in: LIFE }
        const text = JSON.stringify({ ...body, authorization_details: granted })
        return { status: 200, headers: { 'content-type': 'application/json' }, body: text }
      },
    },
  })
  const token = await show(`/exchange${query([payment])}`)
  assert.deepEqual(token.authorizationDetails, [payment])
  assert.deepEqual(JSON.parse(forms(':token-exchange')[0]?.form.authorization_details ?? ''), [payment])
  assert.equal((await show(`/exchange${query([payment])}`)).value, token.value)
  assert.equal((await show(`/exchange${query([account])}`)).code, 'ERR_OIDC_TOKEN_RESPONSE')
  granted = undefined
  assert.equal((await show(`/exchange${query([narrow])}`)).code, 'ERR_OIDC_TOKEN_DENIED')
})
