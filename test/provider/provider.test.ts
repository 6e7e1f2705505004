import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { OidcError, OidcErrorCode } from '../../lib/errors.js'
import { createProvider, type ProviderSettings } from '../../lib/provider/provider.js'
import { until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  createGate,
  createLocalProvider,
  createSigner,
  json,
  metadataOf,
  NONCE,
  rejected,
  type Signer,
} from './support.js'

const one = await createSigner('RS256', 'one')
const two = await createSigner('RS256', 'two')
const three = await createSigner('RS256', 'three')
const unnamed = await createSigner('RS256')
const curve = await createSigner('ES256', 'curve')
const DISCOVERY = '/.well-known/openid-configuration'
const expected = { nonce: NONCE }
const MINUTE = 60
const HOUR = 3600

async function setUp(t: TestContext, changes: Partial<ProviderSettings> = {}, signer = one) {
  const local = await createLocalProvider(t, signer)
  const provider = createProvider({ ...local.settings, ...changes })
  t.after(provider.close)
  const publish = (...signers: Signer[]) => local.server.on('/jwks', json({ keys: signers.map(({ jwk }) => jwk) }))
  const publishMetadata = (metadata: Record<string, unknown>) =>
    local.server.on(DISCOVERY, json(metadataOf(local.server.origin, metadata)))
  const fetches = () => ({ metadata: local.server.count(DISCOVERY), keys: local.server.count('/jwks') })
  return { ...local, provider, publish, publishMetadata, fetches }
}

test('an ID Token of the provider for this attempt is accepted', async t => {
  const { provider, claims, fetches } = await setUp(t)
  const verified = await provider.verifyIdToken(await one.sign(claims({ email: 'a@b.test' })), expected)
  assert.deepEqual(verified, { claims: claims({ email: 'a@b.test' }), alg: 'RS256' })
  assert.deepEqual(fetches(), { metadata: 1, keys: 1 })
})

test('an ID Token of another asymmetric algorithm that the provider lists is accepted without an option', async t => {
  const { provider, publish, claims } = await setUp(t)
  publish(one, curve)
  assert.equal((await provider.verifyIdToken(await curve.sign(claims()), expected)).alg, 'ES256')
})

test('a sid that cannot be one is left out with a line in the log, and refused where logout tokens name sessions', async t => {
  const lines: string[] = []
  const { provider, claims } = await setUp(t, { log: line => lines.push(line) })
  const token = await one.sign(claims({ sid: 42 }))
  for (let count = 0; count < 9; count += 1) {
    const verified = await provider.verifyIdToken(token, expected)
    assert.equal('sid' in verified.claims, false)
  }
  assert.equal(
    lines.filter(line => /the sid of the ID Token is not a string/.test(line)).length,
    3,
    'three lines, however often',
  )

  const strict = await setUp(t)
  strict.publishMetadata({ backchannel_logout_session_supported: true })
  const refused = await one.sign(strict.claims({ sid: 42 }))
  await rejected(strict.provider.verifyIdToken(refused, expected), 'ERR_OIDC_ID_TOKEN_MALFORMED')
})

test('an algorithm that is not accepted is named, with the option', async t => {
  const { provider, publish, claims } = await setUp(t, { idTokenAlgorithm: 'PS256' })
  publish(one, curve)
  const error = await rejected(
    provider.verifyIdToken(await curve.sign(claims()), expected),
    'ERR_OIDC_ID_TOKEN_ALGORITHM',
  )
  assert.match(error.message, /signed with ES256, and PS256 is accepted.*set idTokenAlgorithm/)
})

