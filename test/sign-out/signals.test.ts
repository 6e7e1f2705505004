import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { OidcOptions, Signal, SignalDecision } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import type { FixtureOptions } from '../support/handler-fixture.js'
import type { Claims, JwtFault } from '../support/hostile-provider.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { type RawResponse, send } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  isSignedIn,
  type LogoutFixture,
  openLogoutFixture,
  signedInAgent,
  signIn,
  withLogoutFixture,
} from './support.js'

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
function createEvent({ provider }: Pick<LogoutFixture, 'provider'>, options: EventOptions = {}): Promise<string> {
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

function push({ site }: Pick<LogoutFixture, 'site'>, body: string, { headers = {}, method = 'POST' }: Push = {}) {
  return send({
    url: `${site.url}/signals`,
    method,
    headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...headers },
    ...(method === 'POST' && { body }),
  })
}

async function pushEvent(fixture: LogoutFixture, options: EventOptions = {}): Promise<void> {
  const { status, headers, setCookies, text } = await push(fixture, await createEvent(fixture, options))
  assert.equal(status, 202, text)
  assert.deepEqual([text, setCookies, headers['cache-control']], ['', [], 'no-store'])
}

function refused({ status, text }: RawResponse): unknown {
  return [status, ...Object.values(JSON.parse(text) as object)]
}

const oidc: OidcOptions = { routes: { signals: '/signals' } }
const withHook = (signal: (given: Signal) => SignalDecision | undefined): FixtureOptions => ({
  oidc: { ...oidc, hooks: { signal } },
})

for (const store of ['Redis', 'the memory of the process'])
  describe(`security events, with ${store}`, () => {
    const withFixture = (run: (fixture: LogoutFixture) => Promise<void>) => () =>
      withLogoutFixture({ oidc: { ...oidc, ...(store === 'Redis' && { redis: redis.url }) } }, async fixture => {
        try {
          await run(fixture)
        } finally {
          await fixture.site.oidc.sessions.revoke({ sub: 'alice-0001' })
        }
      })()

    test(
      'session-revoked of a user ends all sessions of the user, and the hook learns why',
      withFixture(async fixture => {
        await signIn(fixture, fixture.agent)
        const other = await signedInAgent(fixture)
        await pushEvent(fixture)
        assert.deepEqual([await isSignedIn(fixture, fixture.agent), await isSignedIn(fixture, other)], [false, false])
        assert.deepEqual(
          fixture.signedOut.map(({ reason, sub }) => [reason, sub]),
          [
            ['signal', 'alice-0001'],
            ['signal', 'alice-0001'],
          ],
        )
      }),
    )

    test(
      'session-revoked of a session at the provider ends the sessions with that sid',
      withFixture(async fixture => {
        await signIn(fixture, fixture.agent)
        const session = (id: string) => ({ sub_id: { format: 'complex', session: { format: 'opaque', id } } })
        await pushEvent(fixture, { claims: session('sid-2') })
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
        await pushEvent(fixture, { claims: session('sid-1') })
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      }),
    )

    test(
      'an event ends no session of a sign-in that is later than it',
      withFixture(async fixture => {
        await signIn(fixture, fixture.agent)
        await pushEvent(fixture, { claims: { iat: now() - 3600 } })
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
      }),
    )

    test(
      'credential-change: the next guarded page has the user authenticate again, a script gets 401, and other pages go on',
      withFixture(async fixture => {
        const { agent, site, provider } = fixture
        await signIn(fixture, agent)
        await pushEvent(fixture, { type: CREDENTIAL_CHANGE })
        assert.equal(await isSignedIn(fixture, agent), true)
        const script = await agent.fetch(`${site.url}/claims`, { from: `${site.url}/` })
        assert.deepEqual([script.status, site.lastCode()], [401, 'ERR_OIDC_STEP_UP_REQUIRED'])
        const before = provider.count('authorize')
        await signIn(fixture, agent)
        const [request] = provider.requestsTo('authorize').slice(before)
        assert.deepEqual([request?.query.prompt, provider.count('authorize')], ['login', before + 1])
        await signIn(fixture, agent)
        assert.equal(provider.count('authorize'), before + 1)
      }),
    )

    test(
      'token-claims-change: the next guarded page asks the provider again, once and without a question to the user',
      withFixture(async fixture => {
        const { agent, provider } = fixture
        await signIn(fixture, agent)
        const before = provider.count('authorize')
        await pushEvent(fixture, { type: CLAIMS_CHANGE })
        await signIn(fixture, agent)
        await signIn(fixture, agent)
        const requests = provider.requestsTo('authorize').slice(before)
        assert.deepEqual(
          requests.map(({ query }) => query.prompt),
          [undefined],
        )
      }),
    )

    test(
      'a weaker demand does not replace a stronger one, in either order',
      withFixture(async fixture => {
        const { agent, provider } = fixture
        for (const types of [
          [CREDENTIAL_CHANGE, CLAIMS_CHANGE],
          [CLAIMS_CHANGE, CREDENTIAL_CHANGE],
        ]) {
          await signIn(fixture, agent)
          const before = provider.count('authorize')
          for (const type of types) await pushEvent(fixture, { type })
          await signIn(fixture, agent)
          assert.equal(provider.requestsTo('authorize')[before]?.query.prompt, 'login')
        }
      }),
    )

    test(
      'a demand is for the user that the event names, and for no sign-in that is later',
      withFixture(async fixture => {
        const { agent, provider } = fixture
        await signIn(fixture, agent)
        const before = provider.count('authorize')
        const bob = { format: 'iss_sub', iss: provider.issuer, sub: 'bob' }
        await pushEvent(fixture, { type: CREDENTIAL_CHANGE, claims: { sub_id: bob } })
        await pushEvent(fixture, { type: CREDENTIAL_CHANGE, claims: { iat: now() - 3600 } })
        const session = { format: 'opaque', id: 'sid-1' }
        await pushEvent(fixture, {
          type: CREDENTIAL_CHANGE,
          claims: { sub_id: { format: 'complex', user: bob, session } },
        })
        await signIn(fixture, agent)
        assert.equal(provider.count('authorize'), before)
        await pushEvent(fixture, { type: CREDENTIAL_CHANGE, claims: { sub_id: { format: 'complex', session } } })
        await signIn(fixture, agent)
        assert.equal(provider.count('authorize'), before + 1)
      }),
    )
  })

