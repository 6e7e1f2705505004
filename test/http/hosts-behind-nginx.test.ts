import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { send } from '../support/http-client.js'
import { freePort, startNginx } from '../support/nginx.js'
import { type HostsFixture, withHosts } from '../support/several-hosts.js'

/** A site with two hosts, whose port is that of a real nginx in front of it. */
async function withNginx(
  passesHost: boolean,
  run: (fixture: HostsFixture, hosts: readonly string[]) => Promise<void>,
): Promise<void> {
  const front = await freePort()
  const hosts = ['a', 'b'].map(name => `http://${name}.localhost:${front}`)
  await withHosts({ baseUrl: () => hosts }, async fixture => {
    const nginx = await startNginx({ upstream: fixture.port, port: front, passesHost })
    try {
      await run(fixture, hosts)
    } finally {
      await nginx.close()
    }
  })
}

test('behind nginx that passes Host on, users sign in and out at each host', () =>
  withNginx(true, async ({ provider }, hosts) => {
    const agent = createAgent()
    for (const host of hosts) {
      const page = await agent.visit(`${host}/claims`)
      assert.deepEqual([page.status, page.url], [200, `${host}/claims`], page.text)
      assert.match(String(page.headers.server), /^nginx/)
      assert.equal(provider.requestsTo('authorize').at(-1)?.query.redirect_uri, `${host}/callback`)
    }
    for (const host of hosts) {
      const page = await agent.visit(`${host}/logout?returnTo=/user`, { from: `${host}/` })
      assert.equal(page.url, `${host}/user`, page.text)
      assert.match(page.text, /"isAuthenticated":false/)
    }
  }))

test('behind nginx with its defaults, every host gets 421, and the log line names the header', () =>
  withNginx(false, async ({ site }, hosts) => {
    for (const host of hosts) {
      const response = await send({ url: `${host}/login`, headers: { accept: 'text/html' } })
      assert.equal(response.status, 421)
      assert.match(String(response.headers.server), /^nginx/)
      assert.deepEqual([response.headers.location, response.setCookies], [undefined, []])
    }
    const line = site.log.find(line => line.includes('ERR_OIDC_HOST_UNKNOWN'))
    assert.match(line ?? '', /a proxy in front of the site has to pass the header Host on as the browser sent it$/)
  }))
