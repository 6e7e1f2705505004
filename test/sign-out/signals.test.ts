import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { OidcOptions, Signal, SignalDecision } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import type { SceneOptions } from '../support/handler-fixture.js'
import type { Claims, JwtFault } from '../support/hostile-provider.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { type RawAnswer, send } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { inLogoutScene, isSignedIn, type LogoutScene, openLogoutScene, signedInAgent, signIn } from './support.js'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const REVOKED = `${CAEP}session-revoked`
const CREDENTIAL_CHANGE = `${CAEP}credential-change`
const CLAIMS_CHANGE = `${CAEP}token-claims-change`

let redis: RedisServer
before(async () => {
  redis = await startRedis()
})
after(() => redis.stop())

const now = () => Math.floor(Date.now() / 1000)

interface EventOptions {
  readonly type?: string
  readonly claims?: Claims
  readonly fault?: JwtFault
  readonly typ?: string
}

/** A correct event about alice unless told otherwise. */
function createEvent({ provider }: Pick<LogoutScene, 'provider'>, options: EventOptions = {}): Promise<string> {
  const { type = REVOKED, claims = {}, fault, typ = 'secevent+jwt' } = options
  const whole = {
    iss: provider.issuer,
    aud: provider.clientId,
    iat: now(),
    jti: secret('event id'),
    sub_id: { format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' },
    events: { [type]: { event_timestamp: now() } },
    ...claims,
  }
  return provider.keys.sign(whole, fault, typ)
}

interface Push {
  readonly headers?: Readonly<Record<string, string>>
  readonly method?: string
}

function push({ site }: Pick<LogoutScene, 'site'>, body: string, { headers = {}, method = 'POST' }: Push = {}) {
  return send({
    url: `${site.url}/signals`,
    method,
    headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...headers },
    ...(method === 'POST' && { body }),
  })
}

async function pushEvent(scene: LogoutScene, options: EventOptions = {}): Promise<void> {
  const { status, headers, setCookies, text } = await push(scene, await createEvent(scene, options))
  assert.equal(status, 202, text)
  assert.deepEqual([text, setCookies, headers['cache-control']], ['', [], 'no-store'])
}

function refused({ status, text }: RawAnswer): unknown {
  return [status, ...Object.values(JSON.parse(text) as object)]
}

const oidc: OidcOptions = { routes: { signals: '/signals' } }
const withHook = (signal: (given: Signal) => SignalDecision | undefined): SceneOptions => ({
  oidc: { ...oidc, hooks: { signal } },
})

