import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { JWK } from 'jose'
import { type OidcErrorCode, type OidcOptions, type OpenIdConnect, openIdConnect } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Claims, type Faults, type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { startProvider, type TestProvider } from '../support/provider.js'
import { createSigningKey, type SigningKey } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const decryptionKey: JWK = {
  ...(ec.privateKey.export({ format: 'jwk' }) as JWK),
  kid: 'ec',
  alg: 'ECDH-ES',
  use: 'enc',
}

const set = (more: Claims) => (claims: Claims) => ({ ...claims, ...more })
const leaveOut =
  (name: string) =>
  ({ [name]: _, ...claims }: Claims) =>
    claims

describe('a provider whose signed responses are bent', () => {
  let provider: HostileProvider
  let other: SigningKey
  const sites = new Map<string, Site>()

  before(async () => {
    provider = await startHostileProvider({ alg: 'PS256' })
    other = await createSigningKey('RS256')
    const { issuer, clientId, clientSecret } = provider
    const common = { issuer, clientId, clientSecret, idTokenAlgorithm: 'PS256', decryption: { keys: [decryptionKey] } }
    const kinds = {
      'query.jwt': { responseType: 'code', responseMode: 'query.jwt' },
      'form_post.jwt': { responseType: 'code id_token', responseMode: 'form_post.jwt' },
      encrypted: {
        responseType: 'code',
        responseMode: 'form_post.jwt',
        decryption: { keys: [decryptionKey], response: true },
      },
    } as const satisfies Record<string, OidcOptions>
    for (const [kind, oidc] of Object.entries(kinds)) {
      sites.set(kind, await startSite({ oidc: { ...common, ...oidc } as OidcOptions }))
    }
  })
  after(async () => {
    for (const site of sites.values()) await site.close()
    await provider.close()
  })

  async function visit(kind: string, faults: Faults) {
    const site = sites.get(kind)
    assert.ok(site)
    provider.heal()
    provider.break(faults)
    const calls = provider.count('token')
    const page = await createAgent().visit(`${site.url}/claims`)
    return { page, code: site.lastCode(), tokenCalls: provider.count('token') - calls }
  }

  async function refuses(kind: string, faults: Faults, expected: OidcErrorCode) {
    const { page, code, tokenCalls } = await visit(kind, faults)
    assert.equal(page.status, 400, page.text)
    assert.equal(code, expected)
    assert.equal(tokenCalls, 0, 'the code was used')
  }

  const everywhere = async (faults: Faults, expected: OidcErrorCode) => {
    for (const kind of ['query.jwt', 'form_post.jwt']) await refuses(kind, faults, expected)
  }

  test('what is right signs in, in both modes', async () => {
    for (const kind of ['query.jwt', 'form_post.jwt']) {
      const { page } = await visit(kind, {})
      assert.equal(page.status, 200, page.text)
    }
  })

  test('ensure-jarm-without-iss-fails', () =>
    everywhere({ signedResponse: leaveOut('iss') }, 'ERR_OIDC_RESPONSE_ISSUER'))
  test('ensure-jarm-with-invalid-iss-fails', () =>
    everywhere({ signedResponse: set({ iss: 'https://other.example' }) }, 'ERR_OIDC_RESPONSE_ISSUER'))
  test('ensure-jarm-without-aud-fails', () =>
    everywhere({ signedResponse: leaveOut('aud') }, 'ERR_OIDC_RESPONSE_AUDIENCE'))
  test('ensure-jarm-with-invalid-aud-fails: a signed response for another client, or for two, is refused before the code is used', async () => {
    for (const aud of ['other', ['client', 'other'], [], ['CLIENT'], 7])
      await everywhere({ signedResponse: set({ aud }) }, 'ERR_OIDC_RESPONSE_AUDIENCE')
  })
  test('ensure-jarm-without-exp-fails', () =>
    everywhere({ signedResponse: leaveOut('exp') }, 'ERR_OIDC_RESPONSE_EXPIRED'))
  test('ensure-jarm-with-expired-exp-fails', async () => {
    for (const exp of [Math.floor(Date.now() / 1000) - 360, 0, 1e300, '9999999999'])
      await everywhere({ signedResponse: set({ exp }) }, 'ERR_OIDC_RESPONSE_EXPIRED')
  })
  test('ensure-jarm-with-invalid-sig-fails', async () => {
    await everywhere({ signedResponse: { key: 'foreign' } }, 'ERR_OIDC_RESPONSE_SIGNATURE')
    await everywhere({ signedResponse: { signature: bytes => bytes.fill(0) } }, 'ERR_OIDC_RESPONSE_SIGNATURE')
  })
  test('ensure-jarm-signature-algorithm-is-not-none: nor RS256 by a published key, nor HS256', async () => {
    for (const alg of ['none', 'RS256', 'HS256'])
      await everywhere({ signedResponse: { alg } }, 'ERR_OIDC_RESPONSE_ALGORITHM')
  })
  test('a kid that the provider does not publish', () =>
    everywhere({ signedResponse: { header: header => ({ ...header, kid: other.kid }) } }, 'ERR_OIDC_RESPONSE_KEY'))
  test('times in the future, and a JWT of another purpose', async () => {
    const future = Math.floor(Date.now() / 1000) + 3600
    for (const more of [{ iat: future }, { nbf: future }, { nbf: 'now' }])
      await everywhere({ signedResponse: set(more) }, 'ERR_OIDC_RESPONSE_MALFORMED')
    await everywhere(
      { signedResponse: { header: header => ({ ...header, typ: 'at+jwt' }) } },
      'ERR_OIDC_RESPONSE_MALFORMED',
    )
    for (const token of ['.', 'a.b.c', 'e30', `${'a'.repeat(8000)}`])
      await everywhere({ signedResponse: { token: () => token } }, 'ERR_OIDC_RESPONSE_MALFORMED')
  })

  test('a plain response is refused where a signed one was asked for, an error too', async () => {
    await everywhere({ response: (_sent, _request, plain) => plain }, 'ERR_OIDC_RESPONSE_UNSIGNED')
    const denied = (state: string) =>
      [
        ['error', 'access_denied'],
        ['state', state],
      ] as const
    await everywhere({ response: (_sent, { state = '' }) => denied(state) }, 'ERR_OIDC_RESPONSE_UNSIGNED')
    await everywhere(
      { response: (_sent, _request, plain) => [['response', ''], ...plain] },
      'ERR_OIDC_RESPONSE_MALFORMED',
    )
  })

  test('parameters beside the signed response count for nothing', async () => {
    const beside = [
      ['code', 'forged'],
      ['state', 'forged'],
      ['iss', 'https://other.example'],
      ['error', 'access_denied'],
    ]
    for (const kind of ['query.jwt', 'form_post.jwt']) {
      const { page } = await visit(kind, { response: sent => [...(beside as [string, string][]), ...sent] })
      assert.equal(page.status, 200, page.text)
    }
  })

  test('a signed response that is there twice is refused', async () => {
    await everywhere({ response: sent => [...sent, ...sent] }, 'ERR_OIDC_RESPONSE_MALFORMED')
    await everywhere({ response: ([[, value] = ['', '']]) => [['response[]', value]] }, 'ERR_OIDC_RESPONSE_MALFORMED')
  })

  test('the state of another sign-in, or none, is refused although the signature is right', async () => {
    await everywhere({ signedResponse: set({ state: 'forged' }) }, 'ERR_OIDC_TRANSACTION_MISSING')
    await everywhere({ signedResponse: leaveOut('state') }, 'ERR_OIDC_REQUEST_MALFORMED')
    await everywhere({ signedResponse: leaveOut('code') }, 'ERR_OIDC_REQUEST_MALFORMED')
  })

  test('an error inside a signed response is the error of the provider', async () => {
    const fault = ({ code: _, id_token: _t, ...claims }: Claims) => ({ ...claims, error: 'access_denied' })
    const { page, code } = await visit('query.jwt', { signedResponse: fault })
    assert.equal(page.status, 403)
    assert.equal(code, 'ERR_OIDC_ACCESS_DENIED')
  })

  test('a response that was asked for before the site demanded signatures begins the sign-in anew', async () => {
    let before: OpenIdConnect | undefined
    const secret = 'the same secret of both, so that state is read'
    const site = await startSite({
      oidc: { ...plainOptions(provider), secret, responseMode: 'query.jwt' },
      before: app => app.use((req, res, next) => (before === undefined ? next() : before(req, res, next))),
    })
    const earlier = openIdConnect({ ...plainOptions(provider), secret, baseUrl: site.url, log: () => {} })
    before = earlier
    provider.heal()
    const deploy: Faults['response'] = sent => {
      before = undefined
      return sent
    }
    provider.break({ response: deploy })
    const calls = provider.count('authorize')
    const agent = createAgent()
    assert.equal((await agent.visit(`${site.url}/login`)).status, 200)
    assert.equal(provider.count('authorize') - calls, 2)
    assert.match((await agent.visit(`${site.url}/user`)).text, /"isAuthenticated":true/)
    await site.close()
    await earlier.close()
  })

  describe('encrypted', () => {
    test('a signed response that is not encrypted is refused where encryption is demanded', () =>
      refuses('encrypted', {}, 'ERR_OIDC_RESPONSE_ENCRYPTION'))

    test('one that no key opens, with a compressed or an unsigned text, is refused', async () => {
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const jwe = (header: object) =>
        `${encode({ alg: 'ECDH-ES', enc: 'A256GCM', ...header })}..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA`
      const { kty, crv, x, y } = decryptionKey
      for (const [header, code] of [
        [{ zip: 'DEF' }, 'ERR_OIDC_RESPONSE_ENCRYPTION'],
        [{ alg: 'RSA1_5' }, 'ERR_OIDC_RESPONSE_ENCRYPTION'],
        [{ alg: 'dir' }, 'ERR_OIDC_RESPONSE_ENCRYPTION'],
        [{ kid: 'other' }, 'ERR_OIDC_RESPONSE_DECRYPTION'],
        [{ epk: { kty, crv, x, y } }, 'ERR_OIDC_RESPONSE_DECRYPTION'],
      ] as const) {
        await refuses('encrypted', { signedResponse: { token: () => jwe(header) } }, code)
      }
    })
  })
})

