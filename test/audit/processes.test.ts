import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { request as requestHttp } from 'node:http'
import { after, before, beforeEach, test } from 'node:test'
import type { AuditEntry } from '../../lib/index.js'
import { assertObeyed, postLogoutToken } from '../sign-out/support.js'
import { type Agent, createAgent } from '../support/agent.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { type LoopbackServer, startLoopbackServer } from '../support/loopback-server.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { checkNothingPersonal, secret } from '../support/secrets.js'

/** One site in two processes behind one address, which sends each request to the next of them. */
let redis: RedisServer
let provider: HostileProvider
let balancer: LoopbackServer
let url: string
const children: ChildProcess[] = []
const ports: number[] = []
/** How many entries earlier tests have left, by process. */
let seen: number[] = []

before(async () => {
  redis = await startRedis()
  provider = await startHostileProvider()
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
    incoming.pipe(forwarded)
  })
  url = `http://localhost:${balancer.port}`
  const { issuer, clientId, clientSecret } = provider
  const site = { baseUrl: url, redis: redis.url, secret: secret('session secret'), timeouts: { redis: 5000 } }
  const shared = { issuer, clientId, clientSecret, ...site }
  ports.push(...(await Promise.all([shared, shared].map(startProcess))))
})
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await balancer.stop()
  await provider.close()
  await redis.stop()
})
beforeEach(async () => {
  seen = (await ask()).map(entries => entries.length)
})

async function startProcess(oidc: object): Promise<number> {
  const child = fork(new URL('audit-process.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
  children.push(child)
  child.send(oidc)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return port
}

async function ask(): Promise<readonly AuditEntry[][]> {
  return Promise.all(
    children.map(async child => {
      child.send('entries')
      const [{ entries }] = (await once(child, 'message')) as [{ entries: AuditEntry[] }]
      return entries
    }),
  )
}

/** What each process has told since the test began. */
async function told(): Promise<readonly AuditEntry[][]> {
  const all = await ask()
  checkNothingPersonal(JSON.stringify(all), 'the audit')
  return all.map((entries, at) => entries.slice(seen[at]))
}

async function signedInAgent(): Promise<Agent> {
  const agent = createAgent()
  const page = await agent.visit(`${url}/claims`)
  assert.equal(page.status, 200, page.text)
  return agent
}

const typesOf = (entries: readonly AuditEntry[]) => entries.map(({ type }) => type)

test('three sessions that one back-channel logout ends are three entries, in the one process that it came to', async () => {
  await signedInAgent()
  await signedInAgent()
  await signedInAgent()
  const began = (await told()).flat()
  assert.deepEqual(typesOf(began), ['sign-in', 'sign-in', 'sign-in'])
  const token = await provider.createLogoutToken({ sid: undefined })
  await assertObeyed(postLogoutToken(url, token))
  const [one = [], other = []] = (await told()).map(entries => entries.filter(({ type }) => type === 'sign-out'))
  assert.deepEqual([one.length, other.length].toSorted(), [0, 3])
  const ended = [...one, ...other]
  for (const entry of ended)
    assert.deepEqual(entry.type === 'sign-out' && [entry.by, entry.reason], ['provider', 'back-channel'])
  const handles = (entries: readonly AuditEntry[]) =>
    entries.map(entry => 'session' in entry && entry.session).toSorted()
  assert.deepEqual(handles(ended), handles(began))
  // The same token again, to the other process, changes nothing.
  await assertObeyed(postLogoutToken(url, token))
  assert.equal((await told()).flat().length, 6)
})

test('an expired session is told of once, although both processes see its cookie many times', async () => {
  const agent = await signedInAgent()
  const [signIn] = (await told()).flat()
  assert.ok(signIn?.type === 'sign-in')
  await redis.command('PEXPIRE', `oidc:${signIn.session.slice(1)}`, '1')
  await until('expired', async () => (await redis.command('EXISTS', `oidc:${signIn.session.slice(1)}`)) === 0)
  await Promise.all(Array.from({ length: 12 }, () => agent.fetch(`${url}/user`, { from: `${url}/` })))
  await until('told of', async () => (await told()).flat().length > 1)
  // Both processes have looked by now, and look again.
  await Promise.all(Array.from({ length: 4 }, () => agent.fetch(`${url}/user`, { from: `${url}/` })))
  const [end, ...others] = (await told()).flat().filter(({ type }) => type !== 'sign-in')
  assert.deepEqual(others, [])
  assert.ok(end?.type === 'session-expired')
  assert.deepEqual([end.session, end.sub, end.issuer], [signIn.session, signIn.sub, provider.issuer])
})
