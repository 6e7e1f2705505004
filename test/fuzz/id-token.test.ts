import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { OidcError } from '../../lib/index.js'
import { checkIdTokenClaims } from '../../lib/protocol/id-token.js'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import type { Claims, JwtFaults } from '../support/hostile-provider.js'
import { assertCivil, fuzz, json, openFuzzFixture, text, wellFormed } from './fuzz.js'

/** What is done to one of the two ID Tokens of a sign-in. */
interface Input {
  readonly which: 'frontIdToken' | 'backIdToken'
  readonly set: Readonly<Record<string, unknown>>
  readonly drop: readonly string[]
  readonly header: Readonly<Record<string, unknown>>
  readonly part?: readonly [at: number, text: string]
}

const watch = watchProcess()
const fixture = await openFuzzFixture({ oidc: { responseType: 'code id_token token' } })
const { site, provider } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const names = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'nbf',
  'nonce',
  'azp',
  'auth_time',
  'acr',
  'sid',
  'at_hash',
  'c_hash',
  's_hash',
  '__proto__',
]
const inputs: fc.Arbitrary<Input> = fc.record(
  {
    which: fc.constantFrom('frontIdToken', 'backIdToken'),
    set: fc.dictionary(
      fc.constantFrom(...names),
      fc.oneof(json(names), fc.constantFrom('client', provider.issuer, ['client'])),
      { maxKeys: 2 },
    ),
    drop: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 1 }),
    header: fc.dictionary(
      fc.constantFrom('alg', 'typ', 'kid', 'crit', 'jwk', 'jku', 'x5c', 'b64', 'zip'),
      json(['alg', 'kty']),
      { maxKeys: 1 },
    ),
    part: fc.tuple(fc.nat(3), text),
  },
  { requiredKeys: ['which', 'set', 'drop', 'header'] },
)

/** Claims that cannot be another value, or missing, in a token that is believed. */
const pinned = ['iss', 'nonce', 'sub']

function mayBeBelieved({ which, set, drop, header, part }: Input, genuine: Claims): boolean {
  const changed = (name: string) =>
    drop.includes(name) || (Object.hasOwn(set, name) && !isDeepStrictEqual(set[name], genuine[name]))
  const hashes = which === 'frontIdToken' ? ['at_hash', 'c_hash'] : ['at_hash'].filter(name => !drop.includes(name))
  const isForUs = !changed('aud') || (!drop.includes('aud') && [set.aud].flat().includes('client'))
  const hasBadHeader = 'crit' in header || ('alg' in header && header.alg !== 'ES256') || part !== undefined
  return (
    !hasBadHeader && isForUs && ![...pinned, ...hashes].some(changed) && !drop.includes('exp') && !drop.includes('iat')
  )
}

async function act(input: Input): Promise<void> {
  const { which, set, drop, header, part } = input
  let genuine: Claims = {}
  const fault: JwtFaults = {
    claims: claims => {
      genuine = structuredClone(claims)
      return Object.fromEntries(Object.entries({ ...claims, ...set }).filter(([name]) => !drop.includes(name)))
    },
    header: usual => ({ ...usual, ...header }),
    token: token => {
      const parts = token.split('.')
      if (part !== undefined) parts[part[0]] = part[1]
      return wellFormed(parts.join('.'))
    },
  }
  provider.break({ frontIdToken: {}, backIdToken: {}, [which]: fault })
  const page = await createAgent().visit(`${site.url}/login?returnTo=/user`)
  assertCivil(page, [502, 503])
  const isSignedIn = page.status === 200 && page.json<{ isAuthenticated: boolean }>().isAuthenticated
  if (isSignedIn) assert.ok(mayBeBelieved(input, genuine), 'believed, and should not have been')
  else assert.ok(page.status >= 400, `status ${page.status}`)
}

test('a sign-in with a damaged ID Token is refused without an unexpected server error, whatever the damage', async t => {
  await fuzz(t, { name: 'id-token', inputs, runs: 200, act, fixtures: [fixture] })
  provider.heal()
  assert.equal((await createAgent().visit(`${site.url}/claims`)).status, 200)
})

test('a time in an ID Token is accepted exactly within its window, whatever its value', async t => {
  const now = 1_800_000_000
  const near = fc.oneof(fc.integer({ min: now - 900, max: now + 900 }), json(['exp']))
  const act = ({ exp, iat, nbf }: { exp: unknown; iat: unknown; nbf?: unknown }) => {
    const expected = { issuer: 'https://i', clientId: 'c', nonce: 'n', now, clockTolerance: 30 }
    const claims = { iss: 'https://i', aud: 'c', sub: 's', nonce: 'n', exp, iat, ...(nbf !== undefined && { nbf }) }
    const within = (value: unknown, from: number, to: number) =>
      typeof value === 'number' && value >= from && value <= to
    const isGood =
      within(exp, now - 30 + 0.000001, 1e300) &&
      within(iat, now - 630, now + 30) &&
      (nbf === undefined || nbf === null || nbf === '' || within(nbf, 0, now + 30))
    try {
      checkIdTokenClaims(claims, expected)
      assert.ok(isGood, 'believed')
    } catch (error) {
      if (!(error instanceof OidcError)) throw error
      assert.ok(!isGood || Number(exp) > 1e12, `refused: ${error.message}`)
    }
  }
  await fuzz(t, {
    name: 'id-token-times',
    inputs: fc.record({ exp: near, iat: near, nbf: near }, { requiredKeys: ['exp', 'iat'] }),
    runs: 5000,
    act,
  })
})