type Make = (
  claims: (changes?: Record<string, unknown>) => Record<string, unknown>,
  now: number,
) => string | Promise<string>
const rejections: readonly { name: string; token: Make; code: OidcErrorCode }[] = [
  { name: 'no signature', token: claims => new UnsecuredJWT(claims()).encode(), code: 'ERR_OIDC_ID_TOKEN_ALGORITHM' },
  {
    name: 'another algorithm that is listed, and no key',
    token: claims => curve.sign(claims()),
    code: 'ERR_OIDC_ID_TOKEN_KEY',
  },
  { name: 'a key that is not published', token: claims => two.sign(claims()), code: 'ERR_OIDC_ID_TOKEN_KEY' },
  {
    name: 'the name of a key it was not signed with',
    token: claims => two.sign(claims(), { kid: 'one' }),
    code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
  },
  {
    name: 'no name and a strange key',
    token: claims => two.sign(claims(), { kid: undefined }),
    code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
  },
  {
    name: 'another issuer',
    token: claims => one.sign(claims({ iss: 'https://else.test' })),
    code: 'ERR_OIDC_ID_TOKEN_ISSUER',
  },
  {
    name: 'another audience',
    token: claims => one.sign(claims({ aud: 'another' })),
    code: 'ERR_OIDC_ID_TOKEN_AUDIENCE',
  },
  {
    name: 'the nonce of another attempt',
    token: claims => one.sign(claims({ nonce: 'other' })),
    code: 'ERR_OIDC_ID_TOKEN_NONCE',
  },
  {
    name: 'an end beyond the tolerance',
    token: (claims, now) => one.sign(claims({ exp: now - 30 })),
    code: 'ERR_OIDC_ID_TOKEN_EXPIRED',
  },
]
for (const { name, token, code } of rejections) {
  test(`an ID Token with ${name} is refused`, async t => {
    const { provider, claims, clock } = await setUp(t)
    await rejected(provider.verifyIdToken(await token(claims, clock.now().getTime() / 1000), expected), code)
  })
}

test('the clocks may differ by 30 seconds, or by what the site says', async t => {
  const { provider, claims, clock, settings } = await setUp(t)
  const now = clock.now().getTime() / 1000
  await provider.verifyIdToken(await one.sign(claims({ exp: now - 29 })), expected)
  const strict = createProvider({ ...settings, clockTolerance: 0 })
  await rejected(strict.verifyIdToken(await one.sign(claims({ exp: now })), expected), 'ERR_OIDC_ID_TOKEN_EXPIRED')
})

test('what an attempt carries besides its expectations cannot loosen a check', async t => {
  const { provider, claims } = await setUp(t)
  const attempt = { ...expected, issuer: 'https://else.test', clientId: 'another', now: 0, clockTolerance: 1e9 }
  await provider.verifyIdToken(await one.sign(claims()), attempt)
})

test('a warm provider costs a sign-in no request for metadata or keys', async t => {
  const { provider, claims, fetches } = await setUp(t)
  await provider.warm()
  for (let i = 0; i < 20; i += 1) {
    await provider.metadata()
    await provider.verifyIdToken(await one.sign(claims()), expected)
    await provider.fetchUserInfo('token')
  }
  assert.deepEqual(fetches(), { metadata: 1, keys: 1 })
})

test('the first of many sign-ins at once fetch metadata and keys once', async t => {
  const { provider, claims, fetches } = await setUp(t)
  const token = await one.sign(claims())
  await Promise.all(Array.from({ length: 50 }, () => provider.verifyIdToken(token, expected)))
  await Promise.all(Array.from({ length: 50 }, () => provider.metadata()))
  assert.deepEqual(fetches(), { metadata: 1, keys: 1 })
})

test('the beginning of a sign-in has the keys fetched that its end will need', async t => {
  const { provider, clock, fetches } = await setUp(t)
  await provider.metadata()
  await until('the keys are fetched', () => fetches().keys === 1)
  clock.advance(10 * MINUTE)
  // A fetch that is under way is not begun again, and the first one may still be.
  await until('the keys are fetched again', async () => {
    await provider.metadata()
    return fetches().keys === 2
  })
  assert.equal(fetches().metadata, 1)
})

test('aged metadata and keys are reloaded in the background', async t => {
  const { provider, server, claims, clock, fetches } = await setUp(t)
  await provider.warm()
  const gate = createGate(json({}, 500))
  server.on(DISCOVERY, gate.response)
  server.on('/jwks', gate.response)
  clock.advance(59 * MINUTE)
  await provider.verifyIdToken(await one.sign(claims()), expected)
  clock.advance(MINUTE)
  assert.equal((await provider.metadata()).issuer, server.origin)
  await until('both are fetched again', () => fetches().keys === 2 && fetches().metadata === 2)
  gate.open()
})

