import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { JWK } from 'jose'
import { OidcError } from '../../lib/index.js'
import { verifyJwt } from '../../lib/protocol/jwt.js'
import { createKeySet } from '../../lib/provider/key-set.js'
import { createHttpResponse } from '../../lib/provider/response.js'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { createSigningKey, type SigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'
import { assertCivil, fuzz, json, openFuzzFixture } from './fuzz.js'

/** A key set: entries made from the right key or from a foreign one, and entries that are anything. */
interface Input {
  readonly entries: readonly Entry[]
  /** In the place of the whole set. */
  readonly instead?: unknown
}

interface Entry {
  readonly from: 'own' | 'foreign' | 'nothing'
  readonly set: Readonly<Record<string, unknown>>
  readonly drop: readonly string[]
}

const watch = watchProcess()
const fixture = await openFuzzFixture()
const { provider } = fixture
let foreign: SigningKey
before(async () => {
  foreign = await createSigningKey('ES256')
})
after(async () => {
  await fixture.close()
  watch.check()
})

const members = ['kty', 'crv', 'x', 'y', 'kid', 'use', 'alg', 'key_ops', 'd', 'k', 'n', 'e', 'x5c', 'x5u', '__proto__']
const value = fc.oneof(
  fc.constantFrom(
    'EC',
    'RSA',
    'OKP',
    'oct',
    'P-256',
    'P-384',
    'sig',
    'enc',
    'ES256',
    'RS256',
    'none',
    'AQAB',
    ['verify'],
    ['sign'],
  ),
  fc.base64String({ maxLength: 60 }),
  json(members),
)
const inputs: fc.Arbitrary<Input> = fc.record(
  {
    entries: fc.array(
      fc.record({
        from: fc.constantFrom('own', 'own', 'foreign', 'nothing'),
        set: fc.dictionary(fc.constantFrom(...members), value, { maxKeys: 3 }),
        drop: fc.uniqueArray(fc.constantFrom(...members), { maxLength: 2 }),
      }),
      { maxLength: 5 },
    ),
    instead: json(['keys', ...members]),
  },
  { requiredKeys: ['entries'] },
)

function build({ entries, instead }: Input, own: JWK): unknown {
  if (instead !== undefined) return instead
  const base = { own, foreign: { ...foreign.publicJwk, kid: own.kid }, nothing: {} }
  const keys = entries.map(({ from, set, drop }) =>
    Object.fromEntries(Object.entries({ ...base[from], ...set }).filter(([name]) => !drop.includes(name))),
  )
  return { keys }
}

/** Whether the point that verifies the signature is published at all, in whatever entry. Said once more and in other words. */
function hasPoint(published: unknown, { x, y }: JWK): boolean {
  const { keys } = (published ?? {}) as { keys?: unknown }
  return Array.isArray(keys) && keys.some(key => (key as JWK | null)?.x === x && (key as JWK | null)?.y === y)
}

test('a signature is accepted only if its key is published, whatever else is in the key set', async t => {
  const [signer] = provider.keys.published
  assert.ok(signer, 'no key')
  const token = await provider.keys.sign({ sub: 'alice' })
  const act = async (input: Input) => {
    const published = JSON.parse(JSON.stringify(build(input, signer.publicJwk)) ?? 'null') as unknown
    const http = {
      getJson: async () => {
        const headers = new Headers({ 'content-type': 'application/json' })
        return createHttpResponse({ status: 200, isRedirect: false, headers, text: JSON.stringify(published) })
      },
      postForm: () => Promise.reject(new Error('nothing is posted for keys')),
    }
    const keySet = createKeySet({
      jwksUri: async () => 'https://idp.example/jwks',
      http: http as never,
      now: () => new Date(),
    })
    try {
      await verifyJwt(token, header => keySet.keysFor(header), { algorithm: 'ES256' })
      assert.ok(hasPoint(published, signer.publicJwk), 'believed without its key')
    } catch (error) {
      if (!(error instanceof OidcError)) throw error
      assert.match(error.code, /^ERR_OIDC_(PROVIDER_RESPONSE|ID_TOKEN_KEY|ID_TOKEN_SIGNATURE)$/)
    }
  }
  await fuzz(t, { name: 'key-set', inputs, runs: 1500, act })
})

test('no key set at the first sign-in causes an unexpected server error, and the site works as soon as the keys are good', async t => {
  const { issuer, clientId, clientSecret } = provider
  const act = async (input: Input) => {
    const [own] = provider.keys.published
    const published = build(input, own?.publicJwk ?? {})
    provider.break({ jwks: { body: JSON.stringify(published) ?? 'null' } })
    const site = await startSite({ oidc: { issuer, clientId, clientSecret, idTokenAlgorithm: 'ES256' } })
    try {
      const page = await createAgent().visit(`${site.url}/login?returnTo=/user`)
      assertCivil(page, [502, 503])
      const isSignedIn = page.status === 200 && page.json<{ isAuthenticated: boolean }>().isAuthenticated
      if (isSignedIn) assert.ok(hasPoint(JSON.parse(JSON.stringify(published)), own?.publicJwk ?? {}), 'believed')
      provider.heal()
      // A set that could be read is asked for again as soon as a token names a key that is not in it.
      const later = await createAgent().visit(`${site.url}/login?returnTo=/user`)
      if (page.status < 500 && !hasTwin(published, own)) assert.equal(later.status, 200, later.text)
      for (const error of site.errors) assert.ok(error instanceof OidcError, String(error))
    } finally {
      await site.close()
    }
  }
  await fuzz(t, { name: 'key-set', inputs, runs: 40, act })
})

/** A foreign key under the right name: the site has no reason to ask again, but that the signature fits no key. */
function hasTwin(published: unknown, own: SigningKey | undefined): boolean {
  const { keys } = (published ?? {}) as { keys?: unknown }
  return Array.isArray(keys) && keys.some(key => (key as JWK | null)?.kid === own?.kid)
}
