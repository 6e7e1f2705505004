import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { createAgent } from './support/agent.js'
import { deny, startHostileProvider } from './support/hostile-provider.js'
import { createReadersFolder, type ReadersFolder } from './support/installed-package.js'
import { startLoopbackServer } from './support/loopback-server.js'
import { startRedis } from './support/redis.js'
import { findFreePort, startSiteProcess, untilSaid } from './support/running-site.js'
import { secret } from './support/secrets.js'
import { filesOf, readPage } from './tools/documentation.js'

const page = readPage('docs/getting-started.md')
const files = filesOf(page)

describe('the site of docs/getting-started.md, copied from the page', () => {
  let folder: ReadersFolder

  before(() => {
    folder = createReadersFolder()
    for (const [name, text] of files) folder.write(name, text)
  })
  after(() => folder.remove())

  test('is three files, and every block of the page is in one of them', () => {
    assert.deepEqual([...files.keys()], ['app.mjs', 'server.mjs', 'app.test.mjs'])
    const blocks = page.text.match(/^```js$/gm) ?? []
    assert.equal(blocks.length, (page.text.match(/^```js\n\/\/ /gm) ?? []).length)
  })

  test('uses nothing that the types do not have', () => {
    folder.write(
      'session.d.ts',
      "import 'express-session'\ndeclare module 'express-session' { interface SessionData { cart: string[] } }\n",
    )
    const loose = '--allowJs --checkJs --strict false --skipLibCheck --module nodenext --target es2023 --types node'
    const check = (...names: readonly string[]) => folder.check(...loose.split(' '), ...names, 'session.d.ts')
    // What a test does with "server.address()" is right where the server listens by a port.
    const isAboutPort = (line: string) => /'port' does not exist on type 'string/.test(line)
    const complaints = check('app.mjs', 'server.mjs', 'app.test.mjs').split('\n')
    assert.deepEqual(
      complaints.filter(line => line !== '' && !isAboutPort(line)),
      [],
    )
    folder.write('wrong.mjs', "import { openIdConnect } from 'express-hybrid-oidc'\nopenIdConnect({ clientID: 'x' })")
    assert.match(check('wrong.mjs'), /clientID/)
  })

  test('passes its own tests', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--test'], {
      cwd: folder.path,
      encoding: 'utf8',
      env: { PATH: process.env.PATH },
    })
    assert.equal(status, 0, stdout + stderr)
    assert.match(stdout, /pass 3\b/)
  })

  test('does what the page says, with a provider, Redis and an API', async () => {
    const port = await findFreePort()
    const url = `http://localhost:${port}`
    const [provider, redis] = [await startHostileProvider({ clientId: 'shop' }), await startRedis()]
    const authorizations: (string | undefined)[] = []
    const api = await startLoopbackServer((request, response) => {
      authorizations.push(request.headers.authorization)
      response.setHeader('content-type', 'application/json').end('["tea"]')
    })
    const env = {
      PORT: String(port),
      OIDC_ISSUER: provider.issuer,
      OIDC_CLIENT_ID: 'shop',
      OIDC_CLIENT_SECRET: provider.clientSecret,
      OIDC_BASE_URL: url,
      SESSION_SECRET: secret('secret of getting started'),
      REDIS_URL: redis.url,
      ORDERS_API: `http://localhost:${api.port}`,
    }
    const site = await startSiteProcess(folder.path, ['server.mjs'], { url, env })
    try {
      const agent = createAgent()
      assert.match((await agent.open(`${url}/`)).text, /<a href="\/login">Sign in<\/a>[\s\S]*In your cart: nothing/)
      assert.match((await agent.post(`${url}/cart/tea`, {})).text, /In your cart: tea/)

      provider.break({ response: deny('access_denied') })
      const refused = await agent.visit(`${url}/account`)
      assert.equal(refused.status, 403)
      assert.match(refused.text, /The sign-in was cancelled or not allowed\.<\/p><a href="\/">Start page/)
      provider.break({ response: deny('server_error') })
      const failed = await agent.visit(`${url}/account`)
      assert.match(
        failed.text,
        /could not sign you in\.<\/p><a href="&#47;login\?returnTo=%2Faccount">Start again|<a href="\/login\?returnTo=%2Faccount">Start again/,
      )
      await untilSaid(site, /ERR_OIDC_AUTHORIZATION_FAILED POST \/callback/)
      provider.heal()

      assert.match((await agent.visit(`${url}/account`)).text, /alice-0001/)
      assert.match((await agent.open(`${url}/`)).text, /action="\/logout">[\s\S]*In your cart: tea/)
      assert.match((await agent.visit(`${url}/admin`)).text, /Welcome, administrator/)
      assert.deepEqual((await agent.visit(`${url}/orders`)).json(), ['tea'])
      assert.match(authorizations[0] ?? '', /^Bearer \S+$/)
      await agent.post(`${url}/logout`, {})
      assert.match((await agent.open(`${url}/`)).text, /Sign in<\/a>[\s\S]*In your cart: nothing/)
    } finally {
      await site.stop()
      await Promise.all([redis.stop(), provider.close(), api.stop()])
    }
  })
})
