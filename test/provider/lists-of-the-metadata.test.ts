import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import type { JWK } from 'jose'
import type { OidcOptions } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'
import type { HostileProviderOptions } from '../support/hostile-provider.js'
import { createSigningKey, exportPrivateJwk } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'

interface Row {
  readonly option: OidcOptions
  readonly list: Readonly<Record<string, readonly string[]>>
  readonly provider?: HostileProviderOptions
}

const secret = 'at-least-thirty-two-characters-of-a-secret-for-HS256-and-for-HS512'
const es256 = await createSigningKey('ES256')
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const rsaJwk = { ...publicKey.export({ format: 'jwk' }), kid: 'ours', use: 'sig', alg: 'RS256' } as JWK

/** What the site asks for, and a list that does not have it at a provider that takes it all the same. */
const rows: Readonly<Record<string, Row>> = {
  'the response mode query, as at Slack,': {
    option: { responseType: 'code', responseMode: 'query' },
    list: { response_modes_supported: ['form_post'] },
  },
  'the response mode form_post': {
    option: { responseMode: 'form_post' },
    list: { response_modes_supported: ['query', 'fragment'] },
  },
  'the response type code token': {
    option: { responseType: 'code token' },
    list: { response_types_supported: ['code', 'code id_token'] },
  },
  'an ID Token by HS256, as at LINE,': {
    option: { idTokenAlgorithm: 'HS256' },
    list: { id_token_signing_alg_values_supported: ['ES256'] },
    provider: { alg: 'HS256', clientSecret: secret },
  },
  'ID Tokens by ES256': {
    option: { idTokenAlgorithm: 'ES256' },
    list: { id_token_signing_alg_values_supported: ['RS256'] },
    provider: { alg: 'ES256' },
  },
  client_secret_post: {
    option: { clientAuthentication: 'client_secret_post' },
    list: { token_endpoint_auth_methods_supported: ['client_secret_basic'] },
  },
  client_secret_jwt: {
    option: { clientAuthentication: 'client_secret_jwt' },
    list: { token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'] },
    provider: { clientSecret: secret },
  },
  private_key_jwt: {
    option: {
      clientSecret: undefined,
      clientAuthentication: { method: 'private_key_jwt', key: exportPrivateJwk(es256) },
    },
    list: { token_endpoint_auth_methods_supported: ['client_secret_post', 'client_secret_basic'] },
    provider: { clientJwks: [es256.publicJwk] },
  },
  'assertions by PS256': {
    option: {
      clientSecret: undefined,
      clientAuthentication: { method: 'private_key_jwt', key: privateKey, algorithm: 'PS256' },
    },
    list: { token_endpoint_auth_signing_alg_values_supported: ['RS256', 'ES256'] },
    provider: { clientJwks: [{ ...rsaJwk, alg: 'PS256' }] },
  },
}

const warnings = ({ site }: Fixture) => site.log.filter(line => line.includes('does not list'))

describe('an option of the site counts for more than a list of the metadata', () => {
  for (const [what, { option, list, provider }] of Object.entries(rows)) {
    test(
      `${what} is used although the provider does not list it; users sign in, and the log says it once`,
      withFixture({ oidc: option, provider: { ...provider, metadata: list } }, async fixture => {
        await fixture.site.oidc.ready()
        for (let user = 0; user < 3; user += 1) {
          const page = await createAgent().visit(`${fixture.site.url}/claims`)
          assert.equal(page.status, 200, `${page.text} ${fixture.site.log.join('\n')}`)
        }
        assert.equal(warnings(fixture).length, 1, fixture.site.log.join('\n'))
        const [listed = []] = Object.values(list)
        for (const value of listed) assert.ok(warnings(fixture)[0]?.includes(`"${value}"`), warnings(fixture)[0])
      }),
    )
  }

  test(
    'a list that has what the option names leaves no line in the log',
    withFixture({ oidc: { responseMode: 'form_post', clientAuthentication: 'client_secret_post' } }, async fixture => {
      await fixture.agent.visit(`${fixture.site.url}/claims`)
      assert.deepEqual(warnings(fixture), [])
    }),
  )

  test(
    'where no option names it, the user is not sent to a provider that does not list it',
    withFixture(
      { provider: { metadata: { token_endpoint_auth_methods_supported: ['private_key_jwt'] } } },
      async ({ agent, site, provider }) => {
        assert.equal((await agent.visit(`${site.url}/claims`)).status, 502)
        assert.equal(site.lastCode(), 'ERR_OIDC_UNSUPPORTED')
        assert.equal(provider.count('authorize'), 0)
      },
    ),
  )

  test(
    'an ID Token is taken with the algorithm of the option alone, whatever the provider lists',
    withFixture(
      { oidc: { idTokenAlgorithm: 'PS256' }, provider: { metadata: { id_token_signing_alg_values_supported: [] } } },
      async ({ agent, site }) => {
        assert.equal((await agent.visit(`${site.url}/claims`)).status, 400)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_ALGORITHM')
      },
    ),
  )
})

describe('a member of the metadata without a value', () => {
  const optional = {
    userinfo_endpoint: null,
    end_session_endpoint: '',
    revocation_endpoint: null,
    check_session_iframe: '',
    scopes_supported: null,
    response_types_supported: [],
    response_modes_supported: null,
    grant_types_supported: null,
    code_challenge_methods_supported: null,
    token_endpoint_auth_methods_supported: [],
    token_endpoint_auth_signing_alg_values_supported: null,
    id_token_signing_alg_values_supported: null,
    authorization_response_iss_parameter_supported: null,
    require_pushed_authorization_requests: null,
  }
  test(
    'counts for nothing, discovered or given as an option: users sign in and sign out',
    withFixture({ provider: { metadata: optional } }, async ({ agent, site, provider }) => {
      const first = await agent.visit(`${site.url}/claims`)
      assert.equal(first.status, 200, `${first.text} ${site.log.join('\n')}`)
      const page = await agent.click(`${site.url}/logout`)
      assert.equal(page.status, 200, page.text)
      assert.deepEqual([provider.count('userinfo'), provider.count('endSession')], [0, 0])
      const { issuer, clientId, clientSecret } = provider
      const document = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as object
      const other = await startSite({
        oidc: { issuer, clientId, clientSecret, metadata: { ...document, ...optional } },
      })
      try {
        assert.equal((await createAgent().visit(`${other.url}/claims`)).status, 200, other.log.join('\n'))
      } finally {
        await other.close()
      }
    }),
  )
})
