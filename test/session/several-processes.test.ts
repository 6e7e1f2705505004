import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { scale } from '../faults/scale.js'
import { createAgent } from '../support/agent.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import type { SessionProcessSettings } from './session-process.js'

/** In `npm run test:long` 1,000. */
const trials = 100 * scale
const atOnce = 8

interface SiteProcess {
  readonly url: string
  readonly child: ChildProcess
}

interface SessionView {
  readonly isAuthenticated: boolean
  readonly marks: readonly string[]
}

describe('three processes of one site, without stickiness', { timeout: 280_000 * scale }, () => {
  let redis: RedisServer
  let provider: HostileProvider
  let sites: SiteProcess[]

  before(async () => {
    redis = await startRedis()
    provider = await startHostileProvider({ alg: 'ES256' })
    const { issuer, clientId, clientSecret } = provider
    const oidc = {
      issuer,
      clientId,
      clientSecret,
      idTokenAlgorithm: 'ES256',
      redis: redis.url,
      secret: secret('secret of three processes'),
      timeouts: { redis: 5_000 },
      userInfo: false,
      revokeTokens: false,
    } as const
    const first = await startSite({ oidc })
    const others = await Promise.all([1, 2].map(() => startSite({ oidc: { ...oidc, baseUrl: first.url } })))
    sites = [first, ...others]
  })
  after(async () => {
    for (const { child } of sites) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await provider.close()
    await redis.stop()
  })

  /** The trial's turn decides which process does what. */
  const siteFor = (turn: number) => sites[turn % sites.length]?.url ?? ''

  async function look(turn: number, cookie: string): Promise<SessionView> {
    const response = await fetch(`${siteFor(turn)}/state`, { headers: { cookie } })
    return (await response.json()) as SessionView
  }

  async function post(turn: number, path: string, cookie?: string): Promise<Response> {
    const headers = { 'sec-fetch-site': 'same-origin', ...(cookie !== undefined && { cookie }) }
    const response = await fetch(siteFor(turn) + path, { method: 'POST', headers, redirect: 'manual' })
    await response.arrayBuffer()
    assert.ok(response.status < 400, `${path}: ${response.status}`)
    return response
  }

  test(`a slow save never brings a session back that was signed out (${trials} trials)`, async t => {
    let revived = 0
    await inTrials(async turn => {
      const agent = createAgent()
      const page = await agent.visit(`${siteFor(0)}/claims`)
      assert.equal(page.status, 200)
      const cookie = `sid=${agent.cookies(siteFor(0)).find(({ name }) => name === 'sid')?.value}`
      const slow = post(turn, `/mark/late?wait=${turn % 7}`, cookie)
      const out = wait(turn % 5).then(() => post(turn + 1, '/logout?local', cookie))
      await Promise.all([slow, out])
      const seen = await look(turn + 2, cookie)
      if (seen.isAuthenticated || seen.marks.length > 0) revived += 1
    })
    t.diagnostic(`slow save against sign-out: ${trials} trials, ${revived} revived`)
    assert.equal(revived, 0)
    // A save after the end found no session and began an anonymous one; none may contain a sign-in.
    const records = ((await redis.command('keys', '*')) as string[]).filter(isRecord)
    const tickets = await Promise.all(records.map(key => redis.command('hexists', key, 't')))
    assert.equal(tickets.filter(Boolean).length, 0, 'no sign-in is left in Redis')
  })

  test(`two writers of different keys both keep their change (${trials} trials)`, async t => {
    let lost = 0
    await inTrials(async turn => {
      const cookie = cookieOf(await post(turn, '/mark/base'))
      await Promise.all([
        post(turn + 1, `/mark/one?wait=${turn % 4}`, cookie),
        post(turn + 2, `/mark/two?wait=${turn % 3}`, cookie),
      ])
      const { marks } = await look(turn, cookie)
      if (marks.join() !== 'mark-base,mark-one,mark-two') lost += 1
    })
    t.diagnostic(`two writers of different keys: ${trials} trials, ${lost} lost`)
    assert.equal(lost, 0)
  })

  test(`regenerate() against parallel requests: the new session lives, the old one stays dead (${trials} trials)`, async t => {
    let [lost, revived] = [0, 0]
    await inTrials(async turn => {
      const cookie = cookieOf(await post(turn, '/mark/base'))
      const [regenerated] = await Promise.all([
        wait(turn % 3).then(() => post(turn, '/regenerate', cookie)),
        post(turn + 1, `/mark/one?wait=${turn % 4}`, cookie),
        post(turn + 2, `/mark/two?wait=${turn % 5}`, cookie),
      ])
      const fresh = await look(turn + 1, cookieOf(regenerated))
      if (fresh.marks.join() !== 'mark-new') lost += 1
      const old = await look(turn + 2, cookie)
      if (old.marks.length > 0) revived += 1
    })
    t.diagnostic(`regenerate against parallel requests: ${trials} trials, ${lost} lost, ${revived} revived`)
    assert.deepEqual([lost, revived], [0, 0])
  })

  test('200 changes of one session at once: each is stored, and none is refused', async t => {
    const cookie = cookieOf(await post(0, '/mark/base'))
    const names = Array.from({ length: 200 }, (_, index) => `n${index}`)
    await Promise.all(names.map((name, turn) => post(turn, `/mark/${name}`, cookie)))
    const { marks } = await look(1, cookie)
    t.diagnostic(`${names.length} changes of one session at once on three processes: ${marks.length - 1} stored`)
    assert.deepEqual(marks, ['mark-base', ...names.map(name => `mark-${name}`)].sort())
  })
})

async function inTrials(trial: (turn: number) => Promise<void>): Promise<void> {
  let next = 0
  const work = async () => {
    for (let turn = next++; turn < trials; turn = next++) await trial(turn)
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

function cookieOf(response: Response): string {
  const [cookie = ''] = response.headers.getSetCookie()
  assert.ok(cookie.startsWith('sid.anonymous='), 'a session cookie was set')
  return cookie.split(';')[0] ?? ''
}

function isRecord(key: string): boolean {
  return /^oidc:[\w-]{43}$/.test(key)
}

async function startSite(settings: SessionProcessSettings): Promise<SiteProcess> {
  const child = fork(fileURLToPath(new URL('./session-process.ts', import.meta.url)), {
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: { ...process.env, SITE_PROCESS: JSON.stringify(settings) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { child, url: `http://localhost:${port}` }
}
