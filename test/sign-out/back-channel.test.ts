import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import express, { type Express } from 'express'
import session from 'express-session'
import type { OidcErrorCode } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import type { FixtureOptions } from '../support/handler-fixture.js'
import type { Claims, JwtFault } from '../support/hostile-provider.js'
import type { RawResponse } from '../support/http-client.js'
import { type RedisServer, startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import {
  assertObeyed,
  isSignedIn,
  type LogoutFixture,
  linesOf,
  openLogoutFixture,
  postLogoutToken,
  signedInAgent,
  signIn,
  type TokenRequest,
  withLogoutFixture,
} from './support.js'

const event = 'http://schemas.openid.net/event/backchannel-logout'

async function withRedis(run: (redis: RedisServer) => Promise<void>): Promise<void> {
  const redis = await startRedis()
  try {
    await run(redis)
  } finally {
    redis.resume()
    await redis.stop()
  }
}

/** One fixture for many requests that are refused: the person is signed in before and after each of them. */
class Refusals {
  #fixture: LogoutFixture | undefined

  async open(): Promise<void> {
    this.#fixture = await openLogoutFixture({})
    await signIn(this.#fixture, this.#fixture.agent)
  }

  async close(): Promise<void> {
    await this.#fixture?.close()
  }

  async check(
    expected: number,
    request: (fixture: LogoutFixture) => Promise<RawResponse>,
    code?: string,
  ): Promise<void> {
    const fixture = this.#fixture as LogoutFixture
    const { status, headers, setCookies, text } = await request(fixture)
    assert.equal(status, expected, text)
    assert.equal(headers['cache-control'], 'no-store')
    assert.deepEqual(setCookies, [])
    const { error, error_description: found } = JSON.parse(text)
    assert.equal(error, 'invalid_request')
    if (code !== undefined) assert.equal(found, code)
    if (status === 405) assert.equal(headers.allow, 'POST')
    assert.equal(await isSignedIn(fixture, fixture.agent), true, 'still signed in')
    assert.deepEqual(fixture.signedOut, [])
    assert.deepEqual(fixture.site.errors, [], 'the error handler of the site is for people')
    assert.ok(
      fixture.site.log.some(line => line.includes(found)),
      found,
    )
  }
}

describe('a logout token', () => {
  for (const [name, claims, fault] of [
    ['as the specification wants it', {}, {}],
    ['without typ, with unknown claims', { ignored_claim: 'x' }, { header: ({ typ: _, ...header }) => header }],
    ['of type JWT', {}, { header: header => ({ ...header, typ: 'JWT' }) }],
    ['with sid alone', { sub: undefined }, {}],
    ['with sub alone', { sid: undefined }, {}],
    ['for several audiences', { aud: ['client', 'other'] }, {}],
    ['signed by a key that is new', {}, {}],
  ] as const satisfies readonly (readonly [string, Claims, JwtFault])[]) {
    test(
      `${name} ends the session`,
      withLogoutFixture({}, async fixture => {
        const { agent, site, provider, signedOut } = fixture
        await signIn(fixture, agent)
        if (name.endsWith('new')) await provider.keys.rotate()
        await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken(claims, fault)))
        assert.equal(await isSignedIn(fixture, agent), false)
        assert.deepEqual(
          signedOut.map(({ reason, sub, sid }) => [reason, sub, sid]),
          [['back-channel', 'alice-0001', 'sid-1']],
        )
        assert.equal(provider.count('revocation'), 0)
        assert.deepEqual(linesOf(fixture), [])
      }),
    )
  }

  test(
    'may come with unknown parameters, and after a body parser',
    withLogoutFixture(
      { site: { before: app => void app.use(express.urlencoded({ extended: true })) } },
      async fixture => {
        await signIn(fixture, fixture.agent)
        const body = `ignored_parameter=x&logout_token=${await fixture.provider.createLogoutToken()}&ignored_parameter=y`
        await assertObeyed(postLogoutToken(fixture.site.url, '', { body }))
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      },
    ),
  )

  test(
    'for a session that is unknown, or gone already, is no error',
    withLogoutFixture({}, async ({ site, provider, signedOut }) => {
      for (const claims of [{}, { sub: 'unknown' }, { sid: 'unknown' }, { sid: undefined }]) {
        await assertObeyed(postLogoutToken(site.url, await provider.createLogoutToken(claims)))
      }
      assert.deepEqual(signedOut, [])
    }),
  )
})

