import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync, type JsonWebKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { createCertificateSource } from '../../lib/provider/client-certificate.js'
import { hasPublicKeys, listPublicKeys } from '../../lib/provider/public-keys.js'
import { createSelfSigned } from '../attacks/self-signed.js'

const certificate = createSelfSigned({ host: 'www.test' })
const sourceOf = (given: { readonly cert: string; readonly key: string }) => createCertificateSource(given, 1_000)

test('the certificate of self_signed_tls_client_auth is in the key set, with nothing that is private', async () => {
  const settings = { clientAuthentication: 'self_signed_tls_client_auth', certificate: sourceOf(certificate) } as const
  assert.equal(hasPublicKeys(settings), true)
  const [jwk, ...others] = await listPublicKeys(settings)
  assert.ok(jwk)
  assert.deepEqual(others, [])
  const { raw, fingerprint256 } = new X509Certificate(certificate.cert)
  assert.deepEqual(jwk.x5c, [raw.toString('base64')])
  assert.equal(jwk['x5t#S256'], Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'))
  assert.equal(jwk.use, 'sig')
  // The key in the members is that of the certificate.
  const ofMembers = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  assert.ok(ofMembers.equals(new X509Certificate(certificate.cert).publicKey))
  for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k']) assert.equal(name in jwk, false, name)
})

test('of a chain the first certificate is published, also where the key stands before it', async () => {
  const other = createSelfSigned({ host: 'ca.test' })
  for (const cert of [`${certificate.cert}\n${other.cert}`, `${certificate.key}\n${certificate.cert}`]) {
    const certificateSource = sourceOf({ ...certificate, cert })
    const settings = { clientAuthentication: 'self_signed_tls_client_auth', certificate: certificateSource } as const
    const [jwk] = await listPublicKeys(settings)
    assert.deepEqual(jwk?.x5c, [new X509Certificate(certificate.cert).raw.toString('base64')])
  }
})

test('a certificate that a CA vouches for, or that only binds tokens, is not published', async () => {
  const { privateKey: clientKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  for (const clientAuthentication of [
    'tls_client_auth',
    'client_secret_basic',
    'private_key_jwt',
    undefined,
  ] as const) {
    const settings = { certificate: sourceOf(certificate), ...(clientAuthentication && { clientAuthentication }) }
    assert.equal(hasPublicKeys(settings), false)
    assert.deepEqual(await listPublicKeys(settings), [])
    const keys = await listPublicKeys({ ...settings, clientKey })
    assert.deepEqual(
      keys.map(({ kty }) => kty),
      ['EC'],
    )
  }
})
