import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { OidcError } from '../../lib/index.js'
import { DAY, follow, isKeptFormPage, isUnsentPage, MINUTE, withFormFixture } from '../support/kept-form.js'
import { startRedis } from '../support/redis.js'

const WEEK = 7 * DAY

const redis = await startRedis()
beforeEach(() => redis.command('FLUSHALL'))
after(() => redis.stop())

test(
  'Redis is full when the form arrives: the sign-in goes on, and the page says that the form was not kept',
  withFormFixture({ oidc: { redis: redis.url } }, async ({ agent, advance, write, received, site }) => {
    await write()
    advance(WEEK)
    await redis.config('maxmemory', 1)
    const start = await agent.post(`${site.url}/notes`, { title: 'Milk' }, { redirect: 'manual' })
    await redis.config('maxmemory', 0)
    assert.equal(start.status, 200)
    const page = await follow(agent, () => agent.open(start.leadsTo ?? ''))
    assert.ok(isUnsentPage(page), page.text)
    assert.match(page.text, /could not be kept/)
    assert.match(page.text, /<a href="\/notes\/new">Back to the page<\/a>/)
    assert.deepEqual(received, [])
  }),
)

test(
  'Redis is away when the form arrives: 503, and the same form is kept when the browser sends it again',
  withFormFixture({ oidc: { redis: redis.url } }, async ({ agent, advance, write, send, received, site }) => {
    await write()
    advance(WEEK)
    redis.pause()
    const page = await agent.post(`${site.url}/notes`, { title: 'Milk' })
    redis.resume()
    assert.equal(page.status, 503)
    assert.ok(isKeptFormPage(await send({ title: 'Milk' }, { from: `${site.url}/notes/new` })))
    await agent.submitForm()
    assert.equal(received.length, 1)
  }),
)

test(
  'Redis is away when the button is pressed: 503, and the form is sent when it is pressed again',
  withFormFixture({ oidc: { redis: redis.url } }, async ({ agent, advance, write, send, received }) => {
    await write()
    advance(WEEK)
    const { url } = await send()
    redis.pause()
    const failed = await agent.submitForm()
    redis.resume()
    assert.equal(failed.status, 503)
    assert.deepEqual(received, [])
    assert.ok(isKeptFormPage(await agent.open(url)))
    await agent.submitForm()
    assert.equal(received.length, 1)
  }),
)

test(
  'the process ends while the user signs in, and after the page was displayed: another one goes on',
  withFormFixture({ oidc: { redis: redis.url } }, async ({ agent, advance, write, received, restart, site }) => {
    await write()
    advance(WEEK)
    const start = await agent.post(`${site.url}/notes`, { title: 'Milk' }, { redirect: 'manual' })
    await restart()
    const page = await follow(agent, () => agent.open(start.leadsTo ?? ''))
    assert.ok(isKeptFormPage(page), page.text)
    assert.match((await agent.submitForm()).text, /saved/)
    assert.equal(received.length, 1)
  }),
)

test('a sign-in that cannot be started leads to the form when it is started again', () => {
  let isAway = false
  const authorizationParams = () => {
    if (isAway) throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'away')
    return undefined
  }
  const options = { oidc: { hooks: { authorizationParams } }, site: { handlesErrors: false } }
  return withFormFixture(options, async ({ agent, advance, write, send, site }) => {
    await write()
    advance(WEEK)
    isAway = true
    const failed = await send()
    assert.equal(failed.status, 503)
    const [, address = ''] = /<a href="([^"]*)">Start again/.exec(failed.text) ?? []
    isAway = false
    assert.ok(isKeptFormPage(await agent.visit(site.url + address.replaceAll('&#38;', '&'))), address)
  })()
})

test(
  'a form that waits longer than fifteen minutes is not sent, and neither is one whose page was open for so long',
  withFormFixture({}, async ({ agent, advance, write, send, received }) => {
    await write()
    advance(WEEK)
    const page = await send()
    assert.ok(isKeptFormPage(page))
    advance(15 * MINUTE)
    assert.equal((await agent.submitForm()).status, 410)
    assert.equal((await agent.open(page.url)).status, 410)
    assert.deepEqual(received, [])
  }),
)

test(
  'two tabs send a form each: both are kept, and each is sent once',
  withFormFixture({}, async ({ agent, advance, write, send, received, site }) => {
    await write()
    const other = agent.tab()
    await other.open(`${site.url}/notes/new`)
    advance(WEEK)
    const starts = [
      await agent.post(`${site.url}/notes`, { title: 'one' }, { redirect: 'manual' }),
      await other.post(`${site.url}/notes`, { title: 'two' }, { redirect: 'manual' }),
    ]
    for (const [at, tab] of [agent, other].entries()) {
      assert.ok(isKeptFormPage(await follow(tab, () => tab.open(starts[at]?.leadsTo ?? ''))))
    }
    await other.submitForm()
    await agent.submitForm()
    assert.deepEqual(
      received.map(({ body }) => body),
      ['title=two', 'title=one'],
    )
    assert.ok(isKeptFormPage(await send({ title: 'x' }, { agent, path: '/notes' })) === false)
  }),
)

test(
  'the session expires again before the button is pressed: the form is kept again',
  withFormFixture({}, async ({ agent, advance, write, send, received }) => {
    await write()
    advance(WEEK)
    assert.ok(isKeptFormPage(await send({ title: 'Milk' }, { path: '/notes?draft=1' })))
    advance(WEEK)
    const again = await follow(agent, () => agent.submitForm())
    assert.ok(isKeptFormPage(again), again.text)
    await agent.submitForm()
    assert.deepEqual(
      received.map(({ address, body }) => [address, body]),
      [['/notes?draft=1', 'title=Milk']],
    )
  }),
)
