import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseOptions } from '../../lib/options/parse-options.js'
import { secret } from '../support/secrets.js'

const good = { issuer: 'https://op.example', clientId: 'rp', secret: secret('session secret'), log: () => {} }
const parse = (baseUrl: unknown, more: object = {}, environment = {}) =>
  parseOptions({ ...good, baseUrl, ...more } as never, environment)

describe('the hosts of a site', () => {
  test('are one address that no request changes, a list, or found by a function', async () => {
    assert.deepEqual(parse('https://a.example/').hosts.only, { baseUrl: 'https://a.example' })
    const listed = parse(['https://a.example/app/', { url: 'http://localhost:3000' }]).hosts
    assert.equal(listed.only, undefined)
    assert.deepEqual(
      [...listed.listed].map(([host, { baseUrl }]) => [host, baseUrl]),
      [
        ['a.example', 'https://a.example/app'],
        ['a.example:443', 'https://a.example/app'],
        ['localhost:3000', 'http://localhost:3000'],
      ],
    )
    const { resolve } = parse((host: string) => (host === 'a.example' ? 'https://A.example/' : null)).hosts
    assert.deepEqual(
      [await resolve?.('a.example'), await resolve?.('b.example')],
      [{ baseUrl: 'https://a.example' }, undefined],
    )
  })

  test('can be listed in the environment', () => {
    const { hosts } = parse(undefined, {}, { OIDC_BASE_URL: 'https://a.example,https://b.example' })
    assert.deepEqual(
      [...new Set([...hosts.listed.values()].map(({ baseUrl }) => baseUrl))],
      ['https://a.example', 'https://b.example'],
    )
  })

  const refused: Readonly<Record<string, readonly [baseUrl: unknown, message: RegExp, more?: object]>> = {
    'an empty list': [[], /^baseUrl must be a list of at least 1 addresses/],
    'the same address twice': [
      ['https://a.example', 'https://a.example/'],
      /^baseUrl\[1\] has the host of an address before it/,
    ],
    'one host in two spellings': [['https://a.example', 'https://A.example:443'], /^baseUrl\[1\] has the host/],
    'one host with two paths': [['https://a.example/x', 'https://a.example/y'], /^baseUrl\[1\] has the host/],
    'one host by https and http': [['https://localhost', 'http://localhost'], /^baseUrl\[1\] has the host/],
    'a member that is no address': [['https://a.example', 7], /^baseUrl\[1\] must be an absolute URL/],
    'a list in a list': [[['https://a.example']], /^baseUrl\[0\] must be an absolute URL/],
    'plain http': [['http://a.example'], /^baseUrl\[0\] must start with https/],
    'a query': [['https://a.example/?x'], /^baseUrl\[0\] must not have a query/],
    credentials: [['https://user@a.example'], /^baseUrl\[0\] must not have credentials/],
    'an object without an address': [[{}], /^baseUrl\[0\]\.url is missing/],
    'an object with another member': [
      [{ url: 'https://a.example', host: 'a' }],
      /there is no option "baseUrl\[0\]\.host"/,
    ],
    'a provider where there is one only': [
      [{ url: 'https://a.example', provider: 'acme' }],
      /^baseUrl\[0\]\.provider needs providers/,
    ],
    'a number': [7, /^baseUrl must be an absolute URL .*, a list of them, or a function, but it is the number 7/],
    'a class': [class {}, /^baseUrl must be a function that takes a host/],
    'a map': [new Map(), /^baseUrl must be an absolute URL/],
  }
  for (const [name, [baseUrl, message]] of Object.entries(refused)) {
    test(`are refused at the start: ${name}`, () => {
      assert.throws(() => parse(baseUrl), { code: 'ERR_OIDC_OPTIONS', message })
    })
  }

  test('are refused with a provider that is not there', () => {
    const { issuer, clientId: _, ...site } = good
    const several = (provider: string) =>
      parseOptions(
        {
          ...site,
          providers: { acme: { issuer, clientId: 'rp' } },
          baseUrl: [{ url: 'https://a.example', provider }],
        } as never,
        {},
      )
    assert.throws(() => several('globex'), {
      code: 'ERR_OIDC_OPTIONS',
      message: /must be one of providers, but there is no "globex"/,
    })
    assert.throws(() => several('__proto__'), { code: 'ERR_OIDC_OPTIONS' })
    assert.equal(several('acme').hosts.listed.get('a.example')?.provider, 'acme')
  })

  test('leave no address where code could read it for all of them', () => {
    for (const baseUrl of ['https://a.example', ['https://a.example'], () => undefined]) {
      const { config } = parse(baseUrl)
      assert.deepEqual(
        ['baseUrl', 'secure'].filter(name => name in config),
        [],
      )
    }
  })
})
