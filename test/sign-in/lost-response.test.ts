import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import expressSession from 'express-session'
import { startAttempt } from '../attacks/fixture.js'
import { createAgent } from '../support/agent.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { withFixture } from '../support/handler-fixture.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

let chromium: Chromium

before(async () => {
  chromium = await startChromium()
})
after(() => chromium.close())

async function freePort(): Promise<number> {
  const server = await startLoopbackServer(() => {})
  await server.stop()
  return server.port
}

/** A wire that breaks when the first response to a POST has arrived at it, and carries everything else. */
async function startWire(port: number, upstream: number) {
  let isBroken = false
  let posts = 0
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const site = connect(upstream, '127.0.0.1')
    let isPost = false
    for (const socket of [client, site]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    client.on('data', chunk => {
      const text = chunk.toString('latin1')
      // The body may come in a piece of its own.
      const method = /^([A-Z]+) \//.exec(text)?.[1]
      if (method !== undefined) isPost = method === 'POST'
      if (method === 'POST') posts += 1
      site.write(chunk)
    })
    site.on('data', chunk => {
      if (isPost && !isBroken) {
        isBroken = true
        client.resetAndDestroy()
      } else client.write(chunk)
    })
    client.on('close', () => site.end())
    site.on('close', () => client.end())
  })
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  return {
    posts: () => posts,
    close: () =>
      new Promise<void>(resolve => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

test('a response to the callback that is lost on the wire: the browser posts again, and gets the session of the first time', async () => {
  const provider = await startHostileProvider()
  const [front, upstream] = [await freePort(), await freePort()]
  const wire = await startWire(front, upstream)
  const { issuer, clientId, clientSecret } = provider
  const baseUrl = `http://localhost:${front}`
  const site = await startSite({ port: upstream, oidc: { issuer, clientId, clientSecret, baseUrl } })
  const tab = await chromium.newPage()
  try {
    await tab.goto(`${baseUrl}/`)
    await tab.goto(`${baseUrl}/claims`).catch(() => {})
    // Chromium posts again by itself over a connection that it has used before; otherwise the user reloads the error page.
    await tab.waitForURL(`${baseUrl}/claims`, { timeout: 5_000 }).catch(() => tab.reload().catch(() => {}))
    await tab.waitForURL(`${baseUrl}/claims`)
    assert.match(await tab.innerText('body'), /alice-0001/)
    assert.equal(wire.posts(), 2, 'posted twice')
    assert.equal(provider.count('token'), 1)
    assert.equal(provider.count('authorize'), 1)
    assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 1)
  } finally {
    await tab.context().close()
    await wire.close()
    await site.close()
    await provider.close()
  }
})

test("over the site's own express-session the same response gets the same session, too", async () => {
  const options = { secret: secret('express-session secret'), resave: false, saveUninitialized: false }
  const mount = {
    oidc: { session: false },
    site: { before: (app: { use(handler: never): unknown }) => void app.use(expressSession(options) as never) },
  } as const
  await withFixture(mount, async ({ agent, site, provider }) => {
    const fields = await startAttempt({ site }, agent)
    const headers = {
      cookie: agent
        .cookies(site.url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; '),
    }
    const ids = new Set<string>()
    for (let time = 0; time < 2; time += 1) {
      const options = { from: provider.issuer, headers, redirect: 'manual' } as const
      const page = await createAgent().post(`${site.url}/callback`, fields, options)
      const cookie = page.hops[0]?.setCookies.find(value => value.startsWith('connect.sid='))?.split(';')[0]
      assert.ok(cookie, `time ${time}`)
      ids.add(cookie)
      const user = await createAgent().fetch(`${site.url}/user`, { headers: { cookie } })
      assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, true)
    }
    assert.equal(ids.size, 1)
    assert.equal(provider.count('token'), 1)
  })()
})
