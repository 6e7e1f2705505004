import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Request } from 'express'
import fc from 'fast-check'
import type { OidcError } from '../../lib/index.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import { oddValues } from '../support/odd-values.js'

/** Runs in a request of the user who is signed in. */
type Call = (req: Request, value: never) => Promise<unknown>

const calls: Readonly<Record<string, Call>> = {
  'req.oidc.login': (req, value) => req.oidc.login(value),
  'req.oidc.logout': (req, value) => req.oidc.logout(value),
  'req.oidc.accessToken': (req, value) => req.oidc.accessToken(value),
  'req.oidc.userInfo': (req, value) => req.oidc.userInfo(value),
  'req.oidc.exchange': (req, value) => req.oidc.exchange(value),
  'req.oidc.fetch': (req, value) => req.oidc.fetch('https://api.example/x', {}, value),
  'oidc.clientCredentials': (_req, value) => fixture.site.oidc.clientCredentials(value),
  'oidc.sessions.list': (_req, value) => fixture.site.oidc.sessions.list(value),
  'oidc.sessions.revoke': (_req, value) => fixture.site.oidc.sessions.revoke(value),
}

const refused: Readonly<Record<string, readonly unknown[]>> = {
  'req.oidc.login': [
    null,
    '/page',
    ['/page'],
    { returnto: '/page' },
    { returnTo: ['/a', '/b'] },
    { returnTo: new URL('https://rp.example/page') },
    { prompt: ['login', 'consent'] },
    { prompt: '' },
    { maxAge: '300' },
    { maxAge: -1 },
    { maxAge: 1.5 },
    { maxAge: Number.NaN },
    { maxAge: Number.POSITIVE_INFINITY },
    { acr: 'mfa' },
    { acr: [] },
    { acr: ['mfa', 5] },
    { acr: ['one two'] },
    { acrValues: 'a b' },
    { acrValues: [null] },
    { loginHint: ['alice'] },
    { uiLocales: 'de' },
    { uiLocales: ['de en'] },
    { scope: ['openid'] },
    { scope: '' },
    { scope: 'a"b' },
    { resource: 'orders' },
    { resource: [] },
    { resource: 'https://api.example/#part' },
    { params: 'prompt=login' },
    { params: { nonce: 'mine' } },
    { params: { ui_hint: true } },
    { params: { claims: 'not JSON' } },
    { params: { authorization_details: [{ type: 'payment' }, 'payment'] } },
    { params: { authorization_details: ['payment', { type: 'payment' }] } },
    { params: { authorization_details: [new Map()] } },
    { params: new Map([['prompt', 'login']]) },
    { params: { authorization_details: [{ actions: ['read'] }] } },
    { authorizationDetails: { type: 'payment' } },
    { authorizationDetails: '[{"type":"payment"}]' },
    { authorizationDetails: [{ type: 5 }] },
  ],
  'req.oidc.logout': [null, '/bye', { returnTo: 5 }, { locl: true }, { local: 'false' }, { uiLocales: 'de' }],
  'req.oidc.accessToken': [
    null,
    60,
    { minValidty: 5 },
    { minValidity: '60' },
    { minValidity: -1 },
    { minValidity: Number.NaN },
    { minValidity: Number.POSITIVE_INFINITY },
    { forceRefresh: 'no' },
    { scope: ['orders'] },
    { scope: ' ' },
    { resource: 5 },
    { resource: ['https://api.example'] },
    { resource: 'orders' },
    { refused: 'token' },
    { authorizationDetails: [{}] },
  ],
  'req.oidc.userInfo': [null, true, { refesh: true }, { refresh: 1 }],
  'req.oidc.exchange': [
    undefined,
    null,
    'service',
    {},
    { audience: '' },
    { audience: ['service'] },
    { audience: 'service', scope: 5 },
    { resource: 'service' },
    { audience: 'service', authorizationDetails: ['payment'] },
    { audiance: 'service', resource: 'https://api.example' },
  ],
  'req.oidc.fetch': [
    null,
    { minValidity: Number.POSITIVE_INFINITY },
    { forceRefresh: true },
    { scope: [] },
    { authorizationDetails: 'x' },
  ],
  'oidc.clientCredentials': [
    null,
    'orders',
    { scope: ['orders'] },
    { resource: '' },
    { audience: 'x' },
    { authorizationDetails: [5] },
  ],
  'oidc.sessions.list': [
    undefined,
    null,
    'alice',
    {},
    { sub: '' },
    { sub: undefined },
    { sub: ['a'] },
    { subject: 'a' },
  ],
  'oidc.sessions.revoke': [
    undefined,
    null,
    'alice-0001',
    {},
    { sub: undefined },
    { sub: '' },
    { sub: 'alice-0001', expect: '#handle' },
    { sub: 'alice-0001', except: 5 },
    { sub: 'alice-0001', except: '' },
    { sub: 'alice-0001', hande: '#handle' },
    { sid: undefined },
    { sid: 7 },
    { sid: 'sid-1', sub: 'bob' },
    { handle: undefined },
    { handle: undefined, sub: 'alice-0001' },
    { handle: '#handle', sub: undefined },
    { handle: '#handle', except: '#other' },
  ],
}