test('keys that rotate just before each signature of one sign-in are found both times', async t => {
  const { provider, publish, claims, fetches } = await setUp(t)
  await provider.warm()
  publish(two)
  await provider.verifyIdToken(await two.sign(claims()), expected)
  publish(three)
  await provider.verifyIdToken(await three.sign(claims()), expected)
  assert.deepEqual(fetches(), { metadata: 1, keys: 3 })
})

test('a new key without a name, or under an old name, is found by one request', async t => {
  const { provider, publish, server, claims, fetches } = await setUp(t, {}, unnamed)
  await provider.warm()
  const { kid: _, ...nameless } = two.jwk
  publish({ ...two, jwk: nameless })
  await provider.verifyIdToken(await two.sign(claims(), { kid: undefined }), expected)
  assert.equal(fetches().keys, 2)
  server.on('/jwks', json({ keys: [{ ...two.jwk, kid: 'same' }] }))
  await provider.verifyIdToken(await two.sign(claims(), { kid: 'same' }), expected)
  server.on('/jwks', json({ keys: [{ ...three.jwk, kid: 'same' }] }))
  await provider.verifyIdToken(await three.sign(claims(), { kid: 'same' }), expected)
  assert.equal(fetches().keys, 4)
})

test('a token without a name is tried with every key that could have made it', async t => {
  const { provider, server, claims, fetches } = await setUp(t)
  server.on('/jwks', json({ keys: [two.jwk, curve.jwk, three.jwk, one.jwk] }))
  await provider.verifyIdToken(await one.sign(claims(), { kid: undefined }), expected)
  assert.equal(fetches().keys, 1)
})

test('a flood of bad signatures costs as many requests as the budget allows', async t => {
  const { provider, claims, fetches } = await setUp(t)
  await provider.warm()
  const forged = await two.sign(claims(), { kid: 'one' })
  for (let i = 0; i < 50; i += 1)
    await rejected(provider.verifyIdToken(forged, expected), 'ERR_OIDC_ID_TOKEN_SIGNATURE')
  assert.equal(fetches().keys, 1 + 5)
})

test('a token that is refused for anything but its key costs no request', async t => {
  const { provider, claims, fetches } = await setUp(t, { idTokenAlgorithm: 'RS256' })
  await provider.warm()
  const tokens = ['x', await curve.sign(claims(), { kid: 'new' }), await one.sign(claims({ nonce: 'other' }))]
  for (const token of tokens) await assert.rejects(provider.verifyIdToken(token, expected), { name: 'OidcError' })
  assert.equal(fetches().keys, 1)
})

