import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { createSelfSigned } from '../attacks/self-signed.js'
import { createAgent } from '../support/agent.js'
import { installTracingTool, TRACEPARENT } from '../support/tracing-tool.js'
import { startTokenFixture } from '../tokens/token-fixture.js'

const server = createSelfSigned()
const client = createSelfSigned({ host: 'www.test' })

test('oidc.proxy and req.oidc.fetch show the certificate of the site to the API, which gets the token of the user and the context of the trace', async t => {
  const seen: { authorization: string | undefined; certificate: string | undefined; traceparent: unknown }[] = []
  const api = createServer({ ...server, requestCert: true, rejectUnauthorized: false }, (req, res) => {
    const { fingerprint256: certificate } = (req.socket as TLSSocket).getPeerCertificate()
    const { authorization, traceparent } = req.headers
    seen.push({ authorization, certificate, traceparent })
    res.end('good')
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  t.after(() => api.closeAllConnections())
  t.after(() => api.close())
  const target = `https://localhost:${(api.address() as AddressInfo).port}/v1`

  const fixture = await startTokenFixture({
    oidc: { mtls: { cert: client.cert, key: client.key, ca: server.cert }, apis: [new URL(target).origin] },
    routes: app => {
      app.use((req, res, next) => fixture.site.oidc.proxy('/api', { target })(req, res, next))
      app.get('/orders', async (req, res) => {
        const response = await req.oidc.fetch(`${target}/orders`)
        res.send(await response.text())
      })
    },
  })
  t.after(() => fixture.close())
  const agent = createAgent({ now: () => fixture.now() * 1000 })
  await agent.visit(`${fixture.site.url}/login?returnTo=/claims`, { from: null })
  t.after(installTracingTool())
  for (const path of ['/api/orders', '/orders']) {
    const page = await agent.fetch(fixture.site.url + path, { headers: { 'x-csrf': '1' } })
    assert.deepEqual([page.status, page.text], [200, 'good'], path)
  }
  assert.equal(seen.length, 2)
  for (const { authorization, certificate, traceparent } of seen) {
    assert.match(authorization ?? '', /^Bearer ./)
    assert.equal(certificate, new X509Certificate(client.cert).fingerprint256)
    assert.equal(traceparent, TRACEPARENT)
  }
})
