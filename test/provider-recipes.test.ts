import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { transform } from 'esbuild'
import { decodeProtectedHeader, importJWK, type JWK, jwtVerify } from 'jose'
import type { OidcOptions } from '../lib/index.js'
import { parseOptions } from '../lib/options/parse-options.js'
import { createSelfSigned } from './attacks/self-signed.js'
import { type Fixture, withFixture } from './support/handler-fixture.js'
import { extra, type HostileProviderOptions } from './support/hostile-provider.js'
import { secret } from './support/secrets.js'
import { createSigningKey, type SigningKey } from './support/signing-keys.js'
import { examplesOf, readPage, readPages, root, sectionOf } from './tools/documentation.js'

// The blocks of the pages about providers are run: each as a file of its own, beside the key and the certificate that it reads.

const pages = readPages().filter(({ name }) => /^docs\/(?:providers\.md|providers\/|recipes)/.test(name))
const environment = {
  OIDC_ISSUER: 'https://op.example',
  OIDC_CLIENT_ID: 'client',
  OIDC_CLIENT_SECRET: secret('client secret in the environment of a recipe'),
  OIDC_BASE_URL: 'https://www.example.com',
  SESSION_SECRET: secret('session secret in the environment of a recipe'),
  APPLE_KEY_ID: 'key-1',
  APPLE_TEAM_ID: 'team-1',
}
const tenant = '00000000-0000-0000-0000-000000000000'

let folder = ''
let rsa: SigningKey
let ec: SigningKey
let files = 0
const saved = { ...process.env }
const home = process.cwd()

/** What a block gives to `openIdConnect`. */
async function optionsOf(source: string): Promise<OidcOptions[]> {
  const given: OidcOptions[] = []
  Object.assign(globalThis, { takeOptions: (options: OidcOptions = {}) => void given.push(options) })
  const code = source
    .replace(
      /^import \{[^}]*\bopenIdConnect\b[^}]*\} from 'express-hybrid-oidc'$/m,
      'const openIdConnect = globalThis.takeOptions',
    )
    .replaceAll(/<(?:tenant|environment) id>/g, tenant)
  files += 1
  const file = join(folder, `${files}.mjs`)
  writeFileSync(file, (await transform(code, { loader: 'ts', format: 'esm' })).code)
  await import(pathToFileURL(file).href)
  return given
}

/** @param place - the name of a page in docs/providers, or a heading of docs/providers.md */
async function recipeOf(place: string, index = 0): Promise<OidcOptions> {
  const page = place.startsWith('#')
    ? { name: place, text: sectionOf(readPage('docs/providers.md'), place) }
    : readPage(`docs/providers/${place}.md`)
  const [options] = await optionsOf(examplesOf(page)[index]?.source ?? '')
  assert.ok(options, `${place} has options`)
  return options
}

before(async () => {
  mkdirSync(join(root, '.tmp'), { recursive: true })
  folder = mkdtempSync(join(root, '.tmp', 'recipes-'))
  rsa = await createSigningKey('RS256')
  ec = await createSigningKey('ES256')
  const pem = (key: SigningKey) => key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  writeFileSync(join(folder, 'client.key'), pem(rsa))
  writeFileSync(join(folder, 'client.crt'), createSelfSigned().cert)
  Object.assign(process.env, environment, { APPLE_KEY: pem(ec) })
  process.chdir(folder)
})
after(() => {
  process.chdir(home)
  process.env = saved
  rmSync(folder, { recursive: true, force: true })
})

