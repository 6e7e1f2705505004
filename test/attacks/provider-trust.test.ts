import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { describe, test } from 'node:test'
import express from 'express'
import { OidcError, type OidcOptions, openIdConnect, requiresAuth } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Faults, replace } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { secret } from '../support/secrets.js'
import { type Site, startSite } from '../support/site.js'
import { type AttackFixture, attack, whoIs } from './fixture.js'
import { createSelfSigned } from './self-signed.js'

/** A site that gets to know the provider only now. */
async function withNewSite(
  { provider }: AttackFixture,
  faults: Faults,
  run: (site: Site) => Promise<void>,
): Promise<void> {
  const { issuer, clientId, clientSecret } = provider
  provider.break(faults)
  const site = await startSite({ oidc: { issuer, clientId, clientSecret } })
  try {
    await run(site)
  } finally {
    provider.heal()
    await site.close()
  }
}

describe('where requests to the provider go', () => {
  attack(
    'CVE-2023-45143 CVE-2024-24758 CVE-2024-30260 CVE-2022-0235 CVE-2022-0155 CVE-2024-28849 CVE-2026-49478 CVE-2026-55431: a redirect of any endpoint is not followed: no secret, code or token goes where it points',
    { oidc: { responseType: 'code id_token' }, allows: [502] },
    async fixture => {
      const { refuses, evil, provider } = fixture
      const code = 'ERR_OIDC_PROVIDER_RESPONSE'
      for (const status of [301, 302, 303, 307, 308]) {
        const fault = { redirect: `${evil.url}/`, status }
        await refuses({ what: `token ${status}`, faults: { token: fault }, code, tokenRequests: 1 })
        const userinfo = { faults: { userinfo: fault }, tokenRequests: 1, userInfoRequests: 1 }
        await refuses({ what: `userinfo ${status}`, ...userinfo, code })
        await withNewSite(fixture, { discovery: fault }, async site => {
          const page = await createAgent().visit(`${site.url}/claims`)
          assert.deepEqual([page.status, site.lastCode()], [502, code], `discovery ${status}`)
        })
        await withNewSite(fixture, { jwks: fault }, async site => {
          await createAgent().visit(`${site.url}/claims`)
          assert.equal(site.lastCode(), code, `jwks ${status}`)
        })
      }
      assert.deepEqual(provider.problems, [])
    },
  )

  attack(
    'CVE-2025-58754: metadata with URLs that are not https URLs is refused: data, file, plain http, credentials',
    { allows: [502] },
    async fixture => {
      for (const name of [
        'jwks_uri',
        'token_endpoint',
        'authorization_endpoint',
        'userinfo_endpoint',
        'end_session_endpoint',
        'revocation_endpoint',
      ]) {
        for (const value of [
          'data:application/json,{"keys":[]}',
          'file:///etc/passwd',
          'http://idp.example/x',
          'https://u:p@idp.example/x',
          'javascript:alert(1)',
          '/x',
          ' ',
          1,
          ['x'],
          { x: 1 },
        ]) {
          const metadata = (document: Record<string, unknown>) => ({ ...document, [name]: value })
          await withNewSite(fixture, { metadata }, async site => {
            const page = await createAgent().visit(`${site.url}/claims`)
            assert.deepEqual(
              [page.status, site.lastCode()],
              [502, 'ERR_OIDC_METADATA'],
              `${name} ${JSON.stringify(value)}`,
            )
          })
        }
      }
    },
  )

  attack(
    'metadata of another issuer, however similar, is refused, and no user is sent to it',
    { allows: [502] },
    async fixture => {
      const { issuer } = fixture.provider
      for (const value of [
        `${issuer}/`,
        `${issuer}INVALID`,
        issuer.toUpperCase(),
        issuer.slice(0, -1),
        'https://evil.example',
        '',
        undefined,
        null,
        [issuer],
      ]) {
        const metadata = (document: Record<string, unknown>) => ({
          ...document,
          issuer: value,
          authorization_endpoint: fixture.evil.url,
        })
        await withNewSite(fixture, { metadata }, async site => {
          const page = await createAgent().visit(`${site.url}/claims`)
          assert.equal(page.status, 502)
          assert.match(`${site.lastCode()}`, /^ERR_OIDC_METADATA(_ISSUER)?$/, JSON.stringify(value))
        })
      }
    },
  )

  test('CVE-2022-31105: nothing is sent to a provider whose certificate is not trusted', async () => {
    const requests: string[] = []
    const server = createServer(createSelfSigned(), (req, res) => {
      requests.push(`${req.url}`)
      res.end('{}')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const issuer = `https://localhost:${(server.address() as AddressInfo).port}`
    const control = await send({ url: `${issuer}/control` })
    assert.equal(control.status, 200, 'it does answer those who do not look')
    const site = await startSite({ oidc: { issuer, clientId: 'x', clientSecret: secret('client secret') } })
    try {
      const page = await createAgent().visit(`${site.url}/claims`)
      assert.deepEqual([page.status, site.lastCode()], [503, 'ERR_OIDC_PROVIDER_UNAVAILABLE'])
      const { cause } = site.errors[0] as { cause: { reason: string } }
      assert.match(cause.reason, /SELF_SIGNED/)
      assert.deepEqual(requests, ['/control'])
    } finally {
      await site.close()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    }
  })

  attack(
    'CVE-2022-31150: line breaks in a client id, a secret or a token split no request to the provider',
    {
      provider: { clientId: 'a\r\nX-Evil: 1\r\n\r\nb', clientSecret: secret('client secret') },
      oidc: { responseType: 'code id_token token' },
    },
    async ({ accepts, provider, site }) => {
      await accepts('odd credentials', {})
      for (const text of ['x\r\nX-Evil: 1', 'x\nX-Evil: 1', 'x\u0000', 'x\u2028y', 'xčĊy']) {
        const before = provider.count('userinfo')
        provider.break({ response: replace('access_token', text) })
        const page = await createAgent().visit(`${site.url}/claims`)
        provider.heal()
        assert.equal(page.status, 400, JSON.stringify(text))
        assert.equal(provider.count('userinfo'), before)
      }
      assert.ok(
        provider.requests.every(({ headers }) => headers['x-evil'] === undefined),
        'a header was slipped in',
      )
      assert.deepEqual(provider.problems, [])
      const clientSecret = `${secret('client secret')}\r\nX-Evil: 1`
      const { issuer, clientId } = provider
      const options = { issuer, clientId, clientSecret, baseUrl: site.url, secret: secret('session secret') }
      assert.throws(() => openIdConnect(options), { code: 'ERR_OIDC_OPTIONS' }, 'a secret with line breaks')
    },
  )
})

describe('a site that is not set up', () => {
  const good: OidcOptions = {
    issuer: 'http://localhost:1',
    clientId: 'x',
    clientSecret: 'x',
    baseUrl: 'http://localhost:2',
    secret: secret('session secret'),
    log: () => {},
  }

  test('CVE-2026-73421: invalid options throw, and a guard without a middleware lets no request pass', async () => {
    for (const options of [
      {},
      { ...good, issuer: undefined },
      { ...good, secret: '' },
      { ...good, clientId: '' },
      { ...good, isuer: 'x' },
      { ...good, baseUrl: 'x' },
    ]) {
      assert.throws(() => openIdConnect(options as OidcOptions), { code: 'ERR_OIDC_OPTIONS' })
    }
    const app = express()
    app.get('/private', requiresAuth(), (_req, res) => void res.send('TOP-SECRET'))
    app.get(
      '/pretender',
      (req, _res, next) => {
        Object.assign(req, { oidc: { isAuthenticated: true, user: { sub: 'x' } } })
        next()
      },
      requiresAuth(),
      (_req, res) => void res.send('TOP-SECRET'),
    )
    app.use(
      ((error, _req, res, _next) => void res.status(error.status).send(error.code)) as express.ErrorRequestHandler,
    )
    const server = await startLoopbackServer(app as express.RequestHandler as Parameters<typeof startLoopbackServer>[0])
    try {
      for (const path of ['/private', '/pretender']) {
        const { status, text } = await send({ url: `http://localhost:${server.port}${path}` })
        assert.deepEqual([status, text], [500, 'ERR_OIDC_NOT_MOUNTED'])
      }
    } finally {
      await server.stop()
    }
  })

  attack(
    'no protected page is served while the provider cannot be used, whatever is wrong with it',
    { allows: [502, 503] },
    async fixture => {
      const faults: Faults[] = [
        { discovery: { status: 404 } },
        { discovery: { status: 500 } },
        { discovery: { body: '[]' } },
        { discovery: { body: '<html>', contentType: 'text/html' } },
        { discovery: { cut: 'middle' } },
        { metadata: () => ({}) },
        {
          metadata: document => ({
            ...(document as object),
            response_types_supported: ['code'],
            response_modes_supported: [],
          }),
        },
        { jwks: { status: 500 } },
        { keys: () => 'x' },
        { keys: () => [] },
      ]
      for (const fault of faults) {
        await withNewSite(fixture, fault, async site => {
          const agent = createAgent()
          const page = await agent.visit(`${site.url}/claims`)
          assert.ok([502, 503].includes(page.status), `${JSON.stringify(fault)}: ${page.status} ${site.lastCode()}`)
          assert.ok(site.errors[0] instanceof OidcError, String(site.errors[0]))
          assert.equal(await whoIs({ site }, agent), undefined)
        })
      }
    },
  )

  test('TLS verification that is switched off for the whole process is refused in production, and logged as a warning elsewhere', () => {
    const before = { ...process.env }
    const lines: string[] = []
    try {
      process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
      const oidc = openIdConnect({ ...good, log: line => lines.push(line) })
      void oidc.close()
      assert.match(lines.join('\n'), /NODE_TLS_REJECT_UNAUTHORIZED/)
      process.env.NODE_ENV = 'production'
      assert.throws(() => openIdConnect({ ...good, redis: 'redis://127.0.0.1:1' }), { code: 'ERR_OIDC_OPTIONS' })
      delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      assert.throws(() => openIdConnect(good), { code: 'ERR_OIDC_OPTIONS' }, 'process memory in production')
    } finally {
      process.env = before
    }
  })
})
