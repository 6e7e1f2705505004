import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { requiresAuth } from '../../lib/index.js'
import { startApi } from '../api/api.js'
import { type Agent, createAgent } from '../support/agent.js'
import { send } from '../support/http-client.js'
import { isKeptFormPage, isUnsentPage } from '../support/kept-form.js'
import { secret } from '../support/secrets.js'
import { type HostsFixture, type HostsFixtureOptions, withHosts } from '../support/several-hosts.js'

const now = () => Math.floor(Date.now() / 1000)

/** Both hosts, with a user who is signed in at each of them in one browser. */
async function withUser(
  oidc: HostsFixtureOptions['oidc'],
  run: (fixture: HostsFixture & { agent: Agent; isSignedIn(): Promise<boolean[]> }) => Promise<void>,
): Promise<void> {
  await withHosts({ oidc: oidc ?? {} }, async fixture => {
    const agent = createAgent()
    const hosts = [fixture.at('a'), fixture.at('b')]
    for (const host of hosts) await agent.visit(`${host}/claims`)
    const isSignedIn = async () => {
      const pages = await Promise.all(hosts.map(host => agent.fetch(`${host}/user`, { from: `${host}/` })))
      return pages.map(page => page.json<{ isAuthenticated: boolean }>().isAuthenticated)
    }
    assert.deepEqual(await isSignedIn(), [true, true])
    await run({ ...fixture, agent, isSignedIn })
  })
}

describe('what a provider calls at one host ends the sessions at all hosts', () => {
  test('a front-channel logout', () =>
    withUser({}, async ({ at, provider, isSignedIn }) => {
      const named = new URLSearchParams({ iss: provider.issuer, sid: 'sid-1' })
      assert.equal((await send({ url: `${at('b')}/logout/frontchannel?${named}` })).status, 200)
      assert.deepEqual(await isSignedIn(), [false, false])
    }))

  test('a signal', () =>
    withUser({ routes: { signals: '/signals' } }, async ({ at, provider, isSignedIn }) => {
      const { issuer: iss, clientId: aud } = provider
      const claims = { iss, aud, iat: now(), jti: secret('event id') }
      const sub_id = { format: 'iss_sub', iss, sub: 'alice-0001' }
      const events = { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': {} }
      const body = await provider.keys.sign({ ...claims, sub_id, events }, undefined, 'secevent+jwt')
      const headers = { 'content-type': 'application/secevent+jwt', accept: 'application/json' }
      const { status, text } = await send({ url: `${at('b')}/signals`, method: 'POST', headers, body })
      assert.equal(status, 202, text)
      assert.deepEqual(await isSignedIn(), [false, false])
    }))

  test('a global revocation, whose aud is the called address and not that of another host', () =>
    withUser({ routes: { revocation: '/revocation' } }, async ({ at, provider, isSignedIn }) => {
      const revoke = async (called: string, named: string) => {
        const claims = { iss: provider.issuer, aud: `${named}/revocation`, iat: now(), exp: now() + 60 }
        const type = 'global-token-revocation+jwt'
        const token = await provider.keys.sign({ ...claims, jti: secret('revocation id') }, undefined, type)
        const { status } = await send({
          url: `${called}/revocation`,
          method: 'POST',
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
          body: JSON.stringify({ sub_id: { format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' } }),
        })
        return status
      }
      assert.equal(await revoke(at('b'), at('a')), 401)
      assert.deepEqual(await isSignedIn(), [true, true])
      assert.equal(await revoke(at('b'), at('b')), 204)
      assert.deepEqual(await isSignedIn(), [false, false])
    }))
})

test('oidc.proxy forwards calls of the pages of a host, and none of a page of another host; a redirect of the API stays as it is', async () => {
  const api = await startApi()
  api.respond((_request, response) => response.writeHead(302, { location: '/elsewhere' }).end())
  try {
    let fixture: HostsFixture | undefined
    const routes = (app: Express) =>
      void app.use((req, res, next) => fixture?.site.oidc.proxy('/api', { target: api.origin })(req, res, next))
    await withHosts({ routes }, async given => {
      fixture = given
      const { at, site } = given
      const agent = createAgent()
      await agent.visit(`${at('a')}/claims`)
      const call = (host: string, origin: string) =>
        agent.fetch(`${host}/api/orders`, {
          from: `${host}/`,
          headers: { 'x-csrf': '1', origin },
          redirect: 'manual',
        })
      const own = await call(at('a'), at('a'))
      assert.deepEqual([own.status, own.headers.location], [302, '/elsewhere'])
      assert.equal(api.requests.length, 1)
      await call(at('a'), at('b'))
      assert.equal(site.lastCode(), 'ERR_OIDC_FOREIGN_REQUEST')
      await call(at('b'), at('b'))
      assert.equal(site.lastCode(), 'ERR_OIDC_LOGIN_REQUIRED')
      assert.equal(api.requests.length, 1)
    })
  } finally {
    await api.close()
  }
})

test('a form that is kept at one host is displayed and sent there, and is none at another', async () => {
  const received: string[] = []
  let ahead = 0
  const time = () => Date.now() + ahead
  const routes = (app: Express) => {
    app.post('/notes', requiresAuth({ keepForm: true }), (req, res) => {
      received.push(`${req.headers.host}${req.originalUrl}`)
      res.send('saved')
    })
  }
  await withHosts({ routes, oidc: { routes: { keptForm: '/form' }, now: () => new Date(time()) } }, async fixture => {
    const { at, provider } = fixture
    provider.break({ frontIdToken: atTime, backIdToken: atTime })
    const agent = createAgent()
    await agent.visit(`${at('a')}/claims`)
    ahead = 7 * 24 * 60 * 60 * 1000
    let page = await agent.post(`${at('a')}/notes`, { title: 'Milk' }, { from: `${at('a')}/` })
    while (page.forms[0]?.isAutomatic) page = await agent.submitForm()
    assert.ok(isKeptFormPage(page), page.text)
    const address = new URL(page.url)
    assert.equal(address.origin, at('a'))
    const elsewhere = agent.tab()
    await elsewhere.visit(`${at('b')}/claims`)
    const there = await elsewhere.open(`${at('b')}${address.pathname}${address.search}`)
    assert.ok(isUnsentPage(there), there.text)
    assert.doesNotMatch(there.text, /Milk/)
    await agent.submitForm()
    assert.deepEqual(received, [`${new URL(at('a')).host}/notes`])
  })

  function atTime(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const iat = Math.floor(time() / 1000)
    return { ...claims, iat, exp: iat + 300, auth_time: iat }
  }
})
