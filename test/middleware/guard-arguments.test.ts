import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { openIdConnect, requiresAuth, requiresClaim, requiresSameSession, requiresScope } from '../../lib/index.js'
import { buildClaims, defaultProtocolClaims } from '../../lib/protocol/claims.js'
import { withFixture } from '../support/handler-fixture.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const misuse = { code: 'ERR_OIDC_OPTIONS' }

describe('a guard is not made with', () => {
  const claims: unknown[] = [
    undefined,
    null,
    '',
    Number.NaN,
    Number.POSITIVE_INFINITY,
    [],
    [undefined],
    ['a', ''],
    {},
    1n,
  ]
  for (const value of claims)
    test(`the claim value ${String(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)))}`, () => {
      assert.throws(() => requiresClaim('role', value as never), misuse)
    })

  for (const name of [undefined, null, '', ' role', 5])
    test(`the claim name ${JSON.stringify(name)}`, () => {
      assert.throws(() => requiresClaim(name as never, 'admin'), misuse)
    })

  test('a third argument, which would be ignored', () => {
    const given = ['role', 'admin', 'editor'] as unknown as readonly [string, string]
    assert.throws(() => requiresClaim(...given), { ...misuse, message: /write a list for several values/ })
  })

  const requirements: unknown[] = [
    null,
    'mfa',
    ['mfa'],
    { acr: undefined },
    { acr: [] },
    { acr: '' },
    { acr: ['mfa', undefined] },
    { acr: 5 },
    { maxAge: undefined },
    { maxAge: Number.NaN },
    { maxAge: '5' },
    { maxAge: -1 },
    { maxAge: 1.5 },
    { maxAge: Number.POSITIVE_INFINITY },
    { unknown: 1 },
    { maxage: 5 },
  ]
  for (const requirement of requirements)
    test(`the requirement ${JSON.stringify(requirement)}`, () => {
      assert.throws(() => requiresAuth(requirement as never), misuse)
    })

  for (const scope of [undefined, null, '', ' ', ['a', 'b'], 5, 'a"b', 'a\tb'])
    test(`the scope ${JSON.stringify(scope)}`, () => {
      assert.throws(() => requiresScope(scope as never), misuse)
    })

  for (const options of [null, { ask: 'yes' }, { ask: undefined }, { asks: true }])
    test(`the scope options ${JSON.stringify(options)}`, () => {
      assert.throws(() => requiresScope('a', options as never), misuse)
    })

  test('any value that is not understood: it is refused with our code, or it is a value of the right kind', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true }), value => {
        try {
          requiresClaim('role', value as never)
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'ERR_OIDC_OPTIONS')
          return
        }
        for (const item of Array.isArray(value) ? value : [value])
          assert.match(typeof item, /^(string|number|boolean)$/)
      }),
    )
  })
})

for (const express of [4, 5] as const)
  test(`guards without parentheses respond with a clear error and never hang, in Express ${express}`, async () => {
    const site = await startSite({
      express,
      oidc: { issuer: 'http://127.0.0.1:1', clientId: 'x' },
      routes(app) {
        for (const [path, guard] of Object.entries({ requiresAuth, requiresClaim, requiresSameSession, requiresScope }))
          app.get(`/${path}`, guard as never, (_req, res) => void res.send('protected'))
      },
    })
    try {
      for (const name of ['requiresAuth', 'requiresClaim', 'requiresSameSession', 'requiresScope']) {
        const response = await fetch(`${site.url}/${name}`)
        assert.equal(response.status, 500)
        assert.match(String(site.errors.at(-1)), new RegExp(`write ${name}\\(…\\), with parentheses`))
      }
    } finally {
      await site.close()
    }
  })

