import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import type { Express } from 'express'
import type { OidcErrorCode } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import { type Fixture, type FixtureOptions, openFixture } from '../support/handler-fixture.js'
import type { Faults } from '../support/hostile-provider.js'
import { startLoopbackServer } from '../support/loopback-server.js'

export interface AttackOptions extends FixtureOptions {
  /** Statuses above 499 that are the right response to this attack. */
  readonly allows?: readonly number[]
}

export interface Refusal {
  readonly what: string
  readonly faults: Faults
  readonly code: OidcErrorCode
  /** How often the code may have been sent. Default 0: the fault is in the front channel. */
  readonly tokenRequests?: number
  /** How often userinfo may have been asked. Default 0. */
  readonly userInfoRequests?: number
}

/** A fixture with a signed-in user who does not take part, and a host that must get no request. */
export interface AttackFixture extends Fixture {
  readonly victim: Agent
  readonly evil: { readonly url: string; readonly requests: readonly string[] }
  /** A new browser tries to sign in while the provider does this, and nothing comes of it. */
  refuses(refusal: Refusal): Promise<Page>
  /** A new browser signs in while the provider does this. */
  accepts(what: string, faults: Faults): Promise<Page>
}

/**
 * A test of an attack. After each, the site still responds and made no unexpected server error, a user who was signed in
 * still is, the evil host got no request, and (as in every test) no secret was logged.
 */
export function attack(name: string, options: AttackOptions, run: (fixture: AttackFixture) => Promise<void>): void {
  test(name, async () => {
    const { allows = [], ...fixtureOptions } = options
    const serverErrors: string[] = []
    const before = (app: Express) => {
      app.use((req, res, next) => {
        res.on('finish', () => {
          if (res.statusCode < 500 || allows.includes(res.statusCode)) return
          serverErrors.push(`${res.statusCode} ${req.method} ${req.originalUrl.slice(0, 200)}`)
        })
        next()
      })
      options.site?.before?.(app)
    }
    const fixture = await openFixture({ ...fixtureOptions, site: { ...options.site, before } })
    const evil = await startEvilHost()
    try {
      const victim = createAgent()
      const user = await signIn(fixture, victim)
      await run({
        ...fixture,
        victim,
        evil,
        refuses: refusal => assertRefusal(fixture, refusal),
        accepts: (what, faults) => assertAcceptance(fixture, what, faults),
      })
      assert.deepEqual(evil.requests, [], 'requests to the evil host')
      assert.deepEqual(serverErrors, [], 'server errors')
      assert.equal(await whoIs(fixture, victim), user, 'the one who was signed in still is')
    } finally {
      await fixture.close()
      await evil.stop()
    }
  })
}

async function startEvilHost() {
  const requests: string[] = []
  const server = await startLoopbackServer((req, res) => {
    requests.push(`${req.method} ${req.url}`)
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"keys":[]}')
  })
  return { url: `http://127.0.0.1:${server.port}`, requests, stop: server.stop }
}

async function signIn(fixture: Fixture, agent: Agent): Promise<string | undefined> {
  const page = await agent.visit(`${fixture.site.url}/login?returnTo=/user`)
  assert.equal(page.status, 200, page.text)
  return whoIs(fixture, agent)
}

/** The `sub` a browser is signed in with. */
export async function whoIs({ site }: Pick<Fixture, 'site'>, agent: Agent): Promise<string | undefined> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ user: { sub: string } | null }>().user?.sub
}

/** A session cookie that takes nothing away is not among them. */
export function sessionCookiesSet(page: Page): string[] {
  return page.hops.flatMap(hop => hop.setCookies).filter(cookie => /^(__Host-)?sid=/.test(cookie))
}

async function assertRefusal(fixture: Fixture, { what, faults, code, ...expected }: Refusal): Promise<Page> {
  const { provider, site } = fixture
  const before = { token: provider.count('token'), userinfo: provider.count('userinfo') }
  const agent = createAgent()
  site.errors.length = 0
  provider.heal()
  provider.break(faults)
  const page = await agent.visit(`${site.url}/claims`)
  provider.heal()
  assert.equal(site.lastCode(), code, `${what}: ${page.status} ${page.text.slice(0, 300)}`)
  assert.ok(page.status >= 400, `${what}: status ${page.status}`)
  assert.deepEqual(sessionCookiesSet(page), [], `${what}: session cookies`)
  assert.equal(await whoIs(fixture, agent), undefined, `${what}: a user is signed in`)
  assert.equal(provider.count('token') - before.token, expected.tokenRequests ?? 0, `${what}: token requests`)
  assert.equal(
    provider.count('userinfo') - before.userinfo,
    expected.userInfoRequests ?? 0,
    `${what}: userinfo requests`,
  )
  return page
}

async function assertAcceptance(fixture: Fixture, what: string, faults: Faults): Promise<Page> {
  const { provider, site } = fixture
  const agent = createAgent()
  provider.heal()
  provider.break(faults)
  const page = await agent.visit(`${site.url}/claims`)
  provider.heal()
  assert.equal(page.status, 200, `${what}: ${page.status} ${page.text.slice(0, 300)}`)
  assert.notEqual(await whoIs(fixture, agent), undefined, `${what}: no user is signed in`)
  return page
}

export interface RawReply {
  readonly status: number
  /** With the status line, as it came. */
  readonly head: string
  readonly body: string
  header(name: string): string | undefined
}

/** Sends bytes as they are, for what no HTTP client would send, and reads until the server closes. */
export function sendRaw(siteUrl: string, lines: readonly string[], body = ''): Promise<RawReply> {
  const port = Number(new URL(siteUrl).port)
  const text = `${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n${body}`
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1', () => socket.write(text, 'latin1'))
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => {
      const [head = '', ...rest] = Buffer.concat(chunks).toString('latin1').split('\r\n\r\n')
      resolve({
        status: Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1] ?? 0),
        head,
        body: rest.join('\r\n\r\n'),
        header: name => new RegExp(`^${name}: (.*)$`, 'im').exec(head)?.[1],
      })
    })
  })
}

/** The fields of the provider's answer, kept from being sent: an attempt that waits for its callback. */
export async function startAttempt({ site }: Pick<Fixture, 'site'>, agent: Agent, path = '/claims') {
  const page = await agent.open(site.url + path)
  const form = page.forms[0]
  assert.ok(form, `no form: ${page.status} ${page.text.slice(0, 300)}`)
  return form.fields
}

/** What a browser would send as its Cookie header to the site. */
export function cookieHeader({ site }: Pick<Fixture, 'site'>, agent: Agent): string {
  return agent
    .cookies(site.url)
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
}