const now = () => Math.floor(Date.now() / 1000)

const badTokens: readonly (readonly [OidcErrorCode, string, Claims, JwtFault])[] = [
  ['ERR_OIDC_LOGOUT_TOKEN_ALGORITHM', 'alg none', {}, { alg: 'none' }],
  ['ERR_OIDC_LOGOUT_TOKEN_ALGORITHM', 'another algorithm, by a published key', {}, { alg: 'ES256' }],
  ['ERR_OIDC_LOGOUT_TOKEN_ALGORITHM', 'HS256 under the client secret', {}, { alg: 'HS256' }],
  ['ERR_OIDC_LOGOUT_TOKEN_SIGNATURE', 'a foreign key', {}, { key: 'foreign' }],
  ['ERR_OIDC_LOGOUT_TOKEN_SIGNATURE', 'a damaged signature', {}, { signature: bytes => bytes.fill(0, 0, 9) }],
  [
    'ERR_OIDC_LOGOUT_TOKEN_KEY',
    'a kid that is not published',
    {},
    { header: header => ({ ...header, kid: 'unknown' }) },
  ],
  [
    'ERR_OIDC_LOGOUT_TOKEN_MALFORMED',
    'the typ and the claims of an access token',
    { client_id: 'client', scope: 'openid' },
    { header: h => ({ ...h, typ: 'at+jwt' }) },
  ],
  ['ERR_OIDC_LOGOUT_TOKEN_MALFORMED', 'a critical extension', {}, { header: h => ({ ...h, crit: ['x'], x: 1 }) }],
  ['ERR_OIDC_LOGOUT_TOKEN_MALFORMED', 'text behind it', {}, { token: token => `${token}.x.y` }],
  ['ERR_OIDC_LOGOUT_TOKEN_ISSUER', 'another iss', { iss: 'https://evil.example' }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_AUDIENCE', 'another aud', { aud: 'other' }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT', 'no iat', { iat: undefined }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT', 'an iat an hour old', { iat: now() - 3600 }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT', 'an iat to come', { iat: now() + 3600 }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_EXPIRED', 'an exp that is not a time', { exp: '1' }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_ISSUED_AT', 'no exp and an old iat', { exp: undefined, iat: now() - 700 }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_EXPIRED', 'an exp gone by', { exp: now() - 60 }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_ID', 'no jti', { jti: undefined }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_SUBJECT', 'neither sub nor sid', { sub: undefined, sid: undefined }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_EVENTS', 'no events', { events: undefined }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_EVENTS', 'another event', { events: { [`${event}-x`]: {} } }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_EVENTS', 'a list of events', { events: [event] }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_EVENTS', 'an event that is no object', { events: { [event]: 'yes' } }, {}],
  ['ERR_OIDC_LOGOUT_TOKEN_NONCE', 'a nonce', { nonce: 'n' }, {}],
]

describe('a logout token is refused with 400 and no-store, and nothing ends, that has', () => {
  const refusals = new Refusals()
  before(() => refusals.open())
  after(() => refusals.close())
  for (const [code, name, claims, fault] of badTokens) {
    test(name, () =>
      refusals.check(
        400,
        async ({ site, provider }) => postLogoutToken(site.url, await provider.createLogoutToken(claims, fault)),
        code,
      ),
    )
  }

  test('the form of an ID Token', () =>
    refusals.check(
      400,
      async ({ site, agent }) => {
        const hop = agent.page?.hops.find(({ url, method }) => method === 'POST' && url.endsWith('/callback'))
        return postLogoutToken(site.url, new URLSearchParams(hop?.requestBody).get('id_token') ?? '')
      },
      'ERR_OIDC_LOGOUT_TOKEN_ID',
    ))
})

describe('a request with a good logout token in a wrong form is refused, and nothing ends:', () => {
  type Build = (token: string) => TokenRequest
  const requests: readonly (readonly [string, number, Build])[] = [
    ['GET', 405, token => ({ method: 'GET', path: `/logout/backchannel?logout_token=${token}`, body: '' })],
    ['in the query', 400, token => ({ path: `/logout/backchannel?logout_token=${token}`, body: '' })],
    [
      'as JSON',
      400,
      token => ({
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ logout_token: token }),
      }),
    ],
    ['as multipart', 400, () => ({ headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' })],
    ['without a type', 400, () => ({ headers: { 'content-type': '' } })],
    ['twice', 400, token => ({ body: `logout_token=${token}&logout_token=${token}` })],
    ['in no field', 400, () => ({ body: 'x=1' })],
    ['with an empty field', 400, () => ({ body: 'logout_token=' })],
    ['with brackets', 400, token => ({ body: `logout_token[]=${token}` })],
    ['with a megabyte beside it', 413, token => ({ body: `x=${'x'.repeat(2 ** 20)}&logout_token=${token}` })],
    ['with a thousand fields', 413, token => ({ body: `${'x=1&'.repeat(1000)}logout_token=${token}` })],
    [
      'compressed',
      400,
      token => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(`logout_token=${token}`) }),
    ],
  ]
  const refusals = new Refusals()
  before(() => refusals.open())
  after(() => refusals.close())
  for (const [name, expected, build] of requests) {
    test(name, () =>
      refusals.check(expected, async ({ site, provider }) => {
        const token = await provider.createLogoutToken()
        return postLogoutToken(site.url, token, build(token))
      }),
    )
  }
})