describe('the hook signal', () => {
  test('gets what the event says, once for a token that comes twice', async () => {
    const seen: Signal[] = []
    const given = withHook(signal => void seen.push(signal))
    await withLogoutFixture(given, async fixture => {
      const token = await createEvent(fixture, { claims: { txn: 'cause-1' } })
      for (let count = 0; count < 2; count += 1) assert.equal((await push(fixture, token)).status, 202)
      assert.equal(seen.length, 1)
      const [{ jti, issuedAt, ...signal } = {} as Signal] = seen
      assert.ok(jti.length > 0 && issuedAt > 0)
      const { issuer } = fixture.provider
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
    withLogoutFixture(
      withHook(({ subject }) => (subject.email === 'alice@example.com' ? { sub: 'alice-0001' } : undefined)),
      async fixture => {
        await signIn(fixture, fixture.agent)
        for (const [email, isStillSignedIn] of [
          ['bob@example.com', true],
          ['alice@example.com', false],
        ] as const) {
          await pushEvent(fixture, { claims: { sub_id: { format: 'email', email } } })
          assert.equal(await isSignedIn(fixture, fixture.agent), isStillSignedIn)
        }
      },
    )())

  test('makes another action of it', () =>
    withLogoutFixture(
      withHook(({ action }) => ({ action: action === 'end' ? 'none' : 'end' })),
      async fixture => {
        await signIn(fixture, fixture.agent)
        await pushEvent(fixture)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
        await pushEvent(fixture, { type: `${CAEP}device-compliance-change` })
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      },
    )())

  test('that throws has the transmitter send the event again', async () => {
    let isBroken = true
    const given = withHook(() => {
      if (isBroken) throw new RangeError('of the site')
      return undefined
    })
    await withLogoutFixture(given, async fixture => {
      await signIn(fixture, fixture.agent)
      const token = await createEvent(fixture)
      const { status, headers } = await push(fixture, token)
      assert.deepEqual([status, headers['retry-after']], [503, '5'])
      assert.ok(fixture.site.log.includes('the hook signal failed: RangeError'))
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
      isBroken = false
      assert.equal((await push(fixture, token)).status, 202)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    })()
  })
})

test('while Redis is away an event is refused with 503, and the same event works afterwards', async () => {
  const own = await startRedis()
  const fixture = await openLogoutFixture({ oidc: { ...oidc, redis: own.url } })
  try {
    await signIn(fixture, fixture.agent)
    const token = await createEvent(fixture)
    own.pause()
    const { status, headers } = await push(fixture, token)
    assert.deepEqual([status, headers['retry-after']], [503, '5'])
    own.resume()
    assert.equal((await push(fixture, token)).status, 202)
    assert.equal(await isSignedIn(fixture, fixture.agent), false)
  } finally {
    await fixture.close()
    own.resume()
    await own.stop()
  }
})

describe('a security event is refused, and ends nothing:', () => {
  let fixture: LogoutFixture
  before(async () => {
    fixture = await openLogoutFixture({ oidc: { ...oidc, signals: { authorization: 'Bearer agreed' } } })
    await signIn(fixture, fixture.agent)
  })
  after(() => fixture.close())

  async function check(response: Promise<RawResponse>, expected: unknown): Promise<void> {
    const given = await response
    assert.deepEqual(refused(given), expected)
    assert.equal(await isSignedIn(fixture, fixture.agent), true)
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
      await check(push(fixture, await createEvent(fixture, options), authorized), [
        400,
        wire,
        `ERR_OIDC_SIGNAL_${code}`,
      ])
    })

  for (const authorization of [undefined, '', 'Bearer other', 'bearer agreed'])
    test(`the Authorization header ${authorization}`, async () => {
      const headers = authorization === undefined ? {} : { authorization }
      const expected = [400, 'authentication_failed', 'ERR_OIDC_SIGNAL_AUTHENTICATION']
      await check(push(fixture, await createEvent(fixture), { headers }), expected)
    })

  test('a body that is no token', async () => {
    for (const body of ['', 'x', '{}', 'a.b.c'])
      await check(push(fixture, body, authorized), [400, 'invalid_request', 'ERR_OIDC_SIGNAL_MALFORMED'])
  })

  test('a form', async () => {
    const headers = { ...authorized.headers, 'content-type': 'application/x-www-form-urlencoded' }
    await check(push(fixture, 'x=1', { headers }), [400, 'invalid_request', 'ERR_OIDC_REQUEST_TYPE'])
  })

  test('a body of 200 KB', async () => {
    const { status } = await push(fixture, 'x'.repeat(200_000), authorized)
    assert.ok(status === 400 || status === 413, String(status))
  })

  test('GET', async () => {
    const { status, headers } = await push(fixture, '', { method: 'GET', ...authorized })
    assert.deepEqual([status, headers.allow], [405, 'POST'])
  })
})

test('events of a transmitter that is not the provider are verified by its own keys, and those of the provider are refused', async () => {
  const transmitter = await startHostileProvider({ clientId: 'receiver' })
  const signals = { issuer: transmitter.issuer, jwksUri: `${transmitter.issuer}/jwks`, audience: 'receiver' }
  await withLogoutFixture({ oidc: { ...oidc, signals } }, async fixture => {
    const { provider, agent } = fixture
    await signIn(fixture, agent)
    assert.deepEqual(refused(await push(fixture, await createEvent(fixture))), [
      400,
      'invalid_key',
      'ERR_OIDC_SIGNAL_KEY',
    ])
    const claims = { sub_id: { format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' } }
    await transmitter.keys.rotate()
    assert.equal((await push(fixture, await createEvent({ provider: transmitter }, { claims }))).status, 202)
    assert.equal(await isSignedIn(fixture, agent), false)
  })().finally(() => transmitter.close())
})

describe('a global revocation', () => {
  const own: OidcOptions = { routes: { revocation: '/revoke' } }

  const createToken = ({ provider, site }: LogoutFixture, { claims, fault, typ }: EventOptions = {}) =>
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

  const revoke = ({ site }: LogoutFixture, token: string, body: unknown, type = 'application/json') =>
    send({
      url: `${site.url}/revoke`,
      method: 'POST',
      headers: { 'content-type': type, ...(token !== '' && { authorization: `Bearer ${token}` }) },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })

  const alice = ({ provider }: LogoutFixture) => ({ format: 'iss_sub', iss: provider.issuer, sub: 'alice-0001' })

  test('ends every session of the user with 204, and a token that comes again ends no later one', () =>
    withLogoutFixture({ oidc: { ...own, redis: redis.url } }, async fixture => {
      await signIn(fixture, fixture.agent)
      const other = await signedInAgent(fixture)
      const token = await createToken(fixture)
      assert.equal((await revoke(fixture, token, { sub_id: alice(fixture) })).status, 204)
      assert.deepEqual([await isSignedIn(fixture, fixture.agent), await isSignedIn(fixture, other)], [false, false])
      assert.deepEqual(
        fixture.signedOut.map(({ reason }) => reason),
        ['global-revocation', 'global-revocation'],
      )
      await signIn(fixture, fixture.agent)
      assert.equal((await revoke(fixture, token, { sub_id: alice(fixture) })).status, 204)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
      // The name of an earlier draft.
      assert.equal((await revoke(fixture, await createToken(fixture), { subject: alice(fixture) })).status, 204)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    })())

  test('is 503, and can be sent again, where the keys of the provider cannot be fetched', () =>
    withLogoutFixture({ oidc: own }, async fixture => {
      await signIn(fixture, fixture.agent)
      const token = await createToken(fixture)
      fixture.provider.break({ jwks: { status: 500 } })
      await fixture.provider.keys.rotate()
      const late = await createToken(fixture)
      const response = await revoke(fixture, late, { sub_id: alice(fixture) })
      assert.deepEqual([response.status, response.headers['www-authenticate']], [503, undefined], response.text)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
      fixture.provider.heal()
      assert.equal((await revoke(fixture, token, { sub_id: alice(fixture) })).status, 204)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    })())

  test('of a user who is not here is 204', () =>
    withLogoutFixture({ oidc: own }, async fixture => {
      await signIn(fixture, fixture.agent)
      for (const subject of [
        { ...alice(fixture), sub: 'bob' },
        { format: 'email', email: 'alice@example.com' },
      ])
        assert.equal((await revoke(fixture, await createToken(fixture), { sub_id: subject })).status, 204)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    })())

  test('that is not authorized, or is malformed, ends nothing', () =>
    withLogoutFixture({ oidc: own }, async fixture => {
      await signIn(fixture, fixture.agent)
      const body = { sub_id: alice(fixture) }
      const unauthorized: readonly EventOptions[] = [
        { typ: 'JWT' },
        { typ: 'secevent+jwt' },
        { claims: { aud: fixture.provider.clientId } },
        { claims: { aud: fixture.site.url } },
        { claims: { iss: 'https://other.example' } },
        { claims: { exp: now() - 60 } },
        { claims: { exp: undefined } },
        { claims: { jti: '' } },
        { fault: { key: 'foreign' } },
        { fault: { alg: 'none' } },
      ]
      const expected = [401, 'invalid_request', 'ERR_OIDC_SIGNAL_AUTHENTICATION']
      for (const options of unauthorized) {
        const response = await revoke(fixture, await createToken(fixture, options), body)
        assert.deepEqual(
          [refused(response), response.headers['www-authenticate']],
          [expected, 'Bearer error="invalid_token"'],
        )
      }
      const without = await revoke(fixture, '', body)
      assert.deepEqual([refused(without), without.headers['www-authenticate']], [expected, 'Bearer'])
      for (const malformed of ['', '{', '[]', '{}', '{"sub_id":"alice-0001"}'])
        assert.equal((await revoke(fixture, await createToken(fixture), malformed)).status, 400)
      assert.equal((await revoke(fixture, await createToken(fixture), body, 'text/plain')).status, 400)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
      assert.deepEqual(fixture.signedOut, [])
    })())
})

test('neither route is there unless it was given a path', () =>
  withLogoutFixture({}, async fixture => {
    await signIn(fixture, fixture.agent)
    const { status } = await push(fixture, await createEvent(fixture))
    assert.equal(status, 404)
    const agent = createAgent()
    assert.equal(await isSignedIn(fixture, agent), false)
    assert.equal(await isSignedIn(fixture, fixture.agent), true)
  })())
