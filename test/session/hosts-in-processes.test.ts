import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { parseForms } from '../support/html-form.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'

const HOSTS = ['a.example.com', 'b.example.com'] as const
const html = { accept: 'text/html' }
const pairsOf = (lines: readonly string[]) => lines.map(line => line.split(';', 1).join()).join('; ')

/** One site with two hosts, in two processes of the system, behind no proxy: a test says which one gets a request, and for which host it is. */
describe('a site with several hosts in two processes, on one Redis', () => {
  let redis: RedisServer
  let provider: HostileProvider
  const children: ChildProcess[] = []
  const urls: string[] = []

  before(async () => {
    redis = await startRedis()
    provider = await startHostileProvider()
    const { issuer, clientId, clientSecret } = provider
    const shared = { issuer, clientId, clientSecret, responseType: 'code', redis: redis.url, secret: secret('session') }
    const addresses = HOSTS.map(host => `https://${host}`)
    // The order of the list means nothing.
    for (const baseUrl of [addresses, addresses.toReversed()]) urls.push(await startProcess({ ...shared, baseUrl }))
  })
  after(async () => {
    for (const child of children) child.kill('SIGKILL')
    await provider.close()
    await redis.stop()
  })

  async function startProcess(oidc: object): Promise<string> {
    const child = fork(new URL('../sign-out/site-process.ts', import.meta.url), { execArgv: ['--import', 'tsx'] })
    children.push(child)
    child.send(oidc)
    const [{ port }] = (await once(child, 'message')) as [{ port: number }]
    return `http://127.0.0.1:${port}`
  }

  const processAt = (index: number) => urls[index] ?? ''

  /** The sign-in begins in one process, and ends in another. */
  async function signIn(host: string, begins: string, ends: string): Promise<string> {
    const start = await send({ url: `${begins}/login`, headers: { ...html, host } })
    const [form] = parseForms(await (await fetch(start.headers.location ?? '')).text(), provider.issuer)
    const end = await send({
      url: `${ends}/callback`,
      method: 'POST',
      headers: {
        ...html,
        host,
        cookie: pairsOf(start.setCookies),
        'content-type': 'application/x-www-form-urlencoded',
      },
      body: new URLSearchParams(form?.fields as [string, string][]).toString(),
    })
    assert.equal(end.status, 303, end.text)
    return pairsOf(end.setCookies.filter(line => line.startsWith('__Host-sid=')))
  }

  const isUser = async (url: string, host: string, cookie: string) =>
    JSON.parse((await send({ url: `${url}/user`, headers: { host, cookie } })).text).isAuthenticated as boolean

  test('a session that one process has made is one in both at its host, and in none at the other', async () => {
    for (const [at, host] of HOSTS.entries()) {
      const elsewhere = HOSTS[1 - at] ?? ''
      const cookie = await signIn(host, processAt(at), processAt(at))
      assert.deepEqual(await Promise.all(urls.map(url => isUser(url, host, cookie))), [true, true])
      assert.deepEqual(await Promise.all(urls.map(url => isUser(url, elsewhere, cookie))), [false, false])
    }
  })

  test('a sign-in that one process has begun is finished by the other', async () => {
    const [host] = HOSTS
    const cookie = await signIn(host, processAt(0), processAt(1))
    assert.equal(await isUser(processAt(0), host, cookie), true)
  })

  test('a sign-out at one host and process ends the session there, and the one of the other host lives in both', async () => {
    const [first, second] = HOSTS
    const one = await signIn(first, processAt(0), processAt(1))
    const other = await signIn(second, processAt(1), processAt(0))
    const out = await send({
      url: `${processAt(1)}/logout?local=1`,
      headers: { ...html, 'sec-fetch-site': 'same-origin', host: first, cookie: one },
    })
    assert.equal(out.status, 303, out.text)
    assert.deepEqual(await Promise.all(urls.map(url => isUser(url, first, one))), [false, false])
    assert.deepEqual(await Promise.all(urls.map(url => isUser(url, second, other))), [true, true])
  })

  test('a back-channel logout at either host and process ends the sessions of both', async () => {
    const [first, second] = HOSTS
    const one = await signIn(first, processAt(0), processAt(0))
    const other = await signIn(second, processAt(0), processAt(0))
    const told = await send({
      url: `${processAt(1)}/logout/backchannel`,
      method: 'POST',
      headers: { host: second, 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ logout_token: await provider.createLogoutToken() }).toString(),
    })
    assert.equal(told.status, 200, told.text)
    assert.deepEqual(
      [await isUser(processAt(1), first, one), await isUser(processAt(0), second, other)],
      [false, false],
    )
  })
})