describe('which sessions end', () => {
  const plain: FixtureOptions = { oidc: { responseType: 'code id_token token' } }

  test('`sid` ends exactly that session, of one person with three', async () => {
    await inThreeSessions(async (fixture, [one, two, three], bob) => {
      await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({ sid: 'sid-2' })))
      assert.deepEqual(await signedIn(fixture, one, two, three, bob), [true, false, true, true])
      assert.equal(fixture.signedOut.length, 1)
    })
  })

  test('`sub` alone ends all three, and no session of another user', async () => {
    await inThreeSessions(async (fixture, [one, two, three], bob) => {
      await assertObeyed(
        postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({ sid: undefined })),
      )
      assert.deepEqual(await signedIn(fixture, one, two, three, bob), [false, false, false, true])
      assert.equal(fixture.signedOut.length, 3)
    })
  })

  test('a session whose ID Token named none ends by `sub`, whatever `sid` the token has', async () => {
    await withLogoutFixture({ provider: { sid: null } }, async fixture => {
      await signIn(fixture, fixture.agent)
      await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({ sid: 'sid-9' })))
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    })()
  })

  test('a session without a name stays where the `sid` of the token named another of the same person', async () => {
    let sid: string | undefined = 'sid-1'
    const idTokenClaims = {
      get sid() {
        return sid
      },
    }
    await withLogoutFixture({ provider: { sid: null, idTokenClaims } }, async fixture => {
      const nameless = createAgent()
      await signIn(fixture, fixture.agent)
      sid = undefined
      await signIn(fixture, nameless)
      await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({ sid: 'sid-1' })))
      assert.deepEqual(await signedIn(fixture, fixture.agent, nameless), [false, true])
    })()
  })

  test(
    'an unknown `sid` ends no session of a user whose sessions have other ones',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({ sid: 'sid-9' })))
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
      assert.deepEqual(fixture.signedOut, [])
    }),
  )

  test('no session of another provider, though its person and session have the same names', async () => {
    await withRedis(async redis => {
      await withLogoutFixture({ oidc: { redis: redis.url } }, async first => {
        await withLogoutFixture({ oidc: { redis: redis.url } }, async second => {
          await signIn(first, first.agent)
          await signIn(second, second.agent)
          await assertObeyed(postLogoutToken(second.site.url, await second.provider.createLogoutToken()))
          assert.equal(await isSignedIn(second, second.agent), false)
          assert.equal(await isSignedIn(first, first.agent), true)
          const foreign = await first.provider.createLogoutToken({ iss: second.provider.issuer })
          assert.equal((await postLogoutToken(first.site.url, foreign)).status, 400)
          assert.equal(await isSignedIn(first, first.agent), true)
        })()
      })()
    })
  })

  for (const responseType of ['code', 'code id_token token']) {
    test(`no session that began after the token was made, though it arrives late (${responseType})`, async () => {
      let seconds = Math.floor(Date.now() / 1000)
      const clocks = { provider: { now: () => seconds }, oidc: { responseType, now: () => new Date(seconds * 1000) } }
      await withLogoutFixture(clocks, async fixture => {
        const old = await signedInAgent(fixture)
        const token = await fixture.provider.createLogoutToken({ sid: undefined })
        seconds += 2
        const fresh = await signedInAgent(fixture)
        await assertObeyed(postLogoutToken(fixture.site.url, token))
        assert.deepEqual(await signedIn(fixture, old, fresh), [false, true])
      })()
    })
  }

  test(
    'of the same second all do: a clock that counts seconds cannot tell them apart',
    withLogoutFixture(
      { ...plain, provider: { now: () => 1_900_000_000 }, oidc: { now: () => new Date(1.9e12) } },
      async fixture => {
        const token = await fixture.provider.createLogoutToken({ sid: undefined })
        const agent = await signedInAgent(fixture)
        await assertObeyed(postLogoutToken(fixture.site.url, token))
        assert.equal(await isSignedIn(fixture, agent), false)
      },
    ),
  )
})

