import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { request as requestHttp } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { IdentityProvider } from 'oidc-provider'
import type { Page } from 'playwright-core'
import { addFrontChannelLogout } from '../../sample-app/identity-server/front-channel-logout.js'
import { type Agent, createAgent } from '../support/agent.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { send } from '../support/http-client.js'
import { type LoopbackServer, startLoopbackServer } from '../support/loopback-server.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { postLogoutToken } from './support.js'

/** One site in three processes behind one address, which sends each request to the next of them. */
let redis: RedisServer
let provider: TestProvider
let balancer: LoopbackServer
let chromium: Chromium
let url: string
const children: ChildProcess[] = []
const ports: number[] = []
const logoutTokens: string[] = []

before(async () => {
  redis = await startRedis()
  provider = await startProvider({ customise: oidc => addFrontChannelLogout(oidc as unknown as IdentityProvider) })
  let next = 0
  balancer = await startLoopbackServer((incoming, outgoing) => {
    const { method, url: path, headers } = incoming
    next += 1
    const target = { host: '127.0.0.1', port: ports[next % ports.length], method, path, headers }
    const forwarded = requestHttp(target, response => {
      outgoing.writeHead(response.statusCode ?? 500, response.headers)
      response.pipe(outgoing)
    })
    forwarded.on('error', () => outgoing.destroy())
    incoming.on('data', chunk => rememberTokens(String(chunk)))
    incoming.pipe(forwarded)
  })
  url = `http://localhost:${balancer.port}`
  provider.register(url, { frontchannel_logout_uri: `${url}/logout/frontchannel` })
  const { issuer, clientId, clientSecret } = provider
  const site = { baseUrl: url, redis: redis.url, secret: secret('session secret'), timeouts: { redis: 5000 } }
  const shared = { issuer, clientId, clientSecret, ...site }
  ports.push(...(await Promise.all([shared, shared, shared].map(startProcess))))
  chromium = await startChromium({ args: ['--test-third-party-cookie-phaseout'] })
})
after(async () => {
  await chromium.close()
  for (const child of children) child.kill('SIGKILL')
  await balancer.stop()
  await provider.close()
  await redis.stop()
})

