import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { OidcError } from '../../lib/index.js'
import { parseProviderMetadata } from '../../lib/protocol/metadata.js'
import { isSecureUrl } from '../../lib/protocol/url.js'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import type { Claims } from '../support/hostile-provider.js'
import { startSite } from '../support/site.js'
import { assertCivil, fuzz, json, openFuzzFixture, text } from './fuzz.js'

/** A discovery document with members changed or left out, or another one altogether. */
interface Input {
  readonly set: Readonly<Record<string, unknown>>
  readonly drop: readonly string[]
  readonly instead?: unknown
}

const watch = watchProcess()
const fixture = await openFuzzFixture()
const { provider } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const endpoints = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'end_session_endpoint',
  'revocation_endpoint',
]
const lists = [
  'response_types_supported',
  'response_modes_supported',
  'id_token_signing_alg_values_supported',
  'token_endpoint_auth_methods_supported',
]
const members = [
  'issuer',
  ...endpoints,
  ...lists,
  'scopes_supported',
  'authorization_response_iss_parameter_supported',
  '__proto__',
]
const address = fc.oneof(
  fc.constantFrom(
    'http://idsrv.example.com/x',
    'https://a:b@idsrv.example.com',
    'https://idsrv.example.com/#f',
    'javascript:alert(1)',
    '//evil.example',
    'ftp://x',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example/',
    'http://[::1]/',
    'https://',
    'file:///etc/passwd',
    'http://2130706433/',
    'http://0/',
  ),
  fc.webUrl(),
  text,
)
const inputs: fc.Arbitrary<Input> = fc.record(
  {
    set: fc.dictionary(fc.constantFrom(...members), fc.oneof(address, json(members)), { maxKeys: 3 }),
    drop: fc.uniqueArray(fc.constantFrom(...members), { maxLength: 2 }),
    instead: json(members),
  },
  { requiredKeys: ['set', 'drop'] },
)

const good = {
  issuer: 'https://idsrv.example.com',
  ...Object.fromEntries(endpoints.map(name => [name, `https://idsrv.example.com/${name}`])),
  response_types_supported: ['code id_token'],
}

function change(document: Claims, { set, drop, instead }: Input): unknown {
  if (instead !== undefined) return instead
  return Object.fromEntries(Object.entries({ ...document, ...set }).filter(([name]) => !drop.includes(name)))
}

test('a discovery document is refused, or its issuer is the configured one and every endpoint is a secure URL', async t => {
  const act = (input: Input) => {
    const document = JSON.parse(JSON.stringify(change(good, input)) ?? 'null') as unknown
    try {
      const metadata = parseProviderMetadata(document, good.issuer)
      assert.equal(metadata.issuer, good.issuer)
      for (const name of endpoints) {
        const value = (metadata as unknown as Claims)[name]
        assert.ok(value === undefined || isSecureUrl(new URL(String(value))), name)
      }
      for (const name of lists) {
        const value = (metadata as unknown as Claims)[name]
        assert.ok(value === undefined || Array.isArray(value), name)
      }
    } catch (error) {
      if (!(error instanceof OidcError)) throw error
      assert.match(error.code, /^ERR_OIDC_METADATA/)
    }
  }
  await fuzz(t, { name: 'discovery', inputs, runs: 5000, act })
})

test('a site starts with any discovery document, and sends no user to an insecure URL', async t => {
  const { issuer, clientId, clientSecret } = provider
  const act = async (input: Input) => {
    provider.break({ metadata: document => change(document, input) })
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, idTokenAlgorithm: 'ES256' } })
    const page = await createAgent().open(`${site.url}/login`, { redirect: 'manual' })
    assertCivil(page, [502, 503])
    if (page.status < 400) assert.ok(isSecureUrl(new URL(page.headers.location ?? '')), page.headers.location)
    assert.equal((await createAgent().open(`${site.url}/`)).status, 200)
    for (const error of site.errors) assert.ok(error instanceof OidcError, String(error))
    await site.close()
  }
  await fuzz(t, { name: 'discovery', inputs, runs: 60, act })
})
