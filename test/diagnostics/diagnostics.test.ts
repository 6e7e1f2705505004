import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { after, before, beforeEach, describe, test } from 'node:test'
import { observe, observeCallback, publish, step } from '../../lib/diagnostics/publish.js'
import { describeJwt, describeProof, memberNames, redactAddress, redactFields } from '../../lib/diagnostics/values.js'
import { OidcError, type OidcEvent } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { withFixture } from '../support/handler-fixture.js'
import { startRedis } from '../support/redis.js'
import { checkNoSecrets } from '../support/secrets.js'

type EventOf<T extends OidcEvent['type']> = Extract<OidcEvent, { type: T }>

describe('diagnostics', () => {
  let events: OidcEvent[] = []
  const listen = (event: unknown) => void events.push(event as OidcEvent)
  const only = <T extends OidcEvent['type']>(type: T) =>
    events.filter((event): event is EventOf<T> => event.type === type)

  before(() => subscribe('express-hybrid-oidc', listen))
  after(() => unsubscribe('express-hybrid-oidc', listen))
  beforeEach(() => {
    events = []
  })

  test(
    'tell a sign-in from the first redirect to the session, under one name',
    withFixture({}, async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims?private=1`)
      const [started] = only('sign-in-started')
      assert.ok(started?.transaction, 'no transaction')
      assert.equal(started.site, site.url)
      assert.equal(started.path, '/claims')
      assert.equal(started.endpoint, `${provider.issuer}/authorize`)
      assert.equal(started.params.response_type, 'code id_token token')
      const own = events.filter(({ transaction }) => transaction === started.transaction)
      assert.deepEqual(
        own.filter(({ type }) => type !== 'step').map(({ type }) => type),
        ['sign-in-started', 'response-received', 'provider-call', 'provider-call', 'sign-in-finished'],
      )
      const steps = only('step')
      assert.deepEqual(steps.map(({ key }) => key).sort(), [
        'binding',
        'claims',
        'code',
        'consume',
        'frontIdToken',
        'idToken',
        'parse',
        'response',
        'session',
        'transaction',
        'userInfo',
        'userInfoSubject',
      ])
      assert.ok(
        steps.every(({ passed, duration, section }) => passed && duration >= 0 && section !== ''),
        JSON.stringify(steps),
      )
      assert.deepEqual(
        [...new Set(steps.map(event => event.step))].sort((a, b) => a - b),
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
      )
      assert.deepEqual(
        only('sign-in-finished').map(({ outcome, passed }) => [outcome, passed]),
        [['signed-in', true]],
      )
    }),
  )

  test(
    'tell the response mode of a response, and the text of the provider about an error',
    withFixture({ provider: {} }, async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      assert.deepEqual(
        only('response-received').map(({ method, path }) => [method, path]),
        [['POST', '/callback']],
      )
      assert.ok(!('error' in (only('response-received')[0]?.fields ?? {})))
      events = []
      provider.break({
        response: fields => [
          ['error', 'access_denied'],
          ['error_description', 'not today'],
          ...fields.filter(([name]) => name === 'state'),
        ],
      })
      await createAgent().visit(`${site.url}/claims`)
      const [refused] = only('response-received')
      assert.equal(refused?.fields.error, 'access_denied', JSON.stringify(refused))
      assert.equal(refused.fields.error_description ?? refused.fields.description, 'not today', JSON.stringify(refused))
    }),
  )

  test(
    'tell that a response is in the query',
    withFixture({ oidc: { responseType: 'code', responseMode: 'query' } }, async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      assert.deepEqual(
        only('response-received').map(({ method }) => method),
        ['GET'],
      )
    }),
  )

  test(
    'tell each request to the provider: the endpoint, the status and the members of the response',
    withFixture({}, async ({ agent, site, provider }) => {
      await agent.visit(`${site.url}/claims`)
      const calls = new Map(only('provider-call').map(call => [new URL(call.endpoint).pathname, call]))
      const token = calls.get('/token')
      assert.equal(token?.method, 'POST')
      assert.equal(token.status, 200)
      assert.equal(token.fields.grant_type, 'authorization_code')
      assert.ok(token.members?.includes('access_token'), JSON.stringify(token.members))
      assert.ok(calls.has('/jwks') && calls.has('/userinfo'), [...calls.keys()].join())
      assert.equal(calls.get('/userinfo')?.endpoint, `${provider.issuer}/userinfo`)
    }),
  )

  test(
    'hold no token, no code, no secret, and nothing about the person',
    withFixture({ oidc: { scope: 'openid offline_access' } }, async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      await agent.open(`${site.url}/token`)
      await agent.post(`${site.url}/logout`, {})
      const text = JSON.stringify(events)
      assert.ok(events.length > 15, `${events.length} events`)
      checkNoSecrets(text, 'the diagnostics')
      assert.doesNotMatch(text, /alice/i)
    }),
  )

  test(
    'keep two sign-ins at the same time apart',
    withFixture({}, async ({ site }) => {
      await Promise.all([createAgent(), createAgent()].map(agent => agent.visit(`${site.url}/claims`)))
      const transactions = new Set(only('sign-in-started').map(({ transaction }) => transaction))
      assert.equal(transactions.size, 2)
      for (const transaction of transactions) {
        assert.equal(only('step').filter(event => event.transaction === transaction).length, 12)
      }
    }),
  )

  test(
    'tell which step failed, and why',
    withFixture({}, async ({ agent, site, provider }) => {
      provider.break({ backIdToken: claims => ({ ...claims, aud: 'another' }) })
      await agent.visit(`${site.url}/claims`)
      const failed = only('step').filter(({ passed }) => !passed)
      assert.deepEqual(
        failed.map(event => [event.step, event.key, event.code, event.details]),
        [[7, 'idToken', 'ERR_OIDC_ID_TOKEN_AUDIENCE', { actual: 'another', expected: 'client' }]],
      )
      assert.deepEqual(
        only('sign-in-finished').map(({ outcome, code }) => [outcome, code]),
        [['failed', 'ERR_OIDC_ID_TOKEN_AUDIENCE']],
      )
    }),
  )

  test(
    'tell a response that cannot be read, and one that comes again',
    withFixture({}, async ({ agent, site }) => {
      await agent.post(`${site.url}/callback`, { code: 'x' })
      assert.equal(only('step').at(-1)?.code, 'ERR_OIDC_REQUEST_MALFORMED')
      assert.equal(only('sign-in-finished').at(-1)?.transaction, undefined)
      const page = await agent.open(`${site.url}/claims`)
      const inputs = [...page.text.matchAll(/name="([^"]+)" value="([^"]*)"/g)]
      const response = inputs.map(([, name = '', value = '']) => [name, value] as const)
      await agent.submitForm()
      await agent.post(`${site.url}/callback`, response, { from: page.url })
      assert.deepEqual(
        only('sign-in-finished').map(({ outcome }) => outcome),
        ['failed', 'signed-in', 'repeated'],
      )
    }),
  )

  test(
    'tell a refresh and a sign-out',
    withFixture(
      { oidc: { scope: 'openid offline_access' }, provider: { expiresIn: 1 } },
      async ({ agent, site, provider }) => {
        await agent.visit(`${site.url}/claims`)
        await new Promise(resolve => setTimeout(resolve, 1100))
        await agent.open(`${site.url}/token`)
        assert.equal(only('token-refresh').at(-1)?.passed, true)
        provider.break({ token: { status: 500 } })
        await new Promise(resolve => setTimeout(resolve, 1100))
        await agent.open(`${site.url}/token`)
        assert.equal(only('token-refresh').at(-1)?.passed, false)
        await agent.post(`${site.url}/logout`, {})
        assert.deepEqual(
          only('sign-out').map(({ reason, sessions }) => [reason, sessions]),
          [['logout', 1]],
        )
      },
    ),
  )

  test('tell commands to Redis, and trouble with it', async () => {
    const redis = await startRedis()
    await withFixture({ oidc: { redis: redis.url, timeouts: { redis: 200 } } }, async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const [started] = only('sign-in-started')
      const commands = only('store-command').filter(({ transaction }) => transaction === started?.transaction)
      assert.ok(commands.length >= 2, `${commands.length} commands`)
      assert.ok(
        commands.every(({ passed }) => passed),
        JSON.stringify(commands),
      )
      await redis.kill()
      await agent.open(`${site.url}/claims`)
      assert.ok(only('store-trouble').length > 0, 'no trouble')
      assert.equal(only('store-command').at(-1)?.code, 'ERR_OIDC_STORE_UNAVAILABLE')
    })()
    await redis.stop()
  })

  test('leave results, errors and the moment of a synchronous step as they are', async () => {
    assert.equal(
      step('transaction', () => 1),
      1,
    )
    assert.equal(await step('consume', async () => 2), 2)
    const error = new OidcError('ERR_OIDC_TRANSACTION_MISSING', 'for example')
    const fail = () => {
      throw error
    }
    assert.throws(() => step('transaction', fail), error)
    await assert.rejects(
      step('consume', async () => fail()),
      error,
    )
    assert.equal(only('step').length, 4)
    assert.deepEqual(
      only('step').map(({ passed, code }) => [passed, code]),
      [
        [true, undefined],
        [true, undefined],
        [false, 'ERR_OIDC_TRANSACTION_MISSING'],
        [false, 'ERR_OIDC_TRANSACTION_MISSING'],
      ],
    )
  })
})

test('an event that cannot be made is left out, and what it tells of goes on as without it', async () => {
  const listen = () => {}
  const broken = (): never => {
    throw new TypeError('this event cannot be made')
  }
  const failure = new Error('the work itself')
  subscribe('express-hybrid-oidc', listen)
  try {
    publish(broken)
    assert.equal(
      observe(() => 1, broken),
      1,
    )
    assert.equal(await observe(async () => 2, broken), 2)
    assert.throws(
      () =>
        observe(() => {
          throw failure
        }, broken),
      failure,
    )
    await assert.rejects(
      observe(async () => {
        throw failure
      }, broken),
      failure,
    )
  } finally {
    unsubscribe('express-hybrid-oidc', listen)
  }
})

test('no event is created without a listener', async () => {
  let made = 0
  const never = (): never => {
    made += 1
    throw new Error('an event was made')
  }
  publish(never)
  assert.equal(
    observe(() => 1, never),
    1,
  )
  assert.equal(await observeCallback('https://www.example.com', async () => 2), 2)
  assert.equal(made, 0)
})

describe('values that are shown', () => {
  test('of a JWT its algorithms and nothing else, whatever is in its place', () => {
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const signed = `${encode({ alg: 'PS256', kid: 'private' })}.${encode({ sub: 'private' })}.x`
    const sent = `${encode({ alg: 'ECDH-ES', enc: 'A256GCM', kid: 'private' })}....`
    const encryption = { alg: 'ECDH-ES', enc: 'A256GCM' }
    assert.deepEqual(describeJwt(signed, signed), { alg: 'PS256' })
    assert.deepEqual(describeJwt(sent, signed), { alg: 'PS256', encryption })
    assert.deepEqual(describeJwt(sent, undefined), { encryption })
    for (const text of ['', '.', 'null', `${encode(null)}.a.b`, `${encode('x')}.a.b`])
      assert.deepEqual(describeJwt(text, text), {}, text)
    const long = `${encode({ alg: `${'x'.repeat(100)}\n` })}.a.b`
    assert.deepEqual(describeJwt(long, long), { alg: 'x'.repeat(40) })
  })

  test('of a proof whether it has a nonce', () => {
    const proof = (claims: object) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`
    assert.deepEqual(describeProof(undefined), {})
    assert.deepEqual(describeProof(proof({ jti: 'x' })), { dpop: { nonce: false } })
    assert.deepEqual(describeProof(proof({ jti: 'x', nonce: 'y' })), { dpop: { nonce: true } })
  })

  test('are those that say how, the beginning of those that are random, and nothing of any other', () => {
    const state = 'abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE'
    assert.deepEqual(
      redactFields([
        ['response_type', 'code'],
        ['resource', ['https://a.example', 'https://b.example']],
        ['state', state],
        ['access_token', 'short'],
        ['client_secret', state],
        ['refresh_token', state],
        ['login_hint', 'alice@example.com'],
        ['max_age', undefined],
      ]),
      {
        response_type: 'code',
        resource: 'https://a.example https://b.example',
        state: 'abcde…',
        access_token: '…',
        client_secret: '…',
        refresh_token: '…',
        login_hint: '…',
      },
    )
  })

  test('are printable, and not too many', () => {
    assert.deepEqual(redactFields([['scope', 'a\u0000\nb\u202e']]), { scope: 'ab' })
    const many = Array.from({ length: 100 }, (_, index) => [`name${index}`, '1'] as const)
    assert.equal(Object.keys(redactFields(many)).length, 40)
  })

  test('of an address are its origin and path', () => {
    assert.equal(redactAddress('https://u:p@op.example:8443/authorize?state=1#x'), 'https://op.example:8443/authorize')
    assert.equal(redactAddress('nonsense'), '')
  })

  test('contain the names of the members of a response', () => {
    assert.deepEqual(memberNames('{"access_token":"x","id_token":"y"}'), ['access_token', 'id_token'])
    for (const text of ['[1]', 'null', '"x"', '{', 'eyJ']) assert.equal(memberNames(text), undefined, text)
  })
})
