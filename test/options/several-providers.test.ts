import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { openIdConnect } from '../../lib/index.js'
import { parseOptions } from '../../lib/options/parse-options.js'
import { secret } from '../support/secrets.js'

const site = { baseUrl: 'https://www.example.com', secret: secret('session secret of several providers') }
const acme = { issuer: 'https://acme.example', clientId: 'shop', clientSecret: 'x' }
const globex = { issuer: 'https://globex.example', clientId: 'shop', clientSecret: 'x' }
const providers = { acme, globex }

function refused(options: object, message: RegExp): void {
  test(`${JSON.stringify(options)} is refused: ${message}`, () => {
    assert.throws(() => openIdConnect({ ...site, ...options } as never), { code: 'ERR_OIDC_OPTIONS', message })
  })
}

describe('a site with several providers does not start with', () => {
  refused({ providers, issuer: 'https://acme.example' }, /^issuer and providers cannot both be given/)
  refused({ providers, clientId: 'shop' }, /^clientId and providers cannot both/)
  refused({ providers, clientSecret: 'x' }, /^clientSecret and providers cannot both/)
  refused({ providers, metadataUrl: 'https://acme.example/m' }, /^metadataUrl and providers cannot both/)
  refused({ providers, profile: 'fapi2' }, /^profile and providers cannot both/)
  refused({ providers: {} }, /^providers must have at least one/)
  refused({ providers: [] }, /^providers must be an object/)
  refused({ providers: { Acme: acme } }, /there is "Acme"/)
  refused({ providers: { 'a/b': acme } }, /there is "a\/b"/)
  refused({ providers: { '': acme } }, /there is ""/)
  refused({ providers: { acme: 'https://acme.example' } }, /^providers\.acme must be an object/)
  refused({ providers: { acme: { ...acme, issuer: undefined } } }, /^providers\.acme: issuer/)
  refused({ providers: { acme: { ...acme, issuer: 'http://acme.example' } } }, /^providers\.acme: issuer/)
  refused({ providers: { acme: { ...acme, pkce: 1 } } }, /^providers\.acme: pkce/)
  refused({ providers: { acme: { ...acme, baseUrl: 'https://a.example' } } }, /^providers\.acme\.baseUrl is no option/)
  refused({ providers: { acme: { ...acme, redis: 'redis://a' } } }, /^providers\.acme\.redis is no option/)
  refused({ providers, defaultProvider: 'initech' }, /^defaultProvider must be one of providers/)
  refused({ providers, defaultProvider: 'Acme' }, /^defaultProvider/)
  refused({ providers, chooseProvider: 'https://evil.example' }, /^chooseProvider/)
  refused({ resolveProvider: 'acme' }, /^resolveProvider/)
  refused({ ...acme, defaultProvider: 'acme' }, /^defaultProvider needs providers or resolveProvider/)
  refused({ ...acme, chooseProvider: '/sign-in' }, /^chooseProvider needs providers or resolveProvider/)
})

describe('the options of a provider', () => {
  const read = (options: object, environment = {}) => {
    const { several } = parseOptions({ ...site, ...options } as never, environment)
    assert.ok(several !== undefined)
    return several.listed
  }

  test('are its own, then those of the site, then the default', () => {
    const listed = read({ providers: { acme: { ...acme, scope: 'openid a' }, globex }, scope: 'openid site' })
    assert.equal(listed.get('acme')?.config.scope, 'openid a')
    assert.equal(listed.get('globex')?.config.scope, 'openid site')
    assert.equal(listed.get('globex')?.config.responseType, 'code id_token')
  })

  test('are not taken from the variables of the one provider of a site', () => {
    const environment = { OIDC_ISSUER: 'https://env.example', OIDC_CLIENT_ID: 'env', OIDC_CLIENT_SECRET: 'env' }
    const listed = read({ providers }, environment)
    assert.deepEqual(
      [...listed.values()].map(({ config, provider }) => [config.issuer, config.clientId, provider.clientSecret]),
      [
        ['https://acme.example', 'shop', 'x'],
        ['https://globex.example', 'shop', 'x'],
      ],
    )
  })

  test('share the hooks and the limits of the site', () => {
    const hooks = { signOut: () => {} }
    const listed = read({ providers, hooks, session: { idle: 60, absolute: 600 } })
    for (const { config } of listed.values()) {
      assert.deepEqual([config.siteName, config.idle, config.lifetime], ['https://www.example.com', 60, 600])
      assert.equal(typeof config.hooks.signOut, 'function')
    }
  })
})
