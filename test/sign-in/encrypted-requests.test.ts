import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { decodeProtectedHeader, type JWK } from 'jose'
import type { OidcOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { withFixture } from '../support/handler-fixture.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, exportPrivateJwk, type SigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'

const encryptionKey = (kid: string, type: 'rsa' | 'ec') => {
  const { privateKey } =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { ...privateKey.export({ format: 'jwk' }), kid } as JWK
}

function fromAddress(location: string | readonly string[] | undefined): string | undefined {
  const address = [location].flat()[0]
  return (address && new URL(address, 'http://site.example').searchParams.get('request')) || undefined
}

describe('encrypted request objects at oidc-provider', () => {
  let provider: TestProvider
  let key: SigningKey
  let keys: readonly JWK[] = []
  const objects: string[] = []

  before(async () => {
    key = await createSigningKey('PS256')
    keys = [encryptionKey('rsa-1', 'rsa'), encryptionKey('ec-1', 'ec')]
    provider = await startProvider({
      client: { jwks: { keys: [key.publicJwk] } },
      features: {
        requestObjects: { enabled: true, requireSignedRequestObject: true },
        pushedAuthorizationRequests: { enabled: true },
        encryption: { enabled: true },
      },
      enabledJWA: {
        requestObjectSigningAlgValues: ['PS256'],
        requestObjectEncryptionAlgValues: ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A256KW'],
      },
      // An encrypted request is too long for an address.
      takesPost: true,
      host: 'localhost',
      encryptionKeys: () => keys,
    })
  })
  after(() => provider.close())

  async function open(requestObject: object, oidc: OidcOptions = {}) {
    const { issuer, clientId, clientSecret } = provider
    const signing = { key: exportPrivateJwk(key), ...requestObject }
    const common = { issuer, clientId, clientSecret, responseType: 'code', responseMode: 'query' } as const
    const keep: typeof fetch = (input, init) => {
      const pushed = new URLSearchParams(String(init?.body ?? '')).get('request')
      if (pushed !== null) objects.push(pushed)
      return fetch(input, init)
    }
    const site = await startSite({ oidc: { ...common, fetch: keep, requestObject: signing, ...oidc } })
    provider.register(site.url)
    objects.length = 0
    const visit = async () => {
      const leaving = await createAgent().open(`${site.url}/claims`, { redirect: 'manual' })
      const sent = /name="request" value="([^"]+)"/.exec(leaving.text)?.[1] ?? fromAddress(leaving.headers.location)
      if (sent !== undefined) objects.push(sent)
      return createAgent().visit(`${site.url}/claims`)
    }
    return { site, visit }
  }

  for (const [what, encryption, alg, enc, kid] of [
    ['what the provider lists', true, 'RSA-OAEP-256', 'A128CBC-HS256', 'rsa-1'],
    ['ECDH-ES', { algorithm: 'ECDH-ES', contentEncryption: 'A256GCM' }, 'ECDH-ES', 'A256GCM', 'ec-1'],
    ['ECDH-ES+A256KW', { algorithm: 'ECDH-ES+A256KW' }, 'ECDH-ES+A256KW', 'A128CBC-HS256', 'ec-1'],
  ] as const) {
    for (const pushedAuthorization of [false, true]) {
      test(`with ${what}, ${pushedAuthorization ? 'pushed' : 'by value'}`, async () => {
        const { site, visit } = await open({ encryption }, { pushedAuthorization })
        const page = await visit()
        await site.close()
        assert.equal(page.status, 200, `${page.text} ${provider.errors.join()} ${site.log.join()}`)
        const header = decodeProtectedHeader(objects[0] ?? '')
        assert.deepEqual([header.alg, header.enc, header.cty, header.kid], [alg, enc, 'JWT', kid])
        assert.equal(objects[0]?.split('.').length, 5)
      })
    }
  }

  test('a new key of the provider: the request is encrypted anew and pushed again, once', async () => {
    const { site, visit } = await open({ encryption: true }, { pushedAuthorization: true })
    assert.equal((await visit()).status, 200)
    keys = [encryptionKey('rsa-2', 'rsa')]
    provider.register(site.url)
    const before = provider.count('jwks')
    const page = await visit()
    assert.equal(page.status, 200, `${page.text} ${provider.errors.join()} ${site.log.join()}`)
    assert.deepEqual(
      objects.map(text => decodeProtectedHeader(text).kid),
      ['rsa-1', 'rsa-1', 'rsa-1', 'rsa-2', 'rsa-2'],
    )
    assert.equal(provider.count('jwks'), before + 1)
    await site.close()
  })

  test('a provider without a key for encryption: the browser does not leave, and the error says why', async () => {
    keys = []
    for (const pushedAuthorization of [false, true]) {
      const { site, visit } = await open({ encryption: true }, { pushedAuthorization })
      const page = await visit()
      assert.equal(page.status, 502)
      assert.equal(site.lastCode(), 'ERR_OIDC_UNSUPPORTED')
      assert.match(String(site.errors[0]), /publishes no key to encrypt request objects to/)
      assert.deepEqual(objects, [])
      await site.close()
    }
  })

  test('header members of the option name the key of the signature', async () => {
    const { site, visit } = await open(
      { header: { kid: 'named', 'x5t#S256': 'dGh1bWI' } },
      { pushedAuthorization: false },
    )
    await visit()
    await site.close()
    const { kid, typ, ...header } = decodeProtectedHeader(objects[0] ?? '')
    assert.deepEqual([kid, typ, header['x5t#S256']], ['named', 'oauth-authz-req+jwt', 'dGh1bWI'])
  })
})

test(
  'a provider that lists nothing and has no key for encryption is refused as well',
  withFixture({}, async ({ provider }) => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { issuer, clientId, clientSecret } = provider
    const requestObject = { key: privateKey, encryption: true } as const
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, responseType: 'code', requestObject } })
    const page = await createAgent().visit(`${site.url}/claims`)
    await site.close()
    assert.deepEqual([page.status, site.lastCode()], [502, 'ERR_OIDC_UNSUPPORTED'])
    assert.match(String(site.errors[0]), /publishes no key to encrypt request objects to/)
    assert.equal(provider.count('authorize'), 0)
  }),
)
