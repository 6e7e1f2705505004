import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import type { Hooks } from '../../lib/index.js'
import type { Claims } from '../support/hostile-provider.js'
import { answering, LIFE, startTokenSite, type TokenSite } from './token-site.js'

let bench: TokenSite

async function signedIn(hooks: Hooks = {}): Promise<TokenSite> {
  bench = await startTokenSite({
    oidc: { hooks },
    routes(app) {
      app.get(
        '/info',
        answering(req => req.oidc.userInfo()),
      )
      app.get(
        '/renew',
        answering(async req => {
          const info = await req.oidc.userInfo({ refresh: true })
          return { info, user: req.oidc.user }
        }),
      )
    },
  })
  await bench.signIn()
  return bench
}

afterEach(() => bench.close())

async function claims(): Promise<Claims> {
  return (await bench.agent.open(`${bench.site.url}/claims`)).json<Claims>()
}

async function renew() {
  const page = await bench.agent.fetch(`${bench.site.url}/renew`)
  return { status: page.status, ...page.json<{ info?: Claims; user?: Claims; code?: string }>() }
}

test('userInfo without refresh leaves the claims as they are', async () => {
  const { agent, site, provider } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name' }) })
  assert.equal((await agent.fetch(`${site.url}/info`)).json<Claims>().name, 'New Name')
  assert.equal((await claims()).name, 'Alice Adams')
})

test('userInfo with refresh renews the claims for this request and all later ones', async () => {
  const { provider } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name', role: ['editor'] }) })
  const { info, user } = await renew()
  assert.deepEqual([info?.name, user?.name], ['New Name', 'New Name'])
  assert.deepEqual((await claims()).role, ['editor'])
})

test('a claim the provider does not send any more is gone', async () => {
  const { provider } = await signedIn()
  provider.break({ userInfoClaims: ({ role: _, ...info }) => info })
  await renew()
  assert.equal((await claims()).role, undefined)
  assert.equal((await claims()).sub, 'alice-0001')
})

test('userinfo of somebody else is refused, and changes nothing', async () => {
  const { provider } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, sub: 'mallory-0002', name: 'Mallory' }) })
  assert.equal((await renew()).code, 'ERR_OIDC_USER_INFO_SUBJECT')
  assert.equal((await claims()).name, 'Alice Adams')
})

test('an access token that has expired is refreshed first', async () => {
  const { refreshes, advance } = await signedIn()
  advance(LIFE)
  assert.equal((await renew()).status, 200)
  assert.equal(refreshes().length, 1)
})

test('the refresh hook decides what is kept, and sees what was kept before', async () => {
  const { provider } = await signedIn({
    signIn: ({ claims: given }) => ({ ...given, localId: 7 }),
    refresh: ({ claims: given, kept, userInfo }) => ({ ...given, localId: kept.localId, seen: userInfo?.name }),
  })
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name' }) })
  await renew()
  const { localId, seen, name } = await claims()
  assert.deepEqual([localId, seen, name], [7, 'New Name', 'New Name'])
})

test('a signIn hook without a refresh hook: nobody could say what to keep, so it is an error', async () => {
  await signedIn({ signIn: ({ claims: given }) => ({ ...given, localId: 7 }) })
  assert.equal((await renew()).code, 'ERR_OIDC_OPTIONS')
  assert.equal((await claims()).localId, 7)
})

test('claims that are renewed while tokens are refreshed: neither is lost', async () => {
  const { provider, agent, site, token, advance } = await signedIn()
  provider.break({ userInfoClaims: info => ({ ...info, name: 'New Name' }) })
  advance(LIFE - 59)
  const [renewed, fresh] = await Promise.all([renew(), token(), agent.fetch(`${site.url}/info`)])
  assert.equal(renewed.status, 200)
  assert.equal((await claims()).name, 'New Name')
  assert.deepEqual(await token(), fresh)
})
