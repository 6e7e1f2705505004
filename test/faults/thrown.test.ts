import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type RawRequest, type RawResponse, send } from '../support/http-client.js'
import { untilSaid } from '../support/running-site.js'
import { secret } from '../support/secrets.js'
import { type Instance, startInstance } from './fleet.js'

describe('a site whose code throws where nothing catches it', { timeout: 120_000 }, () => {
  let site: Instance
  let cookie: string

  before(async () => {
    site = await startInstance({
      program: fileURLToPath(new URL('./throwing-site.ts', import.meta.url)),
      oidc: {
        issuer: 'http://127.0.0.1:1',
        clientId: 'site',
        baseUrl: 'http://localhost',
        secret: secret('a site whose code throws'),
      },
    })
    const { setCookies } = await send({ url: `${site.url}/start` })
    cookie = setCookies[0]?.split(';')[0] ?? assert.fail('no session')
  })
  after(() => site?.kill())

  /** The response, or `undefined` where the connection was closed instead. Fails where the process has ended. */
  async function ask(path: string, request: Partial<RawRequest> = {}): Promise<RawResponse | undefined> {
    const response = await send({ url: site.url + path, ...request }).catch(() => undefined)
    const alive = await send({ url: `${site.url}/handed-on?path=/` }).catch(() => undefined)
    assert.equal(alive?.status, 200, `the process has ended: ${site.output()}`)
    return response
  }

  async function timesHandedOn(path: string): Promise<number> {
    return Number((await send({ url: `${site.url}/handed-on?path=${path}` })).text)
  }

  test('goes on when `next` throws, before and after the session was loaded, and is handed each request once', async () => {
    const headers = { cookie }
    assert.equal((await ask('/without-session?throw'))?.status, 500)
    assert.equal(await timesHandedOn('/without-session'), 1)
    assert.equal((await ask('/with-session?throw', { headers }))?.status, 500)
    assert.equal(await timesHandedOn('/with-session'), 1)
    const posted = { method: 'POST', headers: { ...headers, accept: 'text/html' } }
    assert.equal((await ask('/posted?throw', posted))?.status, 500)
    assert.equal(await timesHandedOn('/posted'), 1)
  })

  test('goes on when `next` throws for an error of one of our routes', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const headers of [form, { ...form, cookie }]) {
      assert.equal((await ask('/callback?throwError', { method: 'POST', headers, body: 'state=x' }))?.status, 500)
      assert.equal((await ask('/login?throwError', { headers: { ...headers, accept: 'text/html' } }))?.status, 500)
    }
    assert.equal(await timesHandedOn('/callback'), 2)
    assert.equal(await timesHandedOn('/login'), 2)
  })

  for (const path of ['/late', '/circle', '/toJSON', '/accessor']) {
    test(`goes on when a session that cannot be written is sent from a callback (${path})`, async () => {
      for (const headers of [{}, { cookie }]) {
        const response = await ask(path, { headers })
        assert.equal(response?.status, 500)
        assert.equal(response.text, 'the error handler of the site')
      }
    })
  }

  test('goes on when such a response has begun already, which it breaks off: it must not look whole', async () => {
    for (const path of ['/late?write', '/late?flush', '/late?write&flush', '/accessor?write'])
      for (const headers of [{}, { cookie }]) assert.equal((await ask(path, { headers }))?.text, undefined, path)
  })

  test('goes on when its log throws or rejects, and the line goes to standard error', async () => {
    for (let count = 0; count < 6; count += 1)
      await ask('/logout/backchannel', {
        method: 'POST',
        body: `logout_token=${count}`,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      })
    await untilSaid(site, /express-hybrid-oidc: .*\/logout\/backchannel/)
    assert.ok(!site.output().includes('the log throws'), site.output())
  })
})
