import assert from 'node:assert/strict'
import { KeyObject } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportJWK, jwtVerify } from 'jose'
import { type OidcOptions, openIdConnect } from '../../lib/index.js'
import { hasMlDsa } from '../../lib/options/environment-checks.js'
import { selectKeys } from '../../lib/protocol/key-selection.js'
import { ML_DSA } from '../../lib/protocol/signing-algorithms.js'
import { buildTokenHash } from '../../lib/protocol/token-hash.js'
import { createProvider } from '../../lib/provider/provider.js'
import { toPublicJwk } from '../../lib/provider/public-keys.js'
import { secret } from '../support/secrets.js'
import { CLIENT_ID, createClock, createLocalServer, createSigner, json, metadataOf, rejected } from './support.js'

const skip = hasMlDsa() ? false : 'this Node has no ML-DSA: the packaging matrix runs it on those that have'

const options = (more: OidcOptions): OidcOptions => ({
  issuer: 'https://op.example',
  clientId: CLIENT_ID,
  baseUrl: 'http://localhost:3000',
  secret: secret('session secret'),
  log: () => {},
  ...more,
})

for (const algorithm of ML_DSA) {
  test(`idTokenAlgorithm "${algorithm}" starts on a Node that has it, and on no other`, () => {
    const start = () => openIdConnect(options({ clientSecret: secret('client secret'), idTokenAlgorithm: algorithm }))
    if (hasMlDsa()) start()
    else assert.throws(start, { code: 'ERR_OIDC_OPTIONS', message: /idTokenAlgorithm.*needs Node 24\.7/ })
  })

  test(`a key for ${algorithm} names it, and is public`, () => {
    const key = { kty: 'AKP', alg: algorithm, pub: 'AAAA' }
    assert.deepEqual(
      selectKeys([key, { ...key, priv: 'AAAA' }, { kty: 'AKP' }, { ...key, alg: 'x' }], { alg: algorithm }),
      [key],
    )
    assert.deepEqual(selectKeys([{ ...key, kty: 'OKP' }], { alg: algorithm }), [])
  })

  test(`the hash that goes with ${algorithm} is the left half of 64 bytes of SHAKE256`, () => {
    // FIPS 202: SHAKE256 of the empty message begins with these bytes.
    const expected = '46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f'
    assert.equal(Buffer.from(buildTokenHash('', algorithm), 'base64url').toString('hex'), expected)
  })
}

describe('ML-DSA', { skip }, () => {
  for (const algorithm of ML_DSA) {
    test(`an ID Token with ${algorithm} is verified, and one by another key is not`, async t => {
      const server = await createLocalServer(t)
      const clock = createClock()
      const [signer, other] = [await createSigner(algorithm, 'k'), await createSigner(algorithm, 'k')]
      const issuer = server.origin
      const metadata = metadataOf(issuer, { id_token_signing_alg_values_supported: [algorithm] })
      server.on('/.well-known/openid-configuration', json(metadata))
      server.on('/jwks', json({ keys: [signer.jwk] }))
      const provider = createProvider({
        issuer,
        clientId: CLIENT_ID,
        clientSecret: secret('client secret'),
        idTokenAlgorithm: algorithm,
        responseType: 'code',
        responseMode: 'query',
        now: clock.now,
      })
      t.after(() => provider.close())
      const now = Math.floor(clock.now().getTime() / 1000)
      const claims = { iss: issuer, sub: 'alice', aud: CLIENT_ID, iat: now, exp: now + 60, nonce: 'n' }
      const expected = { nonce: 'n', createdAt: now }
      assert.equal((await provider.verifyIdToken(await signer.sign(claims), expected)).claims.sub, 'alice')
      await rejected(provider.verifyIdToken(await other.sign(claims), expected), 'ERR_OIDC_ID_TOKEN_SIGNATURE')
    })

    test(`a client assertion is signed with ${algorithm}, and its public key can be published`, async t => {
      const server = await createLocalServer(t)
      const signer = await createSigner(algorithm, 'k')
      const keyObject = KeyObject.from(signer.privateKey as Parameters<typeof KeyObject.from>[0])
      const jwk = { ...(await exportJWK(signer.privateKey)), kid: 'k' }
      assert.deepEqual(toPublicJwk({ key: jwk, use: 'sig' }), { ...signer.jwk, kid: 'k', use: 'sig', alg: algorithm })
      server.on('/.well-known/openid-configuration', json(metadataOf(server.origin)))
      server.on('/token', json({ access_token: 't', token_type: 'Bearer' }))
      for (const key of [keyObject, signer.privateKey, jwk]) {
        openIdConnect(options({ clientAuthentication: { method: 'private_key_jwt', key: key as KeyObject } }))
        const provider = createProvider({
          issuer: server.origin,
          clientId: CLIENT_ID,
          clientAuthentication: 'private_key_jwt',
          clientKey: key as KeyObject,
          responseType: 'code',
          responseMode: 'query',
          now: () => new Date(),
        })
        await provider.requestClientTokens({})
        provider.close()
        const form = new URLSearchParams(server.seen.at(-1)?.body)
        const { protectedHeader } = await jwtVerify(form.get('client_assertion') ?? '', signer.jwk)
        assert.equal(protectedHeader.alg, algorithm)
      }
    })
  }
})
