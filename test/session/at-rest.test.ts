import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAgent } from '../support/agent.js'
import { withFixture } from '../support/handler-fixture.js'
import { startRedis } from '../support/redis.js'

const signIns = 50

test(`a dump of Redis after ${signIns} sign-ins holds no session id, token, code, e-mail address or name`, async t => {
  const redis = await startRedis()
  try {
    const scope = 'openid profile email offline_access'
    await withFixture({ oidc: { redis: redis.url, scope } }, async ({ site, provider }) => {
      const wanted = new Map<string, string>()
      for (let i = 0; i < signIns; i += 1) {
        const agent = createAgent()
        const form = await agent.open(`${site.url}/claims`)
        for (const [name, value] of form.forms[0]?.fields ?? []) wanted.set(`${name} ${i}`, value)
        assert.equal((await agent.submitForm()).status, 200)
        await agent.fetch(`${site.url}/session?cart=golden-apples-${i}`, { method: 'POST' })
        wanted.set(`cart ${i}`, `golden-apples-${i}`)
        const cookie = agent.cookies(site.url).find(({ name }) => name === 'sid')?.value ?? ''
        wanted.set(`session cookie ${i}`, cookie).set(`session id ${i}`, cookie.split('.')[0] ?? '')
        const { value } = (await agent.open(`${site.url}/token`)).json<{ value: string }>()
        wanted.set(`access token ${i}`, value)
      }
      for (const claim of ['alice-0001', 'Alice Adams', 'alice@example.com', 'sid-1', provider.issuer])
        wanted.set(claim, claim)
      for (const name of ['token_type ', 'iss '])
        for (const key of wanted.keys()) if (key.startsWith(name)) wanted.delete(key)

      const dump = (await redis.contents()).toString('latin1')
      const found = [...wanted].flatMap(([label, value]) =>
        forms(value)
          .filter(form => dump.includes(form))
          .map(() => label),
      )
      t.diagnostic(`${wanted.size} values searched for in ${dump.length} bytes: ${found.length} hits`)
      assert.ok(
        wanted.size > signIns * 7 && dump.length > signIns * 1000,
        `${wanted.size} values, ${dump.length} bytes`,
      )
      assert.deepEqual(found, [])
    })()
  } finally {
    await redis.stop()
  }
})

function forms(value: string): string[] {
  const bytes = Buffer.from(value)
  return [
    value,
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    encodeURIComponent(value),
  ]
}