async function startProcess(oidc: object): Promise<number> {
  const child = fork(new URL('site-process.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
  children.push(child)
  child.send(oidc)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return port
}

/** The logout tokens of the provider as they pass by, so that a test can send them again. */
function rememberTokens(body: string): void {
  const token = new URLSearchParams(body).get('logout_token')
  if (token !== null) logoutTokens.push(token)
}

/** How often the hook on sign-out has run, in all processes. */
async function countSignOuts(): Promise<number> {
  const responses = children.map(async child => {
    child.send('count')
    const [{ signedOut }] = (await once(child, 'message')) as [{ signedOut: number }]
    return signedOut
  })
  return (await Promise.all(responses)).reduce((sum, count) => sum + count, 0)
}

async function signedInAgent(): Promise<Agent> {
  const agent = createAgent()
  const page = await agent.visit(`${url}/claims`)
  assert.equal(page.status, 200, page.text)
  return agent
}

async function signOutAtProvider(page: Page): Promise<void> {
  await page.goto(`${provider.issuer}/end_session`)
  await page.waitForURL(`${provider.issuer}/end_session/success`)
}

/** Asked of each process. */
async function isSignedIn(agent: Agent): Promise<boolean> {
  const responses = await Promise.all(ports.map(() => agent.fetch(`${url}/user`, { from: `${url}/` })))
  const found = new Set(responses.map(page => page.json<{ isAuthenticated: boolean }>().isAuthenticated))
  assert.equal(found.size, 1, 'all processes say the same')
  return [...found][0] ?? false
}

describe('three processes, a real Redis and oidc-provider with both logouts on', () => {
  test('signing out ends the session at the provider, whose back-channel call any process can take', async () => {
    const agent = await signedInAgent()
    const before = [await countSignOuts(), logoutTokens.length] as const
    const left = await agent.post(`${url}/logout?returnTo=/user`, {})
    assert.match(left.text, /document\.forms\[0\]\.submit/, 'the provider asks in its own way')
    const page = await agent.submitForm()
    assert.match(page.text, /<iframe hidden src="http:\/\/localhost:\d+\/logout\/frontchannel\?iss=/)
    assert.equal(logoutTokens.length, before[1] + 1)
    assert.equal(await isSignedIn(agent), false)
    assert.equal(await countSignOuts(), before[0] + 1)
    assert.deepEqual(provider.errors, [])
  })

  test('in Chromium, with third-party cookies blocked: by the frame, and back to where the site wanted', async () => {
    const page = await chromium.newPage()
    await page.goto(`${url}/claims`)
    const framed = page.waitForResponse(response => response.url().includes('/logout/frontchannel'))
    await page.goto(`${url}/logout?returnTo=/user`)
    const response = await framed
    assert.equal(response.status(), 200)
    assert.equal((await response.request().allHeaders()).cookie, undefined)
    await page.waitForURL(`${url}/user`)
    assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
    await page.context().close()
  })

  test('signing out at the provider, in another browser window, ends the session here by frame and by call', async () => {
    const page = await chromium.newPage()
    await page.goto(`${url}/claims`)
    const tokens = logoutTokens.length
    const framed = page.waitForResponse(response => response.url().includes('/logout/frontchannel'))
    await signOutAtProvider(page)
    assert.equal((await framed).status(), 200)
    assert.equal(logoutTokens.length, tokens + 1)
    await page.goto(`${url}/user`)
    assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
    await page.context().close()
  })

  test('the front channel alone is enough where the back channel does not get through', async () => {
    // Without a back channel oidc-provider names no session in its ID Tokens.
    provider.register(url, {
      frontchannel_logout_uri: `${url}/logout/frontchannel`,
      backchannel_logout_uri: `${url}/nowhere`,
    })
    try {
      const page = await chromium.newPage()
      await page.goto(`${url}/claims`)
      const tokens = logoutTokens.length
      const framed = page.waitForResponse(response => response.url().includes('/logout/frontchannel'))
      await signOutAtProvider(page)
      assert.equal((await framed).status(), 200)
      assert.equal(logoutTokens.length, tokens + 1, 'sent to an address that is not there')
      await page.goto(`${url}/user`)
      assert.match((await page.textContent('body')) ?? '', /"isAuthenticated":false/)
      await page.context().close()
    } finally {
      provider.register(url, { frontchannel_logout_uri: `${url}/logout/frontchannel` })
    }
  })

  test('one token twenty times at once, at all three processes: one effect, and later sign-ins live', async () => {
    const agent = await signedInAgent()
    const signOuts = await countSignOuts()
    const { token, stop } = await catchToken(agent)
    await stop()
    assert.equal(await isSignedIn(agent), true, 'the token was caught before it arrived')
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, at) => postLogoutToken(`http://localhost:${ports[at % 3]}`, token)),
    )
    assert.deepEqual([...new Set(responses.map(({ status }) => status))], [200])
    assert.equal(await isSignedIn(agent), false)
    assert.equal(await countSignOuts(), signOuts + 1)
    const again = await signedInAgent()
    assert.equal((await postLogoutToken(url, token)).status, 200)
    assert.equal(await isSignedIn(again), true)
  })

  /** Signs out at the provider with the back channel pointing here, and keeps what arrives. */
  async function catchToken(agent: Agent): Promise<{ token: string; stop: () => Promise<void> }> {
    let token = ''
    const trap = await startLoopbackServer((req, res) => {
      req.on('data', chunk => {
        token = new URLSearchParams(String(chunk)).get('logout_token') ?? ''
      })
      req.on('end', () => res.end())
    })
    provider.register(url, { backchannel_logout_uri: `http://127.0.0.1:${trap.port}/` })
    await agent.open(`${provider.issuer}/end_session`)
    await agent.submitForm()
    provider.register(url, { frontchannel_logout_uri: `${url}/logout/frontchannel` })
    return { token, stop: trap.stop }
  }

  test('a logout during a hundred requests spread over the processes leaves nothing behind', async () => {
    const agent = await signedInAgent()
    const { token, stop } = await catchToken(agent)
    await stop()
    const from = `${url}/`
    const requests = Array.from({ length: 100 }, (_, at) =>
      agent.fetch(`${url}/session?key${at}=${at}`, { method: 'POST', from, headers: { cookie: sessionCookie(agent) } }),
    )
    const logout = postLogoutToken(url, token)
    for (const page of await Promise.all(requests)) assert.equal(page.status, 200)
    assert.equal((await logout).status, 200)
    const page = await send({ url: `${url}/user`, headers: { cookie: sessionCookie(agent) } })
    assert.equal(JSON.parse(page.text).isAuthenticated, false)
  })

  function sessionCookie(agent: Agent): string {
    return `sid=${agent.cookies(url).find(({ name }) => name === 'sid')?.value}`
  }
})