describe('the same token again', () => {
  test(
    'gets the same response as the first time, and does not end a newer session',
    withLogoutFixture({}, async fixture => {
      const { site, provider, agent, signedOut } = fixture
      await signIn(fixture, agent)
      const token = await provider.createLogoutToken()
      await assertObeyed(postLogoutToken(site.url, token))
      await signIn(fixture, agent)
      await assertObeyed(postLogoutToken(site.url, token))
      assert.equal(await isSignedIn(fixture, agent), true)
      assert.equal(signedOut.length, 1)
    }),
  )

  test(
    'a sign-in with the same sid right after the logout lives, though all clocks stand still',
    withLogoutFixture(
      { provider: { now: () => 1_900_000_000 }, oidc: { now: () => new Date(1.9e12) } },
      async fixture => {
        await signIn(fixture, fixture.agent)
        await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken()))
        await signIn(fixture, fixture.agent)
        assert.equal(await isSignedIn(fixture, fixture.agent), true)
      },
    ),
  )

  test(
    'of another provider of the same name counts as another token',
    withLogoutFixture({}, async fixture => {
      await signIn(fixture, fixture.agent)
      const jti = secret('logout token id')
      const refused = await fixture.provider.createLogoutToken({ iss: 'https://other.example', jti })
      assert.equal((await postLogoutToken(fixture.site.url, refused)).status, 400)
      await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken({ jti })))
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    }),
  )

  test(
    'is not what another token is: the next one ends what began in between',
    withLogoutFixture({}, async fixture => {
      for (let round = 0; round < 3; round += 1) {
        await signIn(fixture, fixture.agent)
        await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken()))
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      }
      assert.equal(fixture.signedOut.length, 3)
    }),
  )
})

