import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { parseAllDocuments } from 'yaml'
import { createAgent } from './support/agent.js'
import { type HostileProvider, startHostileProvider } from './support/hostile-provider.js'
import { createReadersFolder, type ReadersFolder } from './support/installed-package.js'
import { type RedisServer, startRedis, until } from './support/redis.js'
import { findFreePort, type RunningSite, startSiteProcess, untilSaid } from './support/running-site.js'
import { secret } from './support/secrets.js'
import { filesOf, readPage } from './tools/documentation.js'

const page = readPage('docs/production.md')
const block = (language: string) =>
  new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page.text)?.[1] ?? ''
const unit = new Map(
  block('ini')
    .split('\n')
    .filter(line => line.includes('='))
    .map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
)
const [deployment, service] = parseAllDocuments(block('yaml')).map(document => document.toJS())
const pod = deployment.spec.template.spec
const [container] = pod.containers
/** In seconds, as the page says: the pause, what responses have, and what `close()` takes at most. */
const LONGEST_END = 5 + 10 + 22

describe('the server of docs/production.md, copied from the page', { timeout: 120_000 }, () => {
  let folder: ReadersFolder
  let provider: HostileProvider
  let redis: RedisServer

  before(async () => {
    folder = createReadersFolder()
    for (const name of ['docs/getting-started.md', 'docs/production.md'])
      for (const [file, text] of filesOf(readPage(name))) folder.write(file, text)
    provider = await startHostileProvider({ clientId: 'shop' })
    redis = await startRedis()
  })
  after(async () => {
    await redis?.stop()
    await provider?.close()
    folder?.remove()
  })

  async function start(args: readonly string[], given: NodeJS.ProcessEnv = {}): Promise<RunningSite & { url: string }> {
    const port = await findFreePort()
    const url = `http://localhost:${port}`
    const env = {
      OIDC_ISSUER: provider.issuer,
      OIDC_CLIENT_ID: 'shop',
      OIDC_CLIENT_SECRET: provider.clientSecret,
      SESSION_SECRET: secret('secret of the server in production'),
      REDIS_URL: redis.url,
      ...given,
      OIDC_BASE_URL: url,
      PORT: String(port),
    }
    return { ...(await startSiteProcess(folder.path, args, { url: `${url}/livez`, env })), url }
  }

  test('as systemd starts it: health, a sign-in, and an end that waits for the request under way', async () => {
    const [program, ...args] = unit.get('ExecStart')?.split(' ') ?? []
    assert.equal(program, '/usr/bin/node')
    assert.ok(Number(unit.get('TimeoutStopSec')) > LONGEST_END)
    const site = await start(args)
    const ended = site.stop
    try {
      const agent = createAgent()
      assert.equal((await agent.open(`${site.url}/readyz`)).json<{ ok: boolean }>().ok, true)
      assert.match((await agent.visit(`${site.url}/account`)).text, /alice-0001/)
      // A request that has begun when the signal comes.
      const socket = connect(Number(new URL(site.url).port), 'localhost')
      socket.write('POST /cart/tea HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\n')
      await once(socket, 'connect')
      let received = ''
      socket.on('data', (bytes: Buffer) => (received += bytes))
      const over = ended()
      await until('a new request is told to close its connection', async () => {
        const response = await createAgent().open(`${site.url}/livez`)
        return response.status === 200 && response.headers.connection === 'close'
      })
      socket.write('x')
      await once(socket, 'close')
      assert.match(received, /^HTTP\/1\.1 303 /)
      assert.equal(await over, 0)
    } finally {
      await ended().catch(() => {})
    }
  })

  test('as Kubernetes starts it: every probe is answered, and readiness follows Redis', async () => {
    assert.ok(pod.terminationGracePeriodSeconds > LONGEST_END)
    assert.deepEqual([service.spec.ports[0].targetPort, container.ports[0].containerPort], [3000, 3000])
    assert.deepEqual(service.spec.selector, deployment.spec.template.metadata.labels)
    const [program, ...args] = container.command as string[]
    assert.equal(program, 'node')
    const names = Object.keys(Object.fromEntries(container.env.map((one: { name: string }) => [one.name, one])))
    assert.deepEqual(names, ['NODE_ENV', 'PORT', 'OIDC_BASE_URL'])
    const own = await startRedis()
    const site = await start(args, { REDIS_URL: own.url })
    try {
      const status = async (probe: string) =>
        (await createAgent().open(`${site.url}${container[probe].httpGet.path}`)).status
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'])
        assert.equal(await status(probe), 200, probe)
      await own.stop()
      await until('the process is not ready without Redis', async () => (await status('readinessProbe')) === 503)
      assert.equal(await status('livenessProbe'), 200)
    } finally {
      await site.stop()
      await own.stop().catch(() => {})
    }
  })

  test('starts, and is ready, without the provider', async () => {
    const site = await start(['production.mjs'], { OIDC_ISSUER: 'http://localhost:9' })
    try {
      assert.equal((await createAgent().open(`${site.url}/readyz`)).status, 200)
      await untilSaid(site, /the provider cannot be reached[\s\S]*The start goes on without the provider/)
    } finally {
      await site.stop()
    }
  })

  test('limits the routes of a sign-in for each client, which is a /64 of IPv6, and no page', async () => {
    const site = await start(['production.mjs'])
    try {
      const ask = async (path: string, client: string) => {
        const headers = { 'x-forwarded-for': client, accept: 'text/html' }
        return (await createAgent().open(`${site.url}${path}`, { headers, redirect: 'manual' })).status
      }
      const login = (client: string) => ask('/login', client)
      for (let count = 0; count < 60; count += 1) assert.equal(await login(`2001:db8:1:1::${count.toString(16)}`), 303)
      assert.equal(await login('2001:db8:1:1:ffff::1'), 429)
      assert.equal(await login('2001:db8:1:2::1'), 303, 'another network')
      assert.equal(await login('192.0.2.1'), 303)
      // What the client itself has put in the header does not count: the proxy appends the true address.
      assert.equal(await login('203.0.113.9, 2001:db8:1:1::7'), 429)
      assert.equal(await ask('/', '2001:db8:1:1::1'), 200)
    } finally {
      await site.stop()
    }
  })
})
