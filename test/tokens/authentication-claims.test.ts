import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { type Hooks, requiresClaim } from '../../lib/index.js'
import type { Claims } from '../support/hostile-provider.js'
import { answering, LIFE, startTokenFixture, type TokenFixture } from './token-fixture.js'

/** What the ID Tokens of the sign-in say. */
interface Facts {
  readonly acr?: string
  readonly amr?: unknown
  readonly auth_time?: number
}

let fixture: TokenFixture

afterEach(() => fixture.close())

async function signedIn(facts: Facts, hooks: Hooks = {}): Promise<TokenFixture> {
  fixture = await startTokenFixture({
    oidc: { hooks },
    routes(app) {
      app.get(
        '/renew',
        answering(async req => {
          await req.oidc.userInfo({ refresh: true })
          return req.oidc.user
        }),
      )
      app.get('/strong', requiresClaim('acr', 'mfa'), (_req, res) => void res.send('yes'))
      app.get('/otp', requiresClaim('amr', 'otp'), (_req, res) => void res.send('yes'))
    },
  })
  const say = ({ auth_time: _, ...claims }: Claims): Claims => ({ ...claims, ...facts })
  fixture.provider.break({ frontIdToken: say, backIdToken: say })
  await fixture.signIn()
  fixture.provider.heal()
  return fixture
}

/** The provider says `claims` wherever it speaks after the sign-in. */
function laterSays(more: Claims): void {
  const say = (claims: Claims): Claims => ({ ...claims, ...more })
  fixture.provider.break({ userInfoClaims: say, refreshedIdToken: say })
}

async function factsNow(): Promise<Facts> {
  const user = (await fixture.agent.fetch(`${fixture.site.url}/user`)).json<{ user: Claims }>().user
  const names = ['acr', 'amr', 'auth_time'].filter(name => name in user)
  return Object.fromEntries(names.map(name => [name, user[name]]))
}

async function opens(path: string): Promise<boolean> {
  const { status } = await fixture.agent.fetch(`${fixture.site.url}${path}`)
  assert.ok(status === 200 || status === 403, `${path} answered ${status}`)
  return status === 200
}

/** What the ID Token of the sign-in says, and what holds, where that is not the same. */
const signIns: readonly [string, Facts, Facts?][] = [
  ['all three claims', { acr: 'pwd', amr: ['pwd'], auth_time: 1_780_271_900 }],
  ['none of them', {}],
  ['amr alone, as text', { amr: 'pwd' }],
  ['an empty acr, which is absent, and an empty list', { acr: '', amr: [] }, { amr: [] }],
]

const strong: Claims = { acr: 'mfa', amr: ['otp', 'mfa'], auth_time: 1_780_272_600 }

for (const [what, said, facts = said] of signIns) {
  test(`a sign-in with ${what}: neither a refreshed ID Token nor userinfo changes how and when the user signed in`, async () => {
    const { advance, token } = await signedIn(said)
    laterSays(strong)
    for (let round = 0; round < 2; round += 1) {
      advance(LIFE)
      assert.equal((await token()).status, 200)
      const renewed = (await fixture.agent.fetch(`${fixture.site.url}/renew`)).json<Claims>()
      assert.deepEqual([renewed.acr, renewed.amr, renewed.auth_time], [facts.acr, facts.amr, facts.auth_time])
      assert.deepEqual(await factsNow(), facts)
      assert.deepEqual([await opens('/strong'), await opens('/otp')], [false, false])
    }
  })
}

test('a response without the claims leaves them as the sign-in has them', async () => {
  const facts = { acr: 'mfa', amr: ['otp'], auth_time: 1_780_271_900 }
  const { advance, token } = await signedIn(facts)
  const silent = ({ acr: _, amr: __, auth_time: ___, ...claims }: Claims): Claims => claims
  fixture.provider.break({ userInfoClaims: silent, refreshedIdToken: silent })
  advance(LIFE)
  await token()
  await fixture.agent.fetch(`${fixture.site.url}/renew`)
  assert.deepEqual(await factsNow(), facts)
  assert.deepEqual([await opens('/strong'), await opens('/otp')], [true, true])
})

test('hooks see the claims of the sign-in, and what they write in their place is not kept', async () => {
  const facts = { acr: 'pwd', amr: ['pwd'], auth_time: 1_780_271_900 }
  const seen: Claims[] = []
  const { advance, token } = await signedIn(facts, {
    signIn: ({ claims }) => ({ ...claims, ...strong, local: 1 }),
    refresh: ({ claims, idTokenClaims, userInfo }) => {
      seen.push(claims)
      return { ...claims, ...idTokenClaims, ...userInfo, local: 2 }
    },
  })
  assert.deepEqual(await factsNow(), facts)
  laterSays(strong)
  advance(LIFE)
  await token()
  assert.deepEqual(await factsNow(), facts)
  const renewed = (await fixture.agent.fetch(`${fixture.site.url}/renew`)).json<Claims>()
  assert.equal(renewed.local, 2, 'everything else that the hook returns is kept')
  assert.deepEqual(await factsNow(), facts)
  assert.deepEqual([await opens('/strong'), await opens('/otp')], [false, false])
  assert.equal(seen.length, 2)
  for (const { acr, amr, auth_time } of seen) assert.deepEqual({ acr, amr, auth_time }, facts)
})

test('an object of a hook that writes itself with toJSON adds none of the claims either', async () => {
  await signedIn(
    {},
    {
      signIn({ claims }) {
        const written = { ...claims, acr: 'mfa', amr: ['otp'] }
        return { sub: claims.sub, toJSON: () => written }
      },
    },
  )
  assert.deepEqual(await factsNow(), {})
})

test('a hook may leave the claims out, and a later refresh still offers them', async () => {
  const facts = { acr: 'mfa', amr: ['otp'], auth_time: 1_780_271_900 }
  const seen: Claims[] = []
  await signedIn(facts, {
    signIn: ({ claims }) => ({ sub: claims.sub }),
    refresh({ claims }) {
      seen.push(claims)
      return { sub: claims.sub }
    },
  })
  laterSays(strong)
  await fixture.agent.fetch(`${fixture.site.url}/renew`)
  assert.deepEqual(await factsNow(), {})
  const [{ acr, amr, auth_time } = {}] = seen
  assert.deepEqual({ acr, amr, auth_time }, facts)
})
