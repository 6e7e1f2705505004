import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { parseOptions } from '../../lib/options/parse-options.js'
import { readSeveral } from '../../lib/options/several-providers.js'
import type { ProviderMetadata } from '../../lib/protocol/wire.js'
import { createClientAuthentication } from '../../lib/provider/client-authentication.js'
import { createCertificateSource } from '../../lib/provider/client-certificate.js'
import { selectClientAuthentication } from '../../lib/provider/client-credentials.js'
import { createSigningKey, exportPrivateJwk } from '../support/signing-keys.js'

const metadata = {
  issuer: 'https://op.example',
  token_endpoint: 'https://op.example/token',
  token_endpoint_auth_methods_supported: ['private_key_jwt', 'client_secret_post'],
} as unknown as ProviderMetadata

function clientOf(options: object) {
  const { provider } = parseOptions(
    {
      issuer: 'https://op.example',
      clientId: 'site',
      baseUrl: 'https://site.example',
      secret: 'yG7uQ2mZ9pK4vR8tW1xB6nC3dF5hJ0aL',
      ...options,
    },
    {},
  )
  const authenticate = createClientAuthentication({
    clientId: 'site',
    authentication: given => selectClientAuthentication(provider, given),
    clientSecret: provider.clientSecret,
    now: () => new Date(),
  })
  return async () => (await authenticate(metadata, 'https://op.example/token')).body
}

const withKey = (key: unknown, more: object = {}) =>
  clientOf({ clientAuthentication: { method: 'private_key_jwt', key, ...more } })

describe('a client key from a function', async () => {
  const [rsa, curve] = [
    exportPrivateJwk(await createSigningKey('PS256')),
    exportPrivateJwk(await createSigningKey('ES256')),
  ]

  test('the next assertion is signed with the key that the function returns now, by an algorithm that fits it', async () => {
    const keys: object[] = [
      { ...curve, kid: 'old', alg: undefined },
      { ...rsa, kid: 'new', alg: 'PS256' },
    ]
    const authenticate = withKey(() => keys.shift())
    const headers = [await authenticate(), await authenticate()].map(body =>
      decodeProtectedHeader(body.client_assertion ?? ''),
    )
    assert.deepEqual(
      headers.map(({ kid, alg }) => [kid, alg]),
      [
        ['old', 'ES256'],
        ['new', 'PS256'],
      ],
    )
  })

  test('header members that come with the key win over those of the option', async () => {
    const x5c = ['MIIB+w==']
    const header = { kid: 'of the option', 'x5t#S256': 'old' }
    const authenticate = withKey(async () => ({ key: curve, header: { 'x5t#S256': 'new', x5c } }), { header })
    const found = decodeProtectedHeader((await authenticate()).client_assertion ?? '')
    assert.deepEqual([found.kid, found['x5t#S256'], found.x5c], ['of the option', 'new', x5c])
  })

  test('assertions that are made at the same time share one call of the function, and have their own jti', async () => {
    let calls = 0
    const authenticate = withKey(async () => {
      calls += 1
      return curve
    })
    const bodies = await Promise.all(Array.from({ length: 50 }, authenticate))
    assert.equal(calls, 1)
    assert.equal(new Set(bodies.map(body => decodeJwt(body.client_assertion ?? '').jti)).size, 50)
    await authenticate()
    assert.equal(calls, 2)
  })

  test('a secret that many requests need at the same time is asked for once, and a failure is not kept', async () => {
    let calls = 0
    const authenticate = clientOf({
      clientAuthentication: 'client_secret_post',
      clientSecret: async () => {
        calls += 1
        if (calls === 1) throw new Error('not yet')
        return `secret ${calls}`
      },
    })
    const failed = await Promise.allSettled(Array.from({ length: 20 }, authenticate))
    assert.ok(failed.every(({ status }) => status === 'rejected'))
    assert.equal(calls, 1)
    assert.equal((await authenticate()).client_secret, 'secret 2')
  })

  for (const [name, returned] of [
    ['nothing', undefined],
    ['a public key', { ...curve, d: undefined }],
    ['a text', 'key'],
    ['an object without a key', { header: {} }],
    ['a header member that is not known', { key: curve, header: { jku: 'https://x.example' } }],
    ['an x5c that is not base64', { key: curve, header: { x5c: ['-----BEGIN'] } }],
  ] as const) {
    test(`a function that returns ${name} is ERR_OIDC_OPTIONS, and the message shows nothing of it`, async () => {
      await assert.rejects(withKey(() => returned)(), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ERR_OIDC_OPTIONS')
        assert.ok(!error.message.includes(curve.d ?? '-'))
        return true
      })
    })
  }

  test('the profile fapi2 takes a key from a function, and refuses one of another algorithm when it is used', async () => {
    const profile = (key: unknown) =>
      clientOf({ profile: 'fapi2', clientAuthentication: { method: 'private_key_jwt', key: () => key } })
    assert.equal(decodeProtectedHeader((await profile(curve)()).client_assertion ?? '').alg, 'ES256')
    await assert.rejects(profile({ ...rsa, alg: 'RS256' })(), { code: 'ERR_OIDC_OPTIONS' })
  })
})

test('a function of the site that does not finish is given up after timeouts.provider, and asked again the next time', async () => {
  const key = exportPrivateJwk(await createSigningKey('ES256'))
  const timeouts = { provider: 100 }
  let isStuck = true
  const later = (value: unknown) => async () => (isStuck ? new Promise<never>(() => {}) : value)
  const secret = { clientSecret: later('yG7uQ2mZ9pK4vR8tW1xB6n'), clientAuthentication: 'client_secret_post' }
  const several = readSeveral({}, { resolveProvider: later(undefined), timeouts } as never, () => assert.fail())
  const calls: Readonly<Record<string, () => Promise<unknown> | undefined>> = {
    clientSecret: clientOf({ ...secret, timeouts }),
    'clientAuthentication.key': clientOf({
      clientAuthentication: { method: 'private_key_jwt', key: later(key) },
      timeouts,
    }),
    resolveProvider: () => several.resolve?.('a'),
  }
  for (const [name, call] of Object.entries(calls)) {
    isStuck = true
    await assert.rejects(async () => call(), {
      message: new RegExp(`the function ${name} did not finish within timeouts.provider \\(100 ms\\)`),
      ...(name !== 'resolveProvider' && { code: 'ERR_OIDC_OPTIONS' }),
    })
    isStuck = false
    await call()
  }
  isStuck = true
  const message = /the function mtls did not finish/
  await assert.rejects(createCertificateSource(later({}) as () => Promise<never>, 100)(), {
    code: 'ERR_OIDC_OPTIONS',
    message,
  })
})