test(
  'of several values of a claim one is enough, and a dot in its name is a dot',
  withFixture(
    {
      provider: { user: { sub: 'x', role: ['editor'], level: 3, realm: { roles: ['admin'] } } },
      site: {
        routes(app) {
          app.get('/any', requiresClaim('role', ['admin', 'editor']), (_req, res) => void res.send('in'))
          app.get('/level', requiresClaim('level', [1, 3]), (_req, res) => void res.send('in'))
          app.get('/none', requiresClaim('role', ['admin', 'owner']), (_req, res) => void res.send('in'))
          app.get('/nested', requiresClaim('realm.roles', 'admin'), (_req, res) => void res.send('in'))
        },
      },
    },
    async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const statuses: number[] = []
      for (const path of ['/any', '/level', '/none', '/nested'])
        statuses.push((await agent.open(site.url + path)).status)
      assert.deepEqual(statuses, [200, 200, 403, 403])
      const hints = site.log.filter(line => line.startsWith('requiresClaim'))
      assert.equal(hints.length, 1)
      assert.match(
        hints[0] ?? '',
        /no claim "realm\.roles", but a claim "realm" that is an object\. A name is not a path/,
      )
    },
  ),
)

for (const express of [4, 5] as const)
  test(
    `a user of one instance does not pass the guard of another on the same app, in Express ${express}`,
    withFixture(
      {
        site: {
          express,
          routes(app) {
            const staff = openIdConnect({
              issuer: 'http://127.0.0.1:1',
              clientId: 'staff',
              baseUrl: 'http://localhost:1',
              secret: secret('session secret'),
              session: { name: 'staff' },
              routes: { login: '/s/login', callback: '/s/callback', logout: '/s/logout', logoutCallback: '/s/after' },
              log: () => {},
            })
            app.get('/before', requiresAuth(), (_req, res) => void res.send('in'))
            app.get('/staff-before', staff.requiresAuth(), (_req, res) => void res.send('in'))
            app.use(staff)
            app.get('/staff', staff.requiresAuth(), (_req, res) => void res.send('in'))
            app.get('/staff-claim', staff.requiresClaim('sub', 'alice'), (_req, res) => void res.send('in'))
            app.get('/global', requiresAuth(), (_req, res) => void res.send('in'))
          },
        },
      },
      async ({ agent, site }) => {
        await agent.visit(`${site.url}/claims`)
        const found: unknown[] = []
        for (const path of ['/before', '/staff-before', '/staff', '/staff-claim', '/global']) {
          const { status } = await agent.fetch(site.url + path)
          found.push([status, status === 200 ? undefined : site.lastCode()])
        }
        assert.deepEqual(found, [
          [200, undefined],
          [500, 'ERR_OIDC_NOT_MOUNTED'],
          [401, 'ERR_OIDC_LOGIN_REQUIRED'],
          [401, 'ERR_OIDC_LOGIN_REQUIRED'],
          [500, 'ERR_OIDC_SEVERAL_INSTANCES'],
        ])
      },
    ),
  )

test('no member of userinfo changes what is known about the authentication', () => {
  const facts = ['iss', 'sub', 'aud', 'exp', 'iat', 'nonce', 'sid', 'azp', 'at_hash', 'acr', 'amr', 'auth_time', 'jti']
  const idToken = { iss: 'https://op', sub: 'alice', aud: 'c', exp: 2, iat: 1, acr: 'pwd', amr: ['pwd'], name: 'Alice' }
  const factsOf = (claims: object) => Object.entries(claims).filter(([name]) => facts.includes(name))
  fc.assert(
    fc.property(
      fc.dictionary(
        fc.oneof(fc.constantFrom(...facts, '__proto__', '_claim_names', '_claim_sources'), fc.string()),
        fc.jsonValue(),
      ),
      fc.constantFrom([], [...defaultProtocolClaims]),
      (userInfo, protocolClaims) => {
        const alone = buildClaims(idToken, undefined, protocolClaims)
        const merged = buildClaims(idToken, { ...userInfo, sub: 'alice' }, protocolClaims)
        assert.deepEqual(factsOf(merged), factsOf(alone))
        assert.equal(Object.getPrototypeOf(merged), Object.prototype)
        assert.ok(!Object.hasOwn(merged, '_claim_sources') && !Object.hasOwn(merged, '__proto__'))
      },
    ),
  )
})