test('every block has options that are accepted as they stand', async () => {
  let found = 0
  for (const page of pages) {
    for (const { place, source } of examplesOf(page)) {
      if (!/export const oidc = openIdConnect\(\{/.test(source)) continue
      for (const options of await optionsOf(source)) {
        assert.doesNotThrow(
          () => parseOptions({ log: () => {}, ...options }, { ...environment, REDIS_URL: 'redis://127.0.0.1:1' }),
          place,
        )
        found += 1
      }
    }
  }
  assert.ok(found >= 18, `${found} recipes`)
})

/** A sign-in at a provider that does what the recipe says of it. */
function works(
  place: string | readonly [page: string, index: number],
  provider: (recipe: OidcOptions) => HostileProviderOptions,
  bend: (fixture: Fixture, recipe: OidcOptions) => void,
  check: (fixture: Fixture, user: Record<string, unknown>, recipe: OidcOptions) => unknown,
  change: (fixture: HostileProviderOptions, recipe: OidcOptions) => OidcOptions = () => ({}),
) {
  const [page, index] = typeof place === 'string' ? [place, 0] : place
  test(`docs/providers/${page}.md${index > 0 ? `, block ${index + 1}` : ''}: users sign in`, async () => {
    const { issuer: _, metadataUrl: _url, clientId: _id, ...recipe } = await recipeOf(page, index)
    const given = { clientSecret: secret('client secret of a recipe'), ...provider(recipe) }
    const { clientSecret: _secret, ...others } = recipe
    // A secret of the provider in the place of that of the environment; none where the recipe has none.
    const ours = 'clientSecret' in recipe ? { clientSecret: given.clientSecret } : { clientSecret: undefined }
    const oidc = { responseType: undefined, ...others, ...ours, ...change(given, recipe) }
    await withFixture({ provider: given, oidc }, async fixture => {
      bend(fixture, recipe)
      const page = await fixture.agent.visit(`${fixture.site.url}/claims`)
      assert.equal(page.status, 200, `${page.text}\n${fixture.site.log.join('\n')}`)
      await check(fixture, page.json(), recipe)
    })()
  })
}

const assertionOf = ({ provider }: Fixture) => provider.requestsTo('token')[0]?.form.client_assertion ?? ''
const nothing = () => {}

describe('the recipes, at a provider that does what they say of it', () => {
  works(
    'adfs',
    () => ({}),
    ({ provider }) => provider.break({ userinfo: { status: 401, body: {} } }),
    ({ provider }) => {
      const query = provider.requestsTo('authorize')[0]?.query
      assert.deepEqual([query?.resource, query?.scope], ['https://api.example.com', 'openid profile email allatclaims'])
    },
  )

  works(
    ['entra-id', 2],
    () => ({ clientJwks: [{ ...rsa.publicJwk, alg: 'PS256' } as JWK] }),
    nothing,
    fixture => {
      const { typ, ...header } = decodeProtectedHeader(assertionOf(fixture))
      assert.deepEqual([typ, header.alg, String(header['x5t#S256']).length], ['JWT', 'PS256', 43])
    },
  )

  works(
    'azure-ad-b2c',
    () => ({}),
    ({ provider }) => provider.break({ userinfo: { status: 400, body: {} } }),
    ({ provider }) => assert.equal(provider.count('userinfo'), 0),
  )

  works(
    'apple',
    () => ({
      idTokenClaims: { email_verified: 'true' },
      metadata: { userinfo_endpoint: undefined, end_session_endpoint: undefined },
    }),
    ({ provider }) =>
      provider.break({
        response: extra('user', '{"name":{"firstName":"Zoë","lastName":"Adams"},"email":"x@example.org"}'),
      }),
    async ({ provider }, user, { clientSecret }) => {
      assert.deepEqual([user.name, user.email_verified], ['Zoë Adams', true])
      assert.ok(provider.requestsTo('token')[0]?.form.client_secret)
      assert.ok(typeof clientSecret === 'function')
      const expected = {
        issuer: 'team-1',
        subject: 'client',
        audience: 'https://appleid.apple.com',
        algorithms: ['ES256'],
      }
      const { payload, protectedHeader } = await jwtVerify(
        await clientSecret(),
        await importJWK(ec.publicJwk, 'ES256'),
        expected,
      )
      assert.equal(protectedHeader.kid, 'key-1')
      assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 300)
    },
    ({ clientSecret = '' }) => ({ clientSecret: () => clientSecret }),
  )

  works(
    'slack',
    () => ({ metadata: { response_modes_supported: ['form_post'], end_session_endpoint: undefined } }),
    nothing,
    ({ provider }) => assert.equal(provider.requestsTo('authorize')[0]?.query.response_mode, undefined),
  )

  works(
    'line',
    () => ({ alg: 'HS256', metadata: { id_token_signing_alg_values_supported: ['ES256'] } }),
    nothing,
    ({ site }) => assert.match(site.log.join('\n'), /does not list/),
  )

  works(
    'login-gov',
    () => ({ clientJwks: [rsa.publicJwk] }),
    nothing,
    async fixture => {
      assert.deepEqual(decodeProtectedHeader(assertionOf(fixture)), { alg: 'RS256', typ: 'JWT' })
      assert.equal(fixture.provider.requestsTo('authorize')[0]?.query.acr_values, 'urn:acr.login.gov:auth-only')
      await fixture.agent.click(`${fixture.site.url}/logout`)
      const [request] = fixture.provider.requestsTo('endSession')
      assert.deepEqual([request?.query.id_token_hint, request?.query.client_id], [undefined, 'client'])
    },
  )

  test('LinkedIn: an ID Token without a nonce is refused, whatever the options', async () => {
    for (const responseType of ['code', 'code id_token', 'id_token token']) {
      await withFixture({ oidc: { responseType } }, async ({ agent, site, provider }) => {
        const without = ({ nonce: _, ...claims }: Record<string, unknown>) => claims
        provider.break({ frontIdToken: without, backIdToken: without })
        await agent.visit(`${site.url}/claims`)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_NONCE')
      })()
    }
  })

  test('a provider inside a cluster: the fetch of the recipe takes the other way for the provider alone', async t => {
    const asked: string[] = []
    t.mock.method(globalThis, 'fetch', async (input: unknown) => {
      asked.push(String(input))
      return new Response()
    })
    const { fetch } = await recipeOf('## A provider inside a cluster', 1)
    for (const address of [
      'https://login.example.com/realms/site/token',
      'https://login.example.com.evil.example/',
      'https://api.example.com/',
    ])
      await fetch?.(address)
    assert.deepEqual(asked, [
      'http://keycloak.svc.cluster.local:8080/realms/site/token',
      'https://login.example.com.evil.example/',
      'https://api.example.com/',
    ])
  })

  test('a document of the wrong media type: the fetch of the recipe calls keys JSON, and nothing else', async t => {
    t.mock.method(globalThis, 'fetch', async () => new Response('{}', { headers: { 'content-type': 'text/plain' } }))
    const { fetch } = await recipeOf('## A document of the wrong media type')
    const types = ['https://op.example/jwks.json', 'https://op.example/token'].map(async address =>
      (await fetch?.(address))?.headers.get('content-type'),
    )
    assert.deepEqual(await Promise.all(types), ['application/json', 'text/plain'])
  })
})