let fixture: Fixture

before(async () => {
  fixture = await openFixture({
    oidc: { apis: ['https://api.example'] },
    site: {
      routes(app) {
        app.get('/run', (req, res, next) => {
          running(req).then(() => {
            if (!res.headersSent) res.json(req.oidc.isAuthenticated)
          }, next)
        })
      },
    },
  })
  await fixture.agent.visit(`${fixture.site.url}/claims`)
})
after(() => fixture?.close())

let running: (req: Request) => Promise<void>

/** Runs `work` in a request, and fails unless the user is signed in after it and no token was asked for. */
async function inRequest(work: (req: Request) => Promise<void>): Promise<void> {
  running = work
  const before = fixture.provider.requests.length
  const response = await fixture.agent.open(`${fixture.site.url}/run`, { redirect: 'manual' })
  assert.equal(response.text, 'true', String(fixture.site.errors.at(-1)))
  assert.deepEqual(response.hops[0]?.setCookies, [])
  assert.equal(fixture.provider.requests.length, before)
}

async function errorOf(work: () => Promise<unknown>): Promise<OidcError | undefined> {
  // A method that throws at once instead of rejecting fails the test.
  return work().then(
    () => undefined,
    (error: OidcError) => error,
  )
}

for (const [name, call] of Object.entries(calls)) {
  test(`${name} refuses arguments of another kind with a sentence that names it, and does nothing`, async () => {
    await inRequest(async req => {
      for (const value of refused[name] ?? []) {
        const error = await errorOf(() => call(req, value as never))
        const what = `${name}(${JSON.stringify(value)})`
        assert.equal(error?.code, 'ERR_OIDC_OPTIONS', what)
        assert.ok(error.message.startsWith(name), error.message)
        assert.match(error.message, /must|there is no option|is missing|belongs to the protocol/, what)
      }
    })
  })
}

describe('whatever an option is', () => {
  const names = {
    'req.oidc.login': 'returnTo prompt maxAge acrValues acr loginHint uiLocales scope resource params',
    'req.oidc.logout': 'returnTo local uiLocales',
    'req.oidc.accessToken': 'minValidity scope resource forceRefresh',
    'req.oidc.userInfo': 'refresh',
    'req.oidc.exchange': 'audience resource scope',
    'req.oidc.fetch': 'minValidity scope resource',
    'oidc.clientCredentials': 'scope resource',
    'oidc.sessions.list': 'sub',
    'oidc.sessions.revoke': 'sub except sid handle',
  }
  /** A second option that is wrong as well: nothing is ever carried out. */
  const stopper = { no: { such: 'option' } }

  for (const [name, call] of Object.entries(calls)) {
    for (const option of names[name as keyof typeof names].split(' ')) {
      test(`${option} of ${name} is read without an error of another kind`, async () => {
        await inRequest(async req => {
          await fc.assert(
            fc.asyncProperty(oddValues, async makeValue => {
              const error = await errorOf(() => call(req, { [option]: makeValue(), ...stopper } as never))
              assert.equal(error?.code, 'ERR_OIDC_OPTIONS', error?.message)
              assert.ok(error.message.startsWith(name), error.message)
            }),
            { numRuns: 30 },
          )
        })
      })
    }

    test(`what ${name} is given in their place is read without an error of another kind`, async () => {
      await inRequest(async req => {
        await fc.assert(
          fc.asyncProperty(oddValues, async makeValue => {
            if (isEmpty(makeValue())) return
            const error = await errorOf(() => call(req, makeValue() as never))
            assert.equal(error?.code, 'ERR_OIDC_OPTIONS', error?.message)
          }),
          { numRuns: 60 },
        )
      })
    })
  }
})