describe('when it cannot be done', () => {
  test('because Redis hangs: 5xx with no-store, and the retry of the same token works', async () => {
    await withRedis(async redis => {
      await withLogoutFixture({ oidc: { redis: redis.url, timeouts: { redis: 300 } } }, async fixture => {
        await signIn(fixture, fixture.agent)
        const token = await fixture.provider.createLogoutToken()
        redis.pause()
        const failed = await postLogoutToken(fixture.site.url, token)
        redis.resume()
        assert.equal(failed.status, 503)
        assert.equal(failed.headers['cache-control'], 'no-store')
        assert.equal(failed.headers['retry-after'], '5')
        assert.equal(JSON.parse(failed.text).error_description, 'ERR_OIDC_STORE_UNAVAILABLE')
        await assertObeyed(postLogoutToken(fixture.site.url, token))
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      })()
    })
  })

  for (const command of ['set', 'get', 'zrangebyscore', 'zrem', 'evalsha', 'hmget']) {
    test(`because Redis refuses ${command}: 5xx or done, and the retry of the same token works`, async () => {
      await withRedis(async redis => {
        await withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
          await signIn(fixture, fixture.agent)
          const token = await fixture.provider.createLogoutToken()
          await redis.command('ACL', 'SETUSER', 'default', `-${command}`)
          const failed = await postLogoutToken(fixture.site.url, token)
          await redis.command('ACL', 'SETUSER', 'default', `+${command}`)
          if (command !== 'zrem') assert.equal(failed.status, 503, failed.text)
          await assertObeyed(postLogoutToken(fixture.site.url, token))
          assert.equal(await isSignedIn(fixture, fixture.agent), false)
          assert.deepEqual(await fixture.site.oidc.sessions.list({ sub: 'alice-0001' }), [])
        })()
      })
    })
  }

  test('because the keys of the provider cannot be fetched: 503, and the retry works', async () => {
    await withRedis(async redis => {
      await withLogoutFixture({ oidc: { redis: redis.url } }, async fixture => {
        await signIn(fixture, fixture.agent)
        await fixture.provider.keys.rotate()
        fixture.provider.break({ jwks: { status: 503 } })
        const token = await fixture.provider.createLogoutToken()
        assert.equal((await postLogoutToken(fixture.site.url, token)).status, 503)
        fixture.provider.heal()
        await assertObeyed(postLogoutToken(fixture.site.url, token))
        assert.equal(await isSignedIn(fixture, fixture.agent), false)
      })()
    })
  })
})

describe('a site that mounts express-session itself', () => {
  test('loses the sign-in and keeps its own data', async () => {
    const before = (app: Express) =>
      void app.use(session({ secret: secret('cookie secret'), resave: false, saveUninitialized: false }))
    const site = { before }
    await withLogoutFixture({ site, oidc: { session: false } }, async fixture => {
      await signIn(fixture, fixture.agent)
      await fixture.agent.fetch(`${fixture.site.url}/session?cart=apples`, { method: 'POST' })
      const response = await postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken())
      assert.equal(response.status, 200)
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
      const kept = (await fixture.agent.fetch(`${fixture.site.url}/session`)).json<{ cart: string }>()
      assert.equal(kept.cart, 'apples')
      await signIn(fixture, fixture.agent)
      assert.equal(await isSignedIn(fixture, fixture.agent), true)
    })()
  })

  test('need not mount it on the routes that the provider asks for', async () => {
    const mounted = session({ secret: secret('cookie secret'), resave: false, saveUninitialized: false })
    const before = (app: Express) => {
      app.use((req, res, next) => (req.path.startsWith('/logout/') ? next() : mounted(req, res, next)))
    }
    await withLogoutFixture({ site: { before }, oidc: { session: false } }, async fixture => {
      await signIn(fixture, fixture.agent)
      await assertObeyed(postLogoutToken(fixture.site.url, await fixture.provider.createLogoutToken()))
      assert.equal(await isSignedIn(fixture, fixture.agent), false)
    })()
  })
})

async function signedIn(fixture: LogoutFixture, ...agents: Parameters<typeof isSignedIn>[1][]): Promise<boolean[]> {
  return Promise.all(agents.map(agent => isSignedIn(fixture, agent)))
}

/** Alice with three devices, each with a session of its own at the provider, and Bob. */
async function inThreeSessions(
  run: (fixture: LogoutFixture, alice: readonly [Agent, Agent, Agent], bob: Agent) => Promise<void>,
): Promise<void> {
  let sid = 0
  let sub = 'alice-0001'
  const idTokenClaims = {
    get sid() {
      return `sid-${sid}`
    },
    get sub() {
      return sub
    },
  }
  await withLogoutFixture({ provider: { idTokenClaims }, oidc: { userInfo: false } }, async fixture => {
    const next = async () => {
      sid += 1
      const agent = createAgent()
      await signIn(fixture, agent)
      return agent
    }
    const alice = [await next(), await next(), await next()] as const
    sub = 'bob-0002'
    await run(fixture, alice, await next())
  })()
}

type Agent = ReturnType<typeof createAgent>
