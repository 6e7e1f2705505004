import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { createServer, type SecureVersion } from 'node:tls'
import { createSelfSigned, type SelfSignedOptions } from '../attacks/self-signed.js'
import { createAgent } from '../support/agent.js'
import { PATHS } from '../support/hostile-endpoints.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { untilSaid } from '../support/running-site.js'
import { secret } from '../support/secrets.js'
import { startInstance } from './fleet.js'

/** A provider behind TLS, as a site process sees it whose operator trusts one more certificate. */

const folder = mkdtempSync(join(tmpdir(), 'oidc-tls-'))
after(() => rmSync(folder, { recursive: true, force: true }))

interface Case extends SelfSignedOptions {
  readonly trusted: boolean
  readonly maxVersion?: SecureVersion
  readonly status: number
}

const cases: Readonly<Record<string, Case>> = {
  'a certificate the operator trusts': { trusted: true, status: 303 },
  'an untrusted certificate': { trusted: false, status: 503 },
  'a certificate for another host': { trusted: true, host: 'elsewhere.example', status: 503 },
  'a certificate that has expired': { trusted: true, notAfter: '20210101000000Z', status: 503 },
  'a certificate that is not valid yet': { trusted: true, notBefore: '20980101000000Z', status: 503 },
  'TLS 1.1 at best': { trusted: true, maxVersion: 'TLSv1.1', status: 503 },
}

/** All endpoints are behind TLS, as the issuer is. */
function endpointsBehind(issuer: string): Readonly<Record<string, string>> {
  const paths = {
    authorization_endpoint: PATHS.authorize,
    token_endpoint: PATHS.token,
    userinfo_endpoint: PATHS.userinfo,
    jwks_uri: PATHS.jwks,
    end_session_endpoint: PATHS.endSession,
    revocation_endpoint: PATHS.revocation,
  }
  return Object.fromEntries(Object.entries(paths).map(([name, path]) => [name, issuer + path]))
}

for (const [name, { trusted, maxVersion, status, ...options }] of Object.entries(cases)) {
  test(`${name}: ${status === 303 ? 'fine' : 'refused, and nothing is sent'}`, async () => {
    const { key, cert } = createSelfSigned(options)
    const file = join(folder, `${name.replaceAll(/\W/g, '-')}.pem`)
    writeFileSync(file, cert)
    const old = maxVersion && { maxVersion, minVersion: 'TLSv1' as const, ciphers: 'DEFAULT@SECLEVEL=0' }
    let port = 0
    const front = createServer({ key, cert, ...old }, socket => {
      const onward = connect(port, '127.0.0.1')
      for (const end of [socket, onward])
        end.on('error', () => {}).on('close', () => [socket, onward].forEach(each => void each.destroy()))
      socket.pipe(onward).pipe(socket)
    })
    front.on('tlsClientError', () => {})
    front.listen(0, '127.0.0.1')
    await once(front, 'listening')
    const issuer = `https://localhost:${(front.address() as AddressInfo).port}`
    const provider = await startHostileProvider({ alg: 'ES256', metadata: { issuer, ...endpointsBehind(issuer) } })
    port = provider.port
    const { clientId, clientSecret } = provider
    const oidc = {
      issuer,
      clientId,
      clientSecret,
      idTokenAlgorithm: 'ES256',
      baseUrl: 'http://localhost:1',
      secret: secret('tls secret'),
    } as const
    const instance = await startInstance({ oidc, ...(trusted && { env: { NODE_EXTRA_CA_CERTS: file } }) })
    try {
      const page = await createAgent().open(`${instance.url}/login`, { redirect: 'manual' })
      assert.equal(page.status, status, instance.output())
      assert.equal(provider.requests.length > 0, status === 303)
      if (status !== 303) await untilSaid(instance, /ERR_OIDC_PROVIDER_UNAVAILABLE/)
    } finally {
      await instance.kill()
      front.close()
      await provider.close()
    }
  })
}