/** Options without a member are options that are left out. */
function isEmpty(value: unknown): boolean {
  try {
    return value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
  } catch {
    return false
  }
}

test('req.oidc.fetch refuses an address and a request of another kind, and takes a URL', async () => {
  await inRequest(async req => {
    const fetchWith = (...args: unknown[]) => errorOf(() => Reflect.apply(req.oidc.fetch, req.oidc, args))
    const url = 'https://api.example/x'
    for (const args of [[], [null], [new Request(url)], [{ href: url }], [5], [url, null], [url, 'POST'], [url, 5]]) {
      const error = await fetchWith(...args)
      assert.equal(error?.code, 'ERR_OIDC_OPTIONS', String(args))
      assert.match(error.message, /^req\.oidc\.fetch: (url|init) must be /)
    }
    for (const address of ['/relative', '', new URL('https://other.example/')])
      assert.equal((await fetchWith(address))?.code, 'ERR_OIDC_API_ORIGIN', String(address))
  })
})

test('oidc.authenticate refuses what is no request of Node: a request of the Fetch API would look signed out', async () => {
  const { oidc, url } = fixture.site
  for (const req of [
    undefined,
    null,
    'cookie',
    5,
    {},
    { headers: null },
    new Request(url),
    { headers: new Headers() },
  ]) {
    const error = await errorOf(() => oidc.authenticate(req as never))
    assert.equal(error?.code, 'ERR_OIDC_OPTIONS', String(req))
    assert.match(error.message, /^oidc\.authenticate: req must be a request of node:http/)
  }
  assert.equal(await oidc.authenticate({ headers: {} } as never), undefined)
})

test('options are read once: what changes them later has no effect', async () => {
  await inRequest(async req => {
    let reads = 0
    const options = {
      get minValidity() {
        reads += 1
        return reads === 1 ? 0 : Number.NaN
      },
    }
    assert.equal((await req.oidc.accessToken(options)).type, 'Bearer')
    assert.equal(reads, 1)
  })
})

describe('oidc.proxy', () => {
  const target = 'https://api.example'
  const errorFor = (path: unknown, options: unknown) =>
    errorOf(async () => fixture.site.oidc.proxy(path as never, options as never))

  test('refuses what it cannot use, and names the option by its path', async () => {
    const options: readonly [says: string, options: unknown][] = [
      ['the options must be an object', null],
      ['target is missing', {}],
      ['target must be', { target: 'http://api.example' }],
      ['there is no option "scopes"; did you mean "scope"?', { target, scopes: 'a' }],
      ['scope must be', { target, scope: ['a'] }],
      ['resource must be', { target, resource: 'orders' }],
      ['timeout must be', { target, timeout: '5s' }],
      ['timeout must be', { target, timeout: Number.POSITIVE_INFINITY }],
      ['methods must be', { target, methods: 'GET' }],
      ['methods[1]: a proxy does not forward TRACE', { target, methods: ['GET', 'TRACE'] }],
      ['headers[0] must be', { target, headers: ['X Tenant'] }],
      ['headers[0]: a proxy does not forward the header "Cookie"', { target, headers: ['Cookie'] }],
      ['encodedSlashes must be', { target, encodedSlashes: 'no' }],
      ['limits.perUser must be', { target, limits: { perUser: 0 } }],
      ['limits.perUser must be', { target, limits: { perUser: Number.NaN } }],
      ['there is no option "limits.perUsers"; did you mean "limits.perUser"?', { target, limits: { perUsers: 1 } }],
    ]
    for (const [says, value] of options) {
      const error = await errorFor('/api', value)
      assert.equal(error?.code, 'ERR_OIDC_OPTIONS', says)
      assert.ok(error.message.startsWith(`oidc.proxy: ${says}`), error.message)
    }
    for (const path of [undefined, null, '', 'api', '/', '/api/', '/a/../b', ['/api'], 5])
      assert.match((await errorFor(path, { target }))?.message ?? '', /^oidc\.proxy: path must be a path/)
  })

  for (const option of ['target', 'scope', 'resource', 'timeout', 'methods', 'headers', 'encodedSlashes', 'limits']) {
    test(`reads ${option} without an error of another kind, whatever it is`, async () => {
      await fc.assert(
        fc.asyncProperty(oddValues, async makeValue => {
          const error = await errorFor('/api', { target, [option]: makeValue() })
          assert.ok(error === undefined || error.code === 'ERR_OIDC_OPTIONS', error?.message)
        }),
        { numRuns: 60 },
      )
    })
  }
})
