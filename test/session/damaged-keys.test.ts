import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { whoIs } from '../attacks/fixture.js'
import { postLogoutToken } from '../sign-out/support.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, openFixture, sessionCookieOf } from '../support/handler-fixture.js'
import { type RedisServer, startRedis } from '../support/redis.js'

/** What another program, a restored backup or an operator may have left under a key of ours. */
const contents: Readonly<Record<string, (key: string) => readonly (readonly string[])[]>> = {
  'a text': key => [['SET', key, 'not ours']],
  'an empty text': key => [['SET', key, '']],
  'a list': key => [['RPUSH', key, 'not', 'ours']],
  'a set': key => [['SADD', key, 'not ours']],
  'a sorted set': key => [['ZADD', key, '99999999999', 'not ours']],
  'a hash of another program': key => [['HSET', key, 'user', '42', 'data', 'not ours']],
  'a hash with our field names': key => [
    ['HSET', key, ...['t', 'k', 's', 'n', 'e', 'i', 'p'].flatMap(field => [field, 'not ours'])],
  ],
  'a stream': key => [['XADD', key, '*', 'not', 'ours']],
}

let redis: RedisServer
let fixture: Fixture

before(async () => {
  redis = await startRedis()
  fixture = await openFixture({ oidc: { redis: redis.url, session: { keep: ['cart'] } } })
})
after(async () => {
  await fixture.close()
  await redis.stop()
})

async function keys(): Promise<readonly string[]> {
  return ((await redis.command('KEYS', 'oidc:*')) as string[]).sort()
}

/** `record` or the letter of what a key is for. */
function kindOf(key: string): string {
  return /^oidc:([a-z]):/.exec(key)?.[1] ?? 'record'
}

async function damage(key: string, name: string): Promise<void> {
  await redis.command('DEL', key)
  for (const command of contents[name]?.(key) ?? []) await redis.command(...(command as [string, ...string[]]))
}

describe('a key of ours that holds something else', () => {
  for (const name of Object.keys(contents)) {
    test(`${name}: pages work, the user can sign in again and sign out, and no key stays in the way`, async () => {
      await redis.command('FLUSHALL')
      const { site } = fixture
      const agent = createAgent()
      await agent.visit(`${site.url}/claims`)
      await agent.fetch(`${site.url}/session?cart=apples`, { method: 'POST' })
      const all = await keys()
      assert.ok(all.some(key => kindOf(key) === 'record') && all.some(key => kindOf(key) === 'i'), all.join())
      for (const key of all) {
        await damage(key, name)
        const where = `${kindOf(key)} as ${name}`
        assert.ok((await agent.open(`${site.url}/user`)).status === 200, `${where}: page`)
        const written = await agent.fetch(`${site.url}/session?cart=pears`, { method: 'POST', from: `${site.url}/` })
        assert.equal(written.status, 200, `${where}: write ${written.text}`)
        const page = await agent.visit(`${site.url}/login?returnTo=/claims`)
        assert.deepEqual([page.status, page.url], [200, `${site.url}/claims`], `${where}: sign-in ${page.text}`)
        assert.equal(await whoIs(fixture, agent), 'alice-0001', where)
      }
      const left = await agent.post(`${site.url}/logout`, {}, { from: `${site.url}/`, redirect: 'manual' })
      assert.ok(left.leadsTo, left.text)
      assert.equal(await whoIs(fixture, agent), undefined)
    })

    test(`${name}: a sign-out ends the session all the same, here and by the provider`, async () => {
      const { site, provider } = fixture
      for (const kind of ['record', 'i', 'b', 'o', 'l']) {
        await redis.command('FLUSHALL')
        const agent = createAgent()
        await agent.visit(`${site.url}/claims`)
        const cookie = sessionCookieOf({ ...fixture, agent })
        assert.ok(cookie)
        for (const key of await keys()) if (kindOf(key) === kind) await damage(key, name)
        const left = await agent.post(`${site.url}/logout`, {}, { from: `${site.url}/`, redirect: 'manual' })
        assert.ok(left.leadsTo, `${kind} as ${name}: ${left.text}`)
        assert.equal(await whoIs(fixture, agent), undefined, kind)
        const response = await postLogoutToken(site.url, await provider.createLogoutToken({ sid: undefined }))
        assert.equal(response.status, 200, `${kind} as ${name}: ${response.text}`)
      }
    })
  }

  test('a record that holds something else counts as no session, and is named in the log once, by its key', async () => {
    const { site } = fixture
    const agent = createAgent()
    await agent.visit(`${site.url}/claims`)
    const record = (await keys()).filter(key => kindOf(key) === 'record')
    for (const key of record) await damage(key, 'a list')
    const before = site.log.length
    for (let time = 0; time < 3; time += 1) await agent.open(`${site.url}/user`)
    const lines = site.log.slice(before)
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.ok(
      record.some(key => lines[0]?.includes(key)),
      lines[0],
    )
  })
})
