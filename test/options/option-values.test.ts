import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { OidcOptions } from '../../lib/index.js'
import { parseOptions } from '../../lib/options/parse-options.js'
import { oddValues } from '../support/odd-values.js'
import { optionEntries } from '../tools/option-tables.js'

const good = {
  issuer: 'https://op.example',
  clientId: 'client',
  clientSecret: 'a client secret of more than sixty-four bytes, so that every MAC is possible',
  baseUrl: 'https://rp.example',
  secret: 'abcdefghijklmnopqrstuvwxyz012345',
  redis: 'redis://127.0.0.1:1',
  log: () => {},
}

/** The good options with one value somewhere inside them. */
function withValue(path: string, value: unknown): OidcOptions {
  const [name = '', nested] = path.split(/\.(.*)/s)
  return { ...good, [name]: nested === undefined ? value : { [nested]: value } } as OidcOptions
}

function errorOf(
  options: OidcOptions,
  environment: Record<string, string> = {},
): { code?: string; message: string } | undefined {
  try {
    parseOptions(options, environment)
    return undefined
  } catch (error) {
    return error as { code?: string; message: string }
  }
}

describe('whatever value is given', () => {
  for (const { path } of optionEntries)
    test(`${path} takes it, or is refused with ERR_OIDC_OPTIONS that names an option`, () => {
      const [name = ''] = path.split('.')
      fc.assert(
        fc.property(oddValues, makeValue => {
          const error = errorOf(withValue(path, makeValue()))
          if (error === undefined) return
          assert.equal(error.code, 'ERR_OIDC_OPTIONS', error.message)
          assert.ok(error.message.includes(name), error.message)
        }),
        { numRuns: 60 },
      )
    })
})

const misspelt: readonly [options: object, says: string][] = [
  [{ clientID: 'x' }, 'did you mean "clientId"?'],
  [{ hooks: { signin() {} } }, 'did you mean "hooks.signIn"?'],
  [{ timeouts: { provder: 5 } }, 'did you mean "timeouts.provider"?'],
  [{ userInfo: { tokens: 'x' } }, 'did you mean "userInfo.token"?'],
  [{ endpoints: { token: 'x' } }, 'did you mean "endpoints.token_endpoint"?'],
  [{ idle: 5 }, 'did you mean "session.idle"?'],
  [
    { timeouts: { provider: '10s' } },
    'timeouts.provider must be a whole number of milliseconds from 100 to 600000, but it is "10s"',
  ],
  [{ timeouts: { redis: -1 } }, 'timeouts.redis must be'],
  [{ clockTolerance: '30' }, 'clockTolerance must be'],
  [{ clockTolerance: 1e9 }, 'clockTolerance must be'],
  [{ userInfo: { algorithm: 'HS999' } }, 'userInfo.algorithm must be'],
  [{ clientAuthentication: 'client_secret_basics' }, 'clientAuthentication must be'],
  [{ hooks: { signIn: 'x' } }, 'hooks.signIn must be'],
  [{ protocolClaims: 'iss' }, 'protocolClaims must be'],
  [{ authorizationParams: 'prompt=login' }, 'authorizationParams must be'],
  [{ revokeTokens: 'false' }, 'revokeTokens must be'],
  [{ idTokenAlgorithm: 'RS257' }, 'idTokenAlgorithm must be'],
  [{ rememberUserAgent: 'no' }, 'rememberUserAgent must be'],
  [{ clearSiteData: '"cache"' }, 'clearSiteData must be'],
  [{ pages: 'de' }, 'pages must be'],
  [{ pages: { languages: [] } }, 'pages.languages must be'],
  [{ pages: { languages: ['xx'] } }, 'pages.languages[0] must be'],
  [{ pages: { error: async () => '' } }, 'pages.error must be'],
  [{ fetch: 5 }, 'fetch must be'],
  [{ redisPrefix: 5 }, 'redisPrefix must be'],
  [{ apis: 'https://api.example' }, 'apis must be'],
  [{ log: 'x' }, 'log must be'],
  [{ now: 5 }, 'now must be'],
  [{ now: () => 5 }, 'now must return a Date, but it returned the number 5'],
  [{ scope: ['openid'] }, 'scope must be a string of scopes'],
  [{ routes: { callback: '/' } }, 'routes.callback must not be "/"'],
  [{ session: { idle: 100, absolute: 50 } }, 'session.idle (100 seconds) must not be longer'],
  [{ issuer: ' https://op.example' }, 'issuer must not contain spaces'],
  [{ clientAuthentication: 'none' }, 'clientAuthentication "none" and a clientSecret'],
  [{ userInfo: { token: 'front-channel' } }, 'userInfo.token "front-channel" needs a responseType with "token"'],
  [{ session: { isPolling: async () => true } }, 'session.isPolling must be a function (not async)'],
  [{ session: { name: '__Host-sid' } }, 'session.name must be'],
]

describe('the message says what was found and what is meant:', () => {
  for (const [options, says] of misspelt)
    test(says, () => {
      const error = errorOf({ ...good, ...options } as OidcOptions)
      assert.equal(error?.code, 'ERR_OIDC_OPTIONS')
      assert.ok(error.message.includes(says), error.message)
    })
})

test('no message holds the value of a secret', () => {
  const word = 'hunter2-and-a-line\n'
  for (const name of ['secret', 'clientSecret', 'redis', 'baseUrl', 'issuer']) {
    const value = name === 'secret' || name === 'clientSecret' ? word : `https://user:${word.trim()}@host.example`
    const error = errorOf({ ...good, [name]: value } as OidcOptions)
    assert.ok(error !== undefined && !error.message.includes('hunter2'), error?.message)
  }
})

test('an environment variable is checked as its option is', () => {
  const { clientSecret: _, ...rest } = good
  for (const value of ['', ' ', ' x', 'x\n']) {
    const error = errorOf(rest, { OIDC_CLIENT_SECRET: value })
    assert.equal(error?.code, 'ERR_OIDC_OPTIONS')
    assert.match(error.message, /clientSecret \(from the environment variable OIDC_CLIENT_SECRET\)/)
  }
})

test('what is done to the given object after the call has no effect', () => {
  const given = {
    ...good,
    authorizationParams: { claims: { id_token: { a: 1 } } },
    protocolClaims: ['iss'],
    routes: { login: '/in' },
  }
  const { config: site } = parseOptions(given, {})
  given.authorizationParams.claims.id_token.a = 2
  given.protocolClaims.push('sub')
  given.routes.login = '/other'
  assert.deepEqual(site.authorizationParams, { claims: { id_token: { a: 1 } } })
  assert.deepEqual(site.protocolClaims, ['iss'])
  assert.equal(site.routes.login, '/in')
})

test('hooks that are methods of a class keep their object', async () => {
  class Accounts {
    readonly #known = { sub: 'alice' }
    signIn() {
      return this.#known
    }
  }
  const { config: site } = parseOptions({ ...good, hooks: new Accounts() }, {})
  assert.deepEqual(await site.hooks.signIn?.({} as never), { sub: 'alice' })
})
