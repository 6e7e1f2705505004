import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import express from 'express'
import { respondWithError } from '../../lib/http/error-response.js'
import type { RequestContext } from '../../lib/http/request-context.js'
import { openIdConnect, requiresClaim } from '../../lib/index.js'
import { withFixture } from '../support/handler-fixture.js'
import { deny } from '../support/hostile-provider.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { secret } from '../support/secrets.js'

const marker = 'marker"><script>alert(1)</script>'

describe('the page of a site without an error handler', () => {
  test(
    'is a sentence, a number that stands in the log, and the way to start again where the person wanted to go',
    withFixture({ site: { handlesErrors: false } }, async ({ agent, site, provider }) => {
      provider.break({ response: deny('server_error', { error_description: marker, error_uri: marker }) })
      const page = await agent.visit(`${site.url}/claims?x=1`)
      assert.equal(page.status, 400)
      assert.match(page.headers['content-type']?.toString() ?? '', /^text\/html/)
      assert.match(page.text, /The sign-in service could not sign you in\./)
      assert.match(page.text, /href="\/login\?returnTo=%2Fclaims%3Fx%3D1"/)
      const id = /number ([\w-]{36})/.exec(page.text)?.[1] ?? 'none'
      const [line = ''] = site.log.filter(line => line.includes(id))
      assert.match(line, /ERR_OIDC_AUTHORIZATION_FAILED.*"error":"server_error"/)
    }),
  )

  test(
    'repeats nothing of the request, can load and run nothing, and is not stored',
    withFixture({ site: { handlesErrors: false } }, async ({ agent, site, provider }) => {
      provider.break({ response: deny(marker, { error_description: marker }) })
      const page = await agent.visit(`${site.url}/claims`)
      assert.ok(!page.text.includes('marker') && !page.text.includes('script'), page.text)
      assert.ok(!site.log.join().includes('<script>') || !page.text.includes('<script>'), page.text)
      const { headers } = page
      assert.match(
        headers['content-security-policy']?.toString() ?? '',
        /^default-src 'none'; style-src 'sha256-[^']+'/,
      )
      assert.equal(headers['cache-control'], 'no-store')
      assert.equal(headers['referrer-policy'], 'no-referrer')
      assert.equal(headers['x-frame-options'], 'DENY')
      assert.equal(headers['x-content-type-options'], 'nosniff')
    }),
  )

  test(
    'leads a user who may not see it to the start page of the site, which may lie below a path',
    withFixture({ site: { handlesErrors: false } }, async ({ agent, site, provider }) => {
      const { issuer, clientId, clientSecret } = provider
      const options = { issuer, clientId, clientSecret, secret: secret('of a site below a path'), log: () => {} }
      for (const [path, start] of [
        ['', '/'],
        ['/shop', '/shop/'],
      ]) {
        const app = express()
        const server = await startLoopbackServer(app)
        const url = `http://localhost:${server.port}${path}`
        const oidc = openIdConnect({ ...options, baseUrl: url })
        const shop = express.Router()
        shop.use(oidc)
        shop.get('/orders', requiresClaim('role', 'clerk'), (_req, res) => void res.send('orders'))
        app.use(path || '/', shop)
        try {
          const page = await agent.visit(`${url}/orders`)
          assert.equal(page.status, 403)
          assert.match(page.text, new RegExp(`<a href="${start}">Back to the start page</a>`))
        } finally {
          await server.stop()
          await oidc.close()
        }
      }
      assert.equal(site.errors.length, 0)
    }),
  )

  test(
    'is JSON for a program',
    withFixture({ site: { handlesErrors: false } }, async ({ agent, site }) => {
      const response = await agent.fetch(`${site.url}/callback`, {
        method: 'POST',
        body: '{}',
        headers: { 'content-type': 'application/json' },
      })
      assert.equal(response.status, 415)
      const { error, message, login_url } = response.json<Record<string, string>>()
      assert.equal(error, 'ERR_OIDC_REQUEST_TYPE')
      assert.match(message ?? '', /\.$/)
      assert.equal(login_url, '/login?returnTo=%2F', 'and not back to the callback')
    }),
  )

  for (const express of [4, 5] as const) {
    test(
      `steps back for an error handler of the site, however deep it is mounted (Express ${express})`,
      withFixture({ site: { express } }, async ({ agent, site }) => {
        const page = await agent.open(`${site.url}/callback`)
        assert.deepEqual(page.json(), { code: 'ERR_OIDC_REQUEST_METHOD' })
        assert.equal(page.headers.allow, 'POST')
      }),
    )
  }
})

describe("beside a site's own error page, the log", () => {
  test(
    'names the code, the address and the cause of each failure, and of a flood a few lines',
    withFixture({}, async ({ agent, site, provider }) => {
      provider.break({ frontIdToken: token => ({ ...token, aud: 'another-client' }) })
      assert.equal((await agent.visit(`${site.url}/claims`)).status, 400)
      const lines = () => site.log.filter(line => line.startsWith('ERR_OIDC_'))
      assert.match(lines().at(-1) ?? '', /^ERR_OIDC_ID_TOKEN_AUDIENCE POST \/callback: .*aud/)
      for (let count = 0; count < 50; count += 1) await agent.open(`${site.url}/callback`)
      assert.match(lines()[1] ?? '', /^ERR_OIDC_REQUEST_METHOD GET \/callback: /)
      assert.ok(lines().length < 10, lines().join('\n'))
    }),
  )

  test(
    'has no line about a user who has to sign in or may not see a page',
    withFixture({ oidc: { hooks: { signIn: ({ claims }) => ({ sub: claims.sub }) } } }, async ({ agent, site }) => {
      assert.equal((await agent.fetch(`${site.url}/claims`)).status, 401)
      await agent.visit(`${site.url}/claims`)
      assert.equal((await agent.visit(`${site.url}/editors`)).status, 403)
      assert.deepEqual(
        site.log.filter(line => line.includes('ERR_OIDC_')),
        [],
      )
    }),
  )
})

describe('the callback refuses', () => {
  for (const [name, headers, body, status] of [
    ['JSON', { 'content-type': 'application/json' }, '{"state":"x"}', 415],
    ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }, '--x--', 415],
    ['plain text', { 'content-type': 'text/plain' }, 'state=x', 415],
    ['no content type', { 'content-type': undefined }, 'state=x', 415],
    ['a compressed body', { 'content-encoding': 'gzip' }, 'state=x', 415],
    ['an empty body', {}, '', 400],
    ['a body of 200 KiB', {}, `state=${'x'.repeat(200 * 1024)}`, 413],
    ['a hundred thousand fields', {}, '&a='.repeat(30_000), 413],
    ['an array', {}, 'state[]=x&code=y', 400],
    ['an object', {}, 'state[__proto__]=x&code=y', 400],
  ] as const) {
    test(
      name,
      withFixture({}, async ({ agent, site, provider }) => {
        const page = await agent.post(`${site.url}/callback`, body, { headers })
        assert.equal(page.status, status, page.text)
        assert.equal(provider.count('token'), 0)
        assert.deepEqual(page.hops[0]?.setCookies, [])
      }),
    )
  }
})

test('an error that is not ours goes to the next handler, on a host that is not an app of Express, too', () => {
  const context = { req: {}, res: { headersSent: false } } as unknown as RequestContext
  const passed: unknown[] = []
  const error = new Error('of the site')
  respondWithError(context, error, thrown => passed.push(thrown))
  assert.deepEqual(passed, [error])
})