for (const store of ['Redis', 'the memory of the process'])
  describe(`security events, with ${store}`, () => {
    const inScene = (run: (scene: LogoutScene) => Promise<void>) => () =>
      inLogoutScene({ oidc: { ...oidc, ...(store === 'Redis' && { redis: redis.url }) } }, async scene => {
        try {
          await run(scene)
        } finally {
          await scene.site.oidc.sessions.revoke({ sub: 'alice-0001' })
        }
      })()

    test(
      'session-revoked of a user ends all sessions of the user, and the hook learns why',
      inScene(async scene => {
        await signIn(scene, scene.agent)
        const other = await signedInAgent(scene)
        await pushEvent(scene)
        assert.deepEqual([await isSignedIn(scene, scene.agent), await isSignedIn(scene, other)], [false, false])
        assert.deepEqual(
          scene.signedOut.map(({ reason, sub }) => [reason, sub]),
          [
            ['signal', 'alice-0001'],
            ['signal', 'alice-0001'],
          ],
        )
      }),
    )

    test(
      'session-revoked of a session at the provider ends the sessions with that sid',
      inScene(async scene => {
        await signIn(scene, scene.agent)
        const session = (id: string) => ({ sub_id: { format: 'complex', session: { format: 'opaque', id } } })
        await pushEvent(scene, { claims: session('sid-2') })
        assert.equal(await isSignedIn(scene, scene.agent), true)
        await pushEvent(scene, { claims: session('sid-1') })
        assert.equal(await isSignedIn(scene, scene.agent), false)
      }),
    )

    test(
      'an event ends no session of a sign-in that is later than it',
      inScene(async scene => {
        await signIn(scene, scene.agent)
        await pushEvent(scene, { claims: { iat: now() - 3600 } })
        assert.equal(await isSignedIn(scene, scene.agent), true)
      }),
    )

    test(
      'credential-change: the next guarded page has the user authenticate again, a script gets 401, and other pages go on',
      inScene(async scene => {
        const { agent, site, provider } = scene
        await signIn(scene, agent)
        await pushEvent(scene, { type: CREDENTIAL_CHANGE })
        assert.equal(await isSignedIn(scene, agent), true)
        const script = await agent.fetch(`${site.url}/claims`, { from: `${site.url}/` })
        assert.deepEqual([script.status, site.lastCode()], [401, 'ERR_OIDC_STEP_UP_REQUIRED'])
        const before = provider.count('authorize')
        await signIn(scene, agent)
        const [request] = provider.requestsTo('authorize').slice(before)
        assert.deepEqual([request?.query.prompt, provider.count('authorize')], ['login', before + 1])
        await signIn(scene, agent)
        assert.equal(provider.count('authorize'), before + 1)
      }),
    )

    test(
      'token-claims-change: the next guarded page asks the provider again, once and without a question to the user',
      inScene(async scene => {
        const { agent, provider } = scene
        await signIn(scene, agent)
        const before = provider.count('authorize')
        await pushEvent(scene, { type: CLAIMS_CHANGE })
        await signIn(scene, agent)
        await signIn(scene, agent)
        const requests = provider.requestsTo('authorize').slice(before)
        assert.deepEqual(
          requests.map(({ query }) => query.prompt),
          [undefined],
        )
      }),
    )

    test(
      'a weaker demand does not replace a stronger one, in either order',
      inScene(async scene => {
        const { agent, provider } = scene
        for (const types of [
          [CREDENTIAL_CHANGE, CLAIMS_CHANGE],
          [CLAIMS_CHANGE, CREDENTIAL_CHANGE],
        ]) {
          await signIn(scene, agent)
          const before = provider.count('authorize')
          for (const type of types) await pushEvent(scene, { type })
          await signIn(scene, agent)
          assert.equal(provider.requestsTo('authorize')[before]?.query.prompt, 'login')
        }
      }),
    )

    test(
      'a demand is for the user that the event names, and for no sign-in that is later',
      inScene(async scene => {
        const { agent, provider } = scene
        await signIn(scene, agent)
        const before = provider.count('authorize')
        const bob = { format: 'iss_sub', iss: provider.issuer, sub: 'bob' }
        await pushEvent(scene, { type: CREDENTIAL_CHANGE, claims: { sub_id: bob } })
        await pushEvent(scene, { type: CREDENTIAL_CHANGE, claims: { iat: now() - 3600 } })
        const session = { format: 'opaque', id: 'sid-1' }
        await pushEvent(scene, {
          type: CREDENTIAL_CHANGE,
          claims: { sub_id: { format: 'complex', user: bob, session } },
        })
        await signIn(scene, agent)
        assert.equal(provider.count('authorize'), before)
        await pushEvent(scene, { type: CREDENTIAL_CHANGE, claims: { sub_id: { format: 'complex', session } } })
        await signIn(scene, agent)
        assert.equal(provider.count('authorize'), before + 1)
      }),
    )
  })

describe('the hook signal', () => {
  test('gets what the event says, once for a token that comes twice', async () => {
    const seen: Signal[] = []
    const given = withHook(signal => void seen.push(signal))
    await inLogoutScene(given, async scene => {
      const token = await createEvent(scene, { claims: { txn: 'cause-1' } })
      for (let count = 0; count < 2; count += 1) assert.equal((await push(scene, token)).status, 202)
      assert.equal(seen.length, 1)
      const [{ jti, issuedAt, ...signal } = {} as Signal] = seen
      assert.ok(jti.length > 0 && issuedAt > 0)
      const { issuer } = scene.provider
      assert.equal(typeof (signal.payload as { event_timestamp: unknown }).event_timestamp, 'number')
      assert.deepEqual(
        { ...signal, payload: {} },
        {
          type: REVOKED,
          payload: {},
          subject: { format: 'iss_sub', iss: issuer, sub: 'alice-0001' },
          transmitter: issuer,
          txn: 'cause-1',
          action: 'end',
          sub: 'alice-0001',
          sid: undefined,
        },
      )
    })()
  })

  test('names the user of an event that says an e-mail address', () =>
    inLogoutScene(
      withHook(({ subject }) => (subject.email === 'alice@example.com' ? { sub: 'alice-0001' } : undefined)),
      async scene => {
        await signIn(scene, scene.agent)
        for (const [email, isStillSignedIn] of [
          ['bob@example.com', true],
          ['alice@example.com', false],
        ] as const) {
          await pushEvent(scene, { claims: { sub_id: { format: 'email', email } } })
          assert.equal(await isSignedIn(scene, scene.agent), isStillSignedIn)
        }
      },
    )())

  test('makes another action of it', () =>
    inLogoutScene(
      withHook(({ action }) => ({ action: action === 'end' ? 'none' : 'end' })),
      async scene => {
        await signIn(scene, scene.agent)
        await pushEvent(scene)
        assert.equal(await isSignedIn(scene, scene.agent), true)
        await pushEvent(scene, { type: `${CAEP}device-compliance-change` })
        assert.equal(await isSignedIn(scene, scene.agent), false)
      },
    )())

  test('that throws has the transmitter send the event again', async () => {
    let isBroken = true
    const given = withHook(() => {
      if (isBroken) throw new RangeError('of the site')
      return undefined
    })
    await inLogoutScene(given, async scene => {
      await signIn(scene, scene.agent)
      const token = await createEvent(scene)
      const { status, headers } = await push(scene, token)
      assert.deepEqual([status, headers['retry-after']], [503, '5'])
      assert.ok(scene.site.log.includes('the hook signal failed: RangeError'))
      assert.equal(await isSignedIn(scene, scene.agent), true)
      isBroken = false
      assert.equal((await push(scene, token)).status, 202)
      assert.equal(await isSignedIn(scene, scene.agent), false)
    })()
  })
})