function plainOptions({ issuer, clientId, clientSecret }: HostileProvider): OidcOptions {
  return { issuer, clientId, clientSecret, idTokenAlgorithm: 'PS256', responseType: 'code', responseMode: 'query' }
}

describe('an oidc-provider with JARM', () => {
  let provider: TestProvider

  before(async () => {
    const algorithms = { authorizationSigningAlgValues: ['RS256', 'PS256', 'ES256'] }
    provider = await startProvider({
      features: { jwtResponseModes: { enabled: true }, encryption: { enabled: true } },
      enabledJWA: {
        ...algorithms,
        authorizationEncryptionAlgValues: ['ECDH-ES'],
        authorizationEncryptionEncValues: ['A128CBC-HS256', 'A256GCM'],
      },
      moreKeys: ['PS256'],
    })
  })
  after(() => provider.close())

  for (const [responseType, responseMode, isEncrypted] of [
    ['code', 'query.jwt', false],
    ['code', 'form_post.jwt', true],
    ['code id_token', 'form_post.jwt', false],
  ] as const) {
    test(`${responseType} by ${responseMode}${isEncrypted ? ', signed then encrypted' : ''}`, async () => {
      const { issuer, clientId, clientSecret } = provider
      const site = await startSite({
        oidc: {
          ...{ issuer, clientId, clientSecret, responseType, responseMode },
          ...(isEncrypted && { decryption: { keys: [decryptionKey], response: true } }),
        },
      })
      const { kty, crv, x, y, kid } = decryptionKey
      provider.register(site.url, {
        authorization_signed_response_alg: 'ES256',
        ...(isEncrypted && {
          jwks: { keys: [{ kty, crv, x, y, kid, use: 'enc' }] },
          authorization_encrypted_response_alg: 'ECDH-ES',
          authorization_encrypted_response_enc: 'A256GCM',
        }),
      })
      const page = await createAgent().visit(`${site.url}/claims`)
      assert.equal(page.status, 200, `${page.text} ${provider.errors.join()}`)
      assert.equal((JSON.parse(page.text) as { sub: string }).sub, 'alice')
      await site.close()
    })
  }
})
