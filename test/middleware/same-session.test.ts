import assert from 'node:assert/strict'
import { test } from 'node:test'
import express, { type Express } from 'express'
import { requiresSameSession } from '../../lib/index.js'
import type { Agent } from '../support/agent.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'

const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob-0002' })
const bob = { frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob }

function routesThatCount(done: string[]) {
  return (app: Express) => {
    app.get('/handle', (req, res) => void res.send(req.oidc.handle ?? ''))
    app.post('/unparsed', requiresSameSession(), (_req, res) => void res.send(String(done.push('unparsed'))))
    app.post('/note', express.urlencoded({ extended: true }), requiresSameSession(), (req, res) => {
      done.push(String(req.oidc.user?.sub))
      res.send('stored')
    })
  }
}

async function post({ site }: Fixture, agent: Agent, fields: string, headers: Record<string, string> = {}) {
  const type = { 'content-type': 'application/x-www-form-urlencoded' }
  return agent.fetch(`${site.url}/note`, { method: 'POST', body: fields, headers: { ...type, ...headers } })
}

const done: string[] = []
test(
  'a form of a page that was made for another session is refused, and one of this session is not',
  withFixture({ site: { routes: routesThatCount(done) } }, async fixture => {
    const { agent, site, provider } = fixture
    assert.equal((await post(fixture, agent, 'sessionHandle=')).status, 401, 'signed out')
    await agent.visit(`${site.url}/claims`)
    const { text: handle } = await agent.fetch(`${site.url}/handle`)
    const own = `sessionHandle=${handle}`
    assert.equal((await post(fixture, agent, own)).text, 'stored')
    assert.equal((await post(fixture, agent, '', { 'x-session-handle': handle })).text, 'stored')
    assert.equal((await post(fixture, agent, own, { 'x-session-handle': handle })).text, 'stored')

    provider.break(bob)
    await agent.tab().visit(`${site.url}/login?returnTo=/claims`)
    provider.heal()
    const { text: handleOfBob } = await agent.fetch(`${site.url}/handle`)
    assert.notEqual(handleOfBob, handle)
    done.length = 0
    const bobs = `sessionHandle=${handleOfBob}`
    const forms = ['', own, 'sessionHandle=', `${bobs}&${bobs}`, `sessionHandle[a]=${handleOfBob}`, `${bobs}%00`]
    for (const form of forms) {
      const { status } = await post(fixture, agent, form)
      assert.deepEqual([status, site.lastCode()], [409, 'ERR_OIDC_SESSION_CHANGED'], form)
    }
    for (const header of [handle, '', `${handleOfBob}, ${handleOfBob}`])
      assert.equal((await post(fixture, agent, bobs, { 'x-session-handle': header })).status, 409, header)
    assert.equal((await agent.fetch(`${site.url}/unparsed`, { method: 'POST', body: bobs })).status, 409)
    assert.deepEqual(done, [], 'nothing behind the guard has run')
    assert.equal((await post(fixture, agent, bobs)).text, 'stored')
    assert.deepEqual(done, ['bob-0002'])
  }),
)