test('while Redis is away an event is refused with 503, and the same event works afterwards', async () => {
  const own = await startRedis()
  const scene = await openLogoutScene({ oidc: { ...oidc, redis: own.url } })
  try {
    await signIn(scene, scene.agent)
    const token = await createEvent(scene)
    own.pause()
    const { status, headers } = await push(scene, token)
    assert.deepEqual([status, headers['retry-after']], [503, '5'])
    own.resume()
    assert.equal((await push(scene, token)).status, 202)
    assert.equal(await isSignedIn(scene, scene.agent), false)
  } finally {
    await scene.close()
    own.resume()
    await own.stop()
  }
})

describe('a security event is refused, and ends nothing:', () => {
  let scene: LogoutScene
  before(async () => {
    scene = await openLogoutScene({ oidc: { ...oidc, signals: { authorization: 'Bearer agreed' } } })
    await signIn(scene, scene.agent)
  })
  after(() => scene.close())

  async function check(answer: Promise<RawAnswer>, expected: unknown): Promise<void> {
    const given = await answer
    assert.deepEqual(refused(given), expected)
    assert.equal(await isSignedIn(scene, scene.agent), true)
  }

  const authorized = { headers: { authorization: 'Bearer agreed' } }
  const cases: readonly [name: string, EventOptions, wire: string, code: string][] = [
    ['the key of another party', { fault: { key: 'foreign' } }, 'invalid_key', 'KEY'],
    ['no signature', { fault: { alg: 'none' } }, 'invalid_key', 'KEY'],
    ['the client secret as key', { fault: { alg: 'HS256' } }, 'invalid_key', 'KEY'],
    ['another issuer', { claims: { iss: 'https://other.example' } }, 'invalid_issuer', 'ISSUER'],
    ['another audience', { claims: { aud: 'other' } }, 'invalid_audience', 'AUDIENCE'],
    ['no event', { claims: { events: {} } }, 'invalid_request', 'MALFORMED'],
    ['the type of an access token', { typ: 'at+jwt' }, 'invalid_request', 'MALFORMED'],
    ['the type of a logout token', { typ: 'logout+jwt' }, 'invalid_request', 'MALFORMED'],
  ]
  for (const [name, options, wire, code] of cases)
    test(name, async () => {
      await check(push(scene, await createEvent(scene, options), authorized), [400, wire, `ERR_OIDC_SIGNAL_${code}`])
    })

  for (const authorization of [undefined, '', 'Bearer other', 'bearer agreed'])
    test(`the Authorization header ${authorization}`, async () => {
      const headers = authorization === undefined ? {} : { authorization }
      const expected = [400, 'authentication_failed', 'ERR_OIDC_SIGNAL_AUTHENTICATION']
      await check(push(scene, await createEvent(scene), { headers }), expected)
    })

  test('a body that is no token', async () => {
    for (const body of ['', 'x', '{}', 'a.b.c'])
      await check(push(scene, body, authorized), [400, 'invalid_request', 'ERR_OIDC_SIGNAL_MALFORMED'])
  })

  test('a form', async () => {
    const headers = { ...authorized.headers, 'content-type': 'application/x-www-form-urlencoded' }
    await check(push(scene, 'x=1', { headers }), [400, 'invalid_request', 'ERR_OIDC_REQUEST_TYPE'])
  })

  test('a body of 200 KB', async () => {
    const { status } = await push(scene, 'x'.repeat(200_000), authorized)
    assert.ok(status === 400 || status === 413, String(status))
  })

  test('GET', async () => {
    const { status, headers } = await push(scene, '', { method: 'GET', ...authorized })
    assert.deepEqual([status, headers.allow], [405, 'POST'])
  })
})

