import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { createSelfSigned } from '../attacks/self-signed.js'
import { createAgent } from '../support/agent.js'
import { startTokenFixture } from '../tokens/token-fixture.js'

const server = createSelfSigned()
const client = createSelfSigned({ host: 'www.test' })

test('oidc.proxy shows the certificate of the site to the API, and the API gets the token of the user', async t => {
  const seen: { authorization: string | undefined; certificate: string | undefined }[] = []
  const api = createServer({ ...server, requestCert: true, rejectUnauthorized: false }, (req, res) => {
    const { fingerprint256: certificate } = (req.socket as TLSSocket).getPeerCertificate()
    seen.push({ authorization: req.headers.authorization, certificate })
    res.end('good')
  })
  api.listen(0, '127.0.0.1')
  await once(api, 'listening')
  t.after(() => api.closeAllConnections())
  t.after(() => api.close())
  const target = `https://localhost:${(api.address() as AddressInfo).port}/v1`

  const fixture = await startTokenFixture({
    oidc: { mtls: { cert: client.cert, key: client.key, ca: server.cert } },
    routes: app => void app.use((req, res, next) => fixture.site.oidc.proxy('/api', { target })(req, res, next)),
  })
  t.after(() => fixture.close())
  const agent = createAgent({ now: () => fixture.now() * 1000 })
  await agent.visit(`${fixture.site.url}/login?returnTo=/claims`, { from: null })
  const page = await agent.fetch(`${fixture.site.url}/api/orders`, { headers: { 'x-csrf': '1' } })
  assert.deepEqual([page.status, page.text], [200, 'good'])
  assert.equal(seen.length, 1)
  assert.match(seen[0]?.authorization ?? '', /^Bearer ./)
  assert.equal(seen[0]?.certificate, new X509Certificate(client.cert).fingerprint256)
})