test('known keys and metadata go on being used while the provider is down', async t => {
  const { provider, server, claims, clock } = await setUp(t)
  await provider.warm()
  await server.stop()
  clock.advance(24 * HOUR)
  assert.equal((await provider.metadata()).issuer, server.origin)
  await provider.verifyIdToken(await one.sign(claims()), expected)
  const { reachable, error } = provider.health()
  assert.deepEqual({ reachable, error }, { reachable: false, error: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  await rejected(provider.verifyIdToken(await two.sign(claims()), expected), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
})

test('a provider that was down at start is found in the background', async t => {
  const { provider, server, claims } = await setUp(t)
  await server.stop()
  assert.deepEqual(provider.health(), { reachable: false })
  await rejected(provider.warm(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.deepEqual(provider.health(), { reachable: false, error: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  await rejected(provider.metadata(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  await server.start()
  await until('the provider is reachable', () => provider.health().reachable)
  assert.equal(provider.peekMetadata()?.issuer, server.origin)
  await provider.verifyIdToken(await one.sign(claims()), expected)
})

test('a provider that was down at start is found by the next sign-in, also without the background', async t => {
  const { provider, server, clock } = await setUp(t)
  await server.stop()
  await rejected(provider.metadata(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  await server.start()
  clock.advance(1)
  assert.equal((await provider.metadata()).issuer, server.origin)
})

test('health tells how the last look at the provider went', async t => {
  const { provider, server, clock, fetches } = await setUp(t)
  await provider.warm()
  assert.deepEqual(provider.health(), { reachable: true })
  server.on('/jwks', json({}, 404))
  clock.advance(10 * MINUTE)
  await provider.warm()
  await until(
    'the keys are fetched again, and health tells of it',
    () => fetches().keys === 2 && provider.health().error !== undefined,
  )
  assert.equal(provider.health().error, 'ERR_OIDC_PROVIDER_RESPONSE')
})

test('keys that have moved are found by asking for the metadata again', async t => {
  const { provider, server, publishMetadata, claims } = await setUp(t)
  await provider.warm()
  server.on('/jwks', json({}, 404))
  server.on('/moved', json({ keys: [two.jwk] }))
  publishMetadata({ jwks_uri: `${server.origin}/moved` })
  await rejected(provider.verifyIdToken(await two.sign(claims()), expected), 'ERR_OIDC_PROVIDER_RESPONSE')
  await provider.verifyIdToken(await two.sign(claims()), expected)
})

test('keys that are back in their place are found although the metadata is not', async t => {
  const { provider, server, publish, claims } = await setUp(t)
  await provider.warm()
  server.on('/jwks', json({}, 404))
  await rejected(provider.verifyIdToken(await two.sign(claims()), expected), 'ERR_OIDC_PROVIDER_RESPONSE')
  server.on(DISCOVERY, json({}, 500))
  publish(two)
  await provider.verifyIdToken(await two.sign(claims()), expected)
})

test('a provider that cannot do what the site needs is refused before the browser is sent there', async t => {
  const unsupported: Record<string, unknown>[] = [
    { response_types_supported: ['code'] },
    { response_modes_supported: ['query'] },
    { id_token_signing_alg_values_supported: ['HS256'] },
    { token_endpoint_auth_methods_supported: ['private_key_jwt'] },
  ]
  for (const metadata of unsupported) {
    const { provider, publishMetadata } = await setUp(t)
    publishMetadata(metadata)
    await rejected(provider.metadata(), 'ERR_OIDC_UNSUPPORTED')
  }
})

for (const name of ['require_pushed_authorization_requests', 'require_signed_request_object']) {
  // `require_pushed_authorization_requests` without an endpoint for them cannot be met.
  test(`${name} ends sign-ins with a sentence: at the start, in static metadata, and when it comes later`, async t => {
    const atStart = await setUp(t)
    atStart.publishMetadata({ [name]: true })
    await rejected(atStart.provider.warm(), 'ERR_OIDC_UNSUPPORTED')
    const error = await rejected(atStart.provider.metadata(), 'ERR_OIDC_UNSUPPORTED')
    assert.match(error.message, /signed request|pushed_authorization_request_endpoint/)
    const metadata = metadataOf(atStart.settings.issuer, { [name]: true })
    assert.throws(() => createProvider({ ...atStart.settings, metadata }), { code: 'ERR_OIDC_UNSUPPORTED' })

    const { provider, publishMetadata, clock, fetches } = await setUp(t)
    await provider.warm()
    publishMetadata({ [name]: true })
    clock.advance(HOUR)
    await provider.metadata()
    await until(
      'the metadata is fetched again, and health tells of it',
      () => fetches().metadata === 2 && provider.health().error !== undefined,
    )
    await rejected(provider.metadata(), 'ERR_OIDC_UNSUPPORTED')
    await rejected(provider.warm(), 'ERR_OIDC_UNSUPPORTED')
    publishMetadata({})
    clock.advance(MINUTE)
    await provider.metadata().catch(() => undefined)
    await until('health is good', () => provider.health().error === undefined)
    await provider.metadata()
  })
}

test('a provider that does not list its response modes is named once in the log', async t => {
  const log: string[] = []
  const { provider, publishMetadata, clock, fetches } = await setUp(t, { log: line => void log.push(line) })
  publishMetadata({ response_modes_supported: undefined })
  await provider.warm()
  clock.advance(HOUR)
  await provider.metadata()
  await until('the metadata is fetched again', () => fetches().metadata === 2)
  assert.equal(log.filter(line => line.includes("responseMode: 'query'")).length, 1)
})

test('what the provider says at each endpoint is a field of the error and one line in the log', async t => {
  const log: string[] = []
  const { provider, server, publishMetadata } = await setUp(t, { log: line => void log.push(line) })
  publishMetadata({ revocation_endpoint: `${server.origin}/revoke`, userinfo_endpoint: `${server.origin}/userinfo` })
  const said = { error: 'access_denied', error_description: 'Client requires DPoP' }
  server.on('/token', json(said, 400))
  server.on('/revoke', json(said, 403))
  server.on(
    '/userinfo',
    (_, res) =>
      void res
        .writeHead(403, {
          'www-authenticate': 'Bearer error="access_denied", error_description="Client requires DPoP"',
        })
        .end(),
  )
  const errors = [
    await rejected(provider.refreshTokens({ refreshToken: 'rt' }), 'ERR_OIDC_TOKEN_DENIED'),
    await rejected(provider.revokeToken('rt', 'refresh_token'), 'ERR_OIDC_PROVIDER_RESPONSE'),
    await rejected(provider.fetchUserInfo('at'), 'ERR_OIDC_USER_INFO_RESPONSE'),
  ]
  for (const error of errors) {
    assert.deepEqual((error as OidcError).providerError, said)
    assert.ok(!error.message.includes('DPoP'))
  }
  assert.deepEqual(
    log.filter(line => !line.includes('clock')).map(line => line.replace(server.origin, '')),
    [
      'the provider refused a request to /token (refresh_token): 400 access_denied "Client requires DPoP"',
      'the provider refused a request to /revoke: 403 access_denied "Client requires DPoP"',
      'the provider refused a request to /userinfo: 403 access_denied "Client requires DPoP"',
    ],
  )
})

test('an access token that userinfo no longer takes is no line in the log, and a provider that refuses everything does not fill it', async t => {
  const lines: string[] = []
  const { provider, server, publishMetadata, clock } = await setUp(t, { log: line => void lines.push(line) })
  publishMetadata({ userinfo_endpoint: `${server.origin}/userinfo` })
  server.on('/userinfo', json({ error: 'invalid_token' }, 401))
  await rejected(provider.fetchUserInfo('at'), 'ERR_OIDC_USER_INFO_RESPONSE')
  const refusals = () => lines.filter(line => line.includes('refused'))
  assert.deepEqual(refusals(), [])
  server.on('/token', json({ error: 'invalid_grant' }, 400))
  const refuse = () => provider.refreshTokens({ refreshToken: 'rt' }).catch(() => undefined)
  for (let i = 0; i < 100; i += 1) await refuse()
  const atOnce = refusals().length
  assert.ok(atOnce >= 10 && atOnce <= 30, `${atOnce} lines`)
  clock.advance(MINUTE)
  await refuse()
  assert.equal(refusals().length, atOnce + 1)
})

test('a secret that a provider repeats is neither in the error nor in the log', async t => {
  const log: string[] = []
  const clientSecret = 'secret words of a site'
  for (const clientAuthentication of ['client_secret_basic', 'client_secret_post'] as const) {
    const { provider, server } = await setUp(t, {
      clientSecret,
      clientAuthentication,
      log: line => void log.push(line),
    })
    server.on('/token', (request, res) => {
      const form = Object.fromEntries(new URLSearchParams(request.body))
      const error_description = `${request.headers.authorization} ${clientSecret} ${JSON.stringify(form)}`
      res
        .writeHead(400, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: 'invalid_grant', error_description }))
    })
    const error = await rejected(
      provider.redeemCode({
        code: 'plain code words',
        codeVerifier: 'plain verifier words',
        redirectUri: 'https://rp.example/',
      }),
      'ERR_OIDC_CODE_REJECTED',
    )
    const shown = inspect(error, { depth: 10, showHidden: true }) + log.join('\n')
    for (const hidden of [
      clientSecret,
      'plain code words',
      'plain verifier words',
      Buffer.from(clientSecret).toString('base64'),
    ])
      assert.ok(!shown.includes(hidden), `${hidden} in ${shown}`)
    assert.match(shown, /rp\.example/)
  }
})

test('health does not call a provider reachable right after a connection to it was refused, and does when it responds again', async t => {
  const { provider, server, clock } = await setUp(t)
  await provider.warm()
  assert.equal(provider.health().reachable, true)
  await server.stop()
  await rejected(provider.refreshTokens({ refreshToken: 'rt' }), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  const { reachable, error } = provider.health()
  assert.deepEqual({ reachable, error }, { reachable: false, error: 'ERR_OIDC_PROVIDER_UNAVAILABLE' })
  await server.start()
  await rejected(provider.refreshTokens({ refreshToken: 'rt' }), 'ERR_OIDC_TOKEN_RESPONSE')
  assert.equal(provider.health().reachable, true)
  await server.stop()
  await rejected(provider.fetchUserInfo('at'), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.equal(provider.health().reachable, false)
  clock.advance(MINUTE)
  assert.equal(provider.health().reachable, true, 'nothing was sent there since')
})

test('a provider that comes to name another issuer is not followed', async t => {
  const { provider, server, clock, fetches } = await setUp(t)
  const known = await provider.metadata()
  server.on(DISCOVERY, json(metadataOf('https://else.test')))
  clock.advance(HOUR)
  assert.equal(await provider.metadata(), known)
  await until(
    'the metadata is fetched again, and health tells of it',
    () => fetches().metadata === 2 && provider.health().error !== undefined,
  )
  assert.equal(provider.peekMetadata(), known)
  assert.equal(provider.health().error, 'ERR_OIDC_METADATA_ISSUER')
})

test('HS256 is verified with the client secret where the site has agreed to it, without any keys', async t => {
  const clientSecret = secret('client secret for HS256')
  const hs256 = createSymmetricSigner(clientSecret)
  const { provider, claims, fetches } = await setUp(t, { clientSecret, idTokenAlgorithm: 'HS256' })
  await provider.warm()
  const { alg } = await provider.verifyIdToken(await hs256(claims()), expected)
  assert.equal(alg, 'HS256')
  const forged = createSymmetricSigner(secret('another secret'))
  await rejected(provider.verifyIdToken(await forged(claims()), expected), 'ERR_OIDC_ID_TOKEN_SIGNATURE')
  assert.deepEqual(fetches(), { metadata: 1, keys: 0 })
  const { provider: asymmetric } = await setUp(t, { clientSecret })
  await rejected(asymmetric.verifyIdToken(await hs256(claims()), expected), 'ERR_OIDC_ID_TOKEN_ALGORITHM')
})

test('a secret that is too short for its algorithm, or missing, is found at once', async t => {
  const lengths = { HS256: 32, HS384: 48, HS512: 64 } as const
  for (const [algorithm, length] of Object.entries(lengths)) {
    const idTokenAlgorithm = algorithm as keyof typeof lengths
    await setUp(t, { idTokenAlgorithm, clientSecret: 'x'.repeat(length) })
    await setUp(t, { idTokenAlgorithm, clientSecret: 'ü'.repeat(length / 2) })
    await rejected(setUp(t, { idTokenAlgorithm, clientSecret: 'x'.repeat(length - 1) }), 'ERR_OIDC_OPTIONS')
  }
  await rejected(setUp(t, { idTokenAlgorithm: 'HS256', clientSecret: undefined }), 'ERR_OIDC_OPTIONS')
  await rejected(setUp(t, { userInfoAlgorithm: 'HS256', clientSecret: 'short' }), 'ERR_OIDC_OPTIONS')
})

test('nothing is sent before it is needed, and a closed provider sends nothing by itself', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  let sent = 0
  const failing: typeof fetch = async () => {
    sent += 1
    throw new TypeError('down')
  }
  const { provider } = await setUp(t, { fetch: failing })
  assert.equal(provider.peekMetadata(), undefined)
  assert.equal(sent, 0)
  await rejected(provider.warm(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  t.mock.timers.tick(1000)
  await new Promise(setImmediate)
  assert.equal(sent, 2)
  provider.close()
  t.mock.timers.tick(600_000)
  await new Promise(setImmediate)
  assert.equal(sent, 2)
})

test('static metadata is enough for a site that names everything itself', async t => {
  const { server, settings, claims } = await createLocalProvider(t, one)
  const provider = createProvider({
    ...settings,
    metadata: metadataOf(server.origin),
    endpoints: { jwks_uri: `${server.origin}/jwks` },
  })
  assert.equal(provider.peekMetadata()?.issuer, server.origin)
  await provider.verifyIdToken(await one.sign(claims()), expected)
  assert.equal(server.count(DISCOVERY), 0)
})

function createSymmetricSigner(clientSecret: string) {
  return (claims: Record<string, unknown>) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.from(clientSecret))
}