test('events of a transmitter that is not the provider are verified by its own keys, and those of the provider are refused', async () => {
  const transmitter = await startHostileProvider({ clientId: 'receiver' })
  const signals = { issuer: transmitter.issuer, jwksUri: `${transmitter.issuer}/jwks`, audience: 'receiver' }
  await inLogoutScene({ oidc: { ...oidc, signals } }, async scene => {
    const { provider, agent } = scene
    await signIn(scene, agent)
    assert.deepEqual(refused(await push(scene, await createEvent(scene))), [400, 'invalid_key', 'ERR_OIDC_SIGNAL_KEY'])
    const claims = { sub_id: { format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' } }
    await transmitter.keys.rotate()
    assert.equal((await push(scene, await createEvent({ provider: transmitter }, { claims }))).status, 202)
    assert.equal(await isSignedIn(scene, agent), false)
  })().finally(() => transmitter.close())
})

describe('a global revocation', () => {
  const own: OidcOptions = { routes: { revocation: '/revoke' } }

  const createToken = ({ provider, site }: LogoutScene, { claims, fault, typ }: EventOptions = {}) =>
    provider.keys.sign(
      {
        iss: provider.issuer,
        aud: `${site.url}/revoke`,
        iat: now(),
        exp: now() + 300,
        jti: secret('revocation id'),
        ...claims,
      },
      fault,
      typ ?? 'global-token-revocation+jwt',
    )

  const revoke = ({ site }: LogoutScene, token: string, body: unknown, type = 'application/json') =>
    send({
      url: `${site.url}/revoke`,
      method: 'POST',
      headers: { 'content-type': type, ...(token !== '' && { authorization: `Bearer ${token}` }) },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  const alice = ({ provider }: LogoutScene) => ({ format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' })

  test('ends every session of the user with 204, and a token that comes again ends no later one', () =>
    inLogoutScene({ oidc: { ...own, redis: redis.url } }, async scene => {
      await signIn(scene, scene.agent)
      const other = await signedInAgent(scene)
      const token = await createToken(scene)
      assert.equal((await revoke(scene, token, { sub_id: alice(scene) })).status, 204)
      assert.deepEqual([await isSignedIn(scene, scene.agent), await isSignedIn(scene, other)], [false, false])
      assert.deepEqual(
        scene.signedOut.map(({ reason }) => reason),
        ['global-revocation', 'global-revocation'],
      )
      await signIn(scene, scene.agent)
      assert.equal((await revoke(scene, token, { sub_id: alice(scene) })).status, 204)
      assert.equal(await isSignedIn(scene, scene.agent), true)
      // The name of an earlier draft.
      assert.equal((await revoke(scene, await createToken(scene), { subject: alice(scene) })).status, 204)
      assert.equal(await isSignedIn(scene, scene.agent), false)
    })())

  test('of a user who is not here is 204', () =>
    inLogoutScene({ oidc: own }, async scene => {
      await signIn(scene, scene.agent)
      for (const subject of [
        { ...alice(scene), sub: 'bob' },
        { format: 'email', email: 'alice@example.com' },
      ])
        assert.equal((await revoke(scene, await createToken(scene), { sub_id: subject })).status, 204)
      assert.equal(await isSignedIn(scene, scene.agent), true)
    })())

  test('that is not authorized, or is malformed, ends nothing', () =>
    inLogoutScene({ oidc: own }, async scene => {
      await signIn(scene, scene.agent)
      const body = { sub_id: alice(scene) }
      const unauthorized: readonly EventOptions[] = [
        { typ: 'JWT' },
        { typ: 'secevent+jwt' },
        { claims: { aud: scene.provider.clientId } },
        { claims: { aud: scene.site.url } },
        { claims: { iss: 'https://other.example' } },
        { claims: { exp: now() - 60 } },
        { claims: { exp: undefined } },
        { claims: { jti: '' } },
        { fault: { key: 'foreign' } },
        { fault: { alg: 'none' } },
      ]
      const expected = [401, 'invalid_request', 'ERR_OIDC_SIGNAL_AUTHENTICATION']
      for (const options of unauthorized) {
        const answer = await revoke(scene, await createToken(scene, options), body)
        assert.deepEqual(
          [refused(answer), answer.headers['www-authenticate']],
          [expected, 'Bearer error="invalid_token"'],
        )
      }
      const without = await revoke(scene, '', body)
      assert.deepEqual([refused(without), without.headers['www-authenticate']], [expected, 'Bearer'])
      for (const malformed of ['', '{', '[]', '{}', '{"sub_id":"alice-0001"}'])
        assert.equal((await revoke(scene, await createToken(scene), malformed)).status, 400)
      assert.equal((await revoke(scene, await createToken(scene), body, 'text/plain')).status, 400)
      assert.equal(await isSignedIn(scene, scene.agent), true)
      assert.deepEqual(scene.signedOut, [])
    })())
})

test('neither route is there unless it was given a path', () =>
  inLogoutScene({}, async scene => {
    await signIn(scene, scene.agent)
    const { status } = await push(scene, await createEvent(scene))
    assert.equal(status, 404)
    const agent = createAgent()
    assert.equal(await isSignedIn(scene, agent), false)
    assert.equal(await isSignedIn(scene, scene.agent), true)
  })())
