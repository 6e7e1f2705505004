import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import type { Claims } from '../support/hostile-provider.js'
import {
  assertObeyed,
  isSignedIn,
  type LogoutFixture,
  linesOf,
  openLogoutFixture,
  postLogoutToken,
  signedInAgent,
  signIn,
  withLogoutFixture,
} from './support.js'

const event = 'http://schemas.openid.net/event/backchannel-logout'
const anyCase = (text: string) =>
  fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map(upper => [...text].map((letter, at) => (upper[at] ? letter.toUpperCase() : letter)).join(''))
const types = ['logout+jwt', 'at+jwt', 'JWT', 'application/logout+jwt', 'application/at+jwt', 'application/jwt']
const type = fc.oneof(fc.constant(undefined), fc.constantFrom(...types).chain(anyCase))
const listed = ['RS256', 'PS256', 'ES256', 'EdDSA']

function fault(typ: string | undefined, alg: string, more: Claims = {}) {
  return {
    alg,
    ...more,
    header: ({ typ: _, ...header }: Claims) => ({ ...header, ...(typ !== undefined && { typ }) }),
  }
}

describe('a logout token as providers send it', () => {
  let fixture: LogoutFixture
  before(async () => {
    fixture = await openLogoutFixture({
      provider: { metadata: { id_token_signing_alg_values_supported: [...listed, 'HS256', 'none'] } },
    })
  })
  after(() => fixture?.close())

  test('ends the session with every usual typ, every listed asymmetric algorithm, with and without exp', async () => {
    const property = fc.asyncProperty(type, fc.constantFrom(...listed), fc.boolean(), async (typ, alg, hasExp) => {
      const agent = await signedInAgent(fixture)
      const claims = hasExp ? {} : { exp: undefined }
      await assertObeyed(
        postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken(claims, fault(typ, alg))),
      )
      assert.equal(await isSignedIn(fixture, agent), false)
    })
    await fc.assert(property, { numRuns: 25 })
  })

  const client = 'client'
  const others: Readonly<Record<string, Claims>> = {
    'an access token of RFC 9068': { client_id: client, scope: 'openid' },
    'an access token without scope': { client_id: client },
    'an access token with a list of scopes': { scp: ['openid'] },
    'a bound access token': { cnf: { jkt: 'x' } },
    'an access token of Keycloak': { typ: 'Bearer' },
    'an access token of Cognito': { token_use: 'access' },
    'an ID Token': { nonce: 'n', auth_time: 1 },
    'a refreshed ID Token': { auth_time: 1, at_hash: 'x' },
    'a refreshed ID Token with at_hash alone': { at_hash: 'x' },
    'an ID Token of Keycloak': { typ: 'ID' },
    'a userinfo response': { jti: undefined, iat: undefined },
    'an introspection response': { token_introspection: { active: true } },
    'a token of another client': { aud: 'other' },
    'a token made for this client by another one': { azp: 'other' },
    'a token whose claim events is text': { events: JSON.stringify({ [event]: {} }) },
  }
  test('is never another token by the same keys, whatever its typ and algorithm, with an event that a user put into it', async () => {
    const agent = await signedInAgent(fixture)
    const property = fc.asyncProperty(
      fc.constantFrom(...Object.entries(others)),
      type,
      fc.constantFrom(...listed),
      async ([what, claims], typ, alg) => {
        const token = await fixture.provider.createLogoutToken(claims, fault(typ, alg))
        const { status } = await postLogoutToken(fixture.site.url, token)
        assert.equal(status, 400, `${what} ${typ} ${alg}`)
        assert.equal(await isSignedIn(fixture, agent), true)
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('is never signed by a shared secret, by nothing, by an algorithm that is not listed or by a foreign key', async () => {
    const agent = await signedInAgent(fixture)
    for (const typ of [undefined, ...types]) {
      for (const more of [
        fault(typ, 'HS256'),
        fault(typ, 'none'),
        fault(typ, 'ES384'),
        fault(typ, 'RS256', { key: 'foreign' }),
      ]) {
        const { status } = await postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({}, more))
        assert.ok(status === 400 || status === 503, `${typ} ${more.alg}: ${status}`)
      }
    }
    for (const typ of ['secevent+jwt', 'token-introspection+jwt', 'dpop+jwt', 'x+jwt', 'at+jwt2'])
      assert.equal(
        (await postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({}, fault(typ, 'RS256'))))
          .status,
        400,
      )
    assert.equal(await isSignedIn(fixture, agent), true)
  })

  test('that names a sub and a sid that do not belong together ends nothing', async () => {
    const agent = await signedInAgent(fixture)
    for (const claims of [{ sub: 'mallory' }, { sub: 'alice-0001 ' }, { sid: 'another' }])
      await postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken(claims))
    assert.equal(await isSignedIn(fixture, agent), true)
  })
})

describe('a flood of forged logout tokens', () => {
  const forge = ({ provider }: LogoutFixture, at: number, claims: Claims = {}) =>
    provider.createLogoutToken(claims, { key: 'foreign', header: header => ({ ...header, kid: `unknown-${at}` }) })

  for (const [what, claims] of [
    ['that name no signed-in user', { sub: 'mallory', sid: 'unknown' }],
    ['that name another user who is signed in, who may have sent them', { sub: 'bob', sid: 'sid-of-bob' }],
    ['that would be refused in any case', { aud: 'other' }],
  ] as const) {
    test(
      `${what} does not keep a genuine one under a new key from being obeyed, and fetches few keys`,
      withLogoutFixture({}, async fixture => {
        const { site, provider, agent } = fixture
        await signIn(fixture, agent)
        const before = provider.count('jwks')
        for (let at = 0; at < 40; at += 1) {
          const { status, headers } = await postLogoutToken(site.url, await forge(fixture, at, claims))
          assert.ok(status === 400 || (status === 503 && headers['retry-after'] !== undefined), String(status))
        }
        assert.ok(provider.count('jwks') - before <= 5, 'few keys are fetched')
        assert.ok(linesOf(fixture).length <= 8, linesOf(fixture).join('\n'))
        assert.ok(
          linesOf(fixture).some(line => line.includes('10 times')),
          linesOf(fixture).join('\n'),
        )
        await provider.keys.rotate()
        await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken()))
        assert.equal(await isSignedIn(fixture, agent), false)
        await signIn(fixture, agent)
      }),
    )
  }

  test(
    'for the same session: a genuine one whose key cannot be fetched now gets 503 and Retry-After, not 400',
    withLogoutFixture({}, async fixture => {
      const { site, provider, agent } = fixture
      await signIn(fixture, agent)
      for (let at = 0; at < 10; at += 1) await postLogoutToken(site.url, await forge(fixture, at))
      await provider.keys.rotate()
      const later = await postLogoutToken(site.url, await provider.createLogoutToken())
      assert.equal(later.status, 503)
      assert.ok(Number(later.headers['retry-after']) > 0)
    }),
  )

  for (const [what, response] of [
    ['is away', { status: 503 }],
    ['answers 404', { status: 404 }],
    ['answers nonsense', { body: 'nonsense' }],
  ] as const) {
    test(
      `a genuine one under a new key gets 503 while the key endpoint ${what}`,
      withLogoutFixture({}, async fixture => {
        await signIn(fixture, fixture.agent)
        await fixture.provider.keys.rotate()
        fixture.provider.break({ jwks: response })
        const later = await postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken())
        assert.equal(later.status, 503)
        assert.ok(Number(later.headers['retry-after']) > 0)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
      }),
    )
  }
})
