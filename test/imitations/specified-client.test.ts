import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { OidcOptions, ResponseType } from '../../lib/index.js'
import type { Agent } from '../support/agent.js'
import {
  duende,
  identityServer3,
  identityServer4,
  leaveProvider,
  openIddict,
  openIdentityServer,
  type Traits,
} from '../support/imitations/index.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { type Fixture, isSignedIn, register, signIn, TOKEN_LIFE, withFixture } from './fixture.js'

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

async function seesClaims(fixture: Fixture, hasUserinfo: boolean): Promise<Agent> {
  const agent = await signIn(fixture)
  const { sub, email, role } = agent.page?.json<Record<string, unknown>>() ?? {}
  assert.equal(sub, '818727-alice')
  assert.equal(email, 'alice@idsrv.example')
  assert.deepEqual(role, ['editor', 'admin'])
  assert.equal(fixture.imitation.requestsTo('userinfo').length, hasUserinfo ? 1 : 0)
  return agent
}

/** Twenty calls at once when the access token is over: one token request, and the same new token for all. */
async function refreshesOnce({ imitation, site, advance }: Fixture, agent: Agent): Promise<void> {
  const refreshes = () => imitation.requestsTo('token').filter(({ form }) => form.grant_type === 'refresh_token').length
  advance(TOKEN_LIFE + 60)
  const earlier = refreshes()
  const call = () => agent.fetch(`${site.url}/token`, { from: `${site.url}/claims` })
  const responses = await Promise.all(Array.from({ length: 20 }, call))
  assert.deepEqual(
    responses.map(({ status }) => status),
    responses.map(() => 200),
    imitation.log.join('\n'),
  )
  assert.equal(new Set(responses.map(response => response.json<{ value: string }>().value)).size, 1)
  assert.equal(refreshes() - earlier, 1)
}

async function signsOutHere(fixture: Fixture, agent: Agent): Promise<void> {
  const { imitation, site } = fixture
  await agent.open(`${site.url}/claims`)
  const page = await agent.click(`${site.url}/logout`)
  assert.match(page.text, /You are signed out/, imitation.log.join('\n'))
  const { back } = await leaveProvider(agent, page)
  assert.equal(back?.url, `${site.url}/`)
  assert.deepEqual([await isSignedIn(fixture, agent), imitation.isSignedIn('alice')], [false, false])
}

/** The user signs out at the provider, whose page loads a frame of the site. */
async function signsOutByFrame(fixture: Fixture): Promise<void> {
  const { imitation } = fixture
  register(fixture, { frontChannel: true })
  const agent = await signIn(fixture)
  const page = await agent.post(`${imitation.issuer}/account/logout`, {}, { from: `${imitation.issuer}/` })
  const { frames } = await leaveProvider(agent, page)
  const isOffered = imitation.traits.signOut.frame !== undefined
  assert.deepEqual(
    frames.map(({ status }) => status),
    isOffered ? [200] : [],
  )
  assert.equal(await isSignedIn(fixture, agent), !isOffered)
}

async function signsOutByLogoutToken(fixture: Fixture): Promise<void> {
  const { imitation } = fixture
  register(fixture, { backChannel: true })
  const agent = await signIn(fixture)
  const isOffered = imitation.traits.signOut.logoutToken !== undefined
  const statuses = await imitation.endSessionsOf('alice')
  assert.deepEqual(
    statuses.filter(status => status !== undefined),
    isOffered ? [200] : [],
    fixture.site.log.join('\n'),
  )
  assert.equal(await isSignedIn(fixture, agent), !isOffered)
}

/** What has to be set for a server, beside issuer, client and secret. */
interface Candidate {
  readonly traits: Traits
  readonly options?: OidcOptions
  readonly responseTypes: readonly ResponseType[]
}

const withCode: readonly ResponseType[] = ['code id_token token', 'code id_token', 'code token', 'code']
const hybrid: readonly ResponseType[] = ['code id_token token', 'code id_token', 'code token']

/** `pkce: false` is the one thing to set for a client that serves Katana as well. */
const withoutPkce = { pkce: false } as const

const candidates: readonly Candidate[] = [
  { traits: identityServer3({ flow: 'Hybrid' }), options: withoutPkce, responseTypes: hybrid },
  { traits: identityServer3({ flow: 'AuthorizationCode' }), options: withoutPkce, responseTypes: ['code'] },
  { traits: identityServer3({ flow: 'HybridWithProofKey' }), responseTypes: hybrid },
  { traits: identityServer4(), responseTypes: withCode },
  { traits: openIdentityServer(), responseTypes: withCode },
  { traits: duende(), responseTypes: ['code id_token token', 'code id_token', 'code'] },
  { traits: duende({ emitsIssuer: false }), responseTypes: ['code token'] },
  { traits: openIddict(), responseTypes: withCode },
]

describe('the client of the specification', () => {
  for (const { traits, options = {}, responseTypes } of candidates) {
    for (const responseType of responseTypes) {
      test(`${traits.name}, ${responseType}: signs in, refreshes once for twenty requests, and signs out by every channel`, () =>
        withFixture(
          traits,
          { oidc: { responseType, responseMode: 'form_post', redis: redis.url, ...options } },
          async fixture => {
            const agent = await seesClaims(fixture, true)
            await refreshesOnce(fixture, agent)
            await signsOutHere(fixture, agent)
            await signsOutByFrame(fixture)
            await signsOutByLogoutToken(fixture)
          },
        ))
    }
  }

  for (const traits of [
    identityServer3({ flow: 'Implicit' }),
    identityServer4(),
    openIdentityServer(),
    duende(),
    openIddict(),
  ]) {
    test(`${traits.name}, id_token: signs in by the ID Token alone, and signs out by every channel`, () =>
      withFixture(
        traits,
        { oidc: { responseType: 'id_token', scope: 'openid email profile', redis: redis.url } },
        async fixture => {
          const agent = await seesClaims(fixture, false)
          await signsOutHere(fixture, agent)
          await signsOutByFrame(fixture)
          await signsOutByLogoutToken(fixture)
        },
      ))
  }
})
