import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import type { Claims, EndpointFault, JwtFaults } from '../support/hostile-provider.js'
import { assertCivil, fuzz, json, openFuzzFixture, text, wellFormed } from './fuzz.js'

/** A response of userinfo with claims changed or left out, another one altogether, or one that is signed. */
interface Input {
  readonly set: Readonly<Record<string, unknown>>
  readonly drop: readonly string[]
  readonly instead?: unknown
  /** Sent as it is. */
  readonly raw?: { readonly body: string; readonly contentType: string; readonly status: number }
  readonly signed?: {
    readonly header: Readonly<Record<string, unknown>>
    readonly part?: readonly [at: number, text: string]
  }
}

const watch = watchProcess()
const fixture = await openFuzzFixture()
const { site, provider } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const SUB = 'alice-0001'
/** What only an ID Token may say. */
const protocol = ['iss', 'aud', 'exp', 'iat', 'nbf', 'nonce', 'azp', 'at_hash', 'c_hash', 's_hash', 'sid']
const names = ['sub', 'name', 'email', 'email_verified', 'role', '_claim_names', '_claim_sources', ...protocol]
const inputs: fc.Arbitrary<Input> = fc.record(
  {
    set: fc.dictionary(fc.constantFrom(...names, '__proto__', 'constructor', 'prototype'), json(names), { maxKeys: 3 }),
    drop: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 1 }),
    instead: json(names),
    raw: fc.record({
      body: text,
      contentType: fc.constantFrom('application/json', 'application/jwt', 'text/html', '', 'application/json;x'),
      status: fc.constantFrom(200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 429, 500, 503),
    }),
    signed: fc.record(
      {
        header: fc.dictionary(fc.constantFrom('alg', 'typ', 'kid', 'crit', 'jwk', 'b64'), json(['alg']), {
          maxKeys: 1,
        }),
        part: fc.tuple(fc.nat(2), text),
      },
      { requiredKeys: ['header'] },
    ),
  },
  { requiredKeys: ['set', 'drop'] },
)

function change(claims: Claims, { set, drop, instead }: Input): unknown {
  if (instead !== undefined && instead !== null) return instead
  return Object.fromEntries(Object.entries({ ...claims, ...set }).filter(([name]) => !drop.includes(name)))
}

function signature({ header, part }: NonNullable<Input['signed']>): JwtFaults {
  return {
    header: usual => ({ ...usual, ...header }),
    token: token => {
      const parts = token.split('.')
      if (part !== undefined) parts[part[0]] = part[1]
      return wellFormed(parts.join('.'))
    },
  }
}

/** A status that may have no body gets none. */
function answerOf({ body, contentType, status }: NonNullable<Input['raw']>): EndpointFault {
  const sent = status === 204 || status === 301 ? '' : wellFormed(body)
  return { respond: () => ({ status, headers: { 'content-type': contentType, location: '/' }, body: sent }) }
}

/** The conditions for userinfo that a user was signed in with, written independently. */
function mayBeBelieved(input: Input): boolean {
  const { set, drop, raw, instead, signed } = input
  if (raw !== undefined) return raw.status === 200 && raw.contentType.startsWith('application/json')
  if (drop.includes('sub') || (signed && ('crit' in signed.header || signed.part !== undefined))) return false
  if (instead !== undefined && instead !== null) return (instead as Claims).sub === SUB
  return !Object.hasOwn(set, 'sub') || set.sub === SUB
}

async function act(input: Input): Promise<void> {
  const { raw, signed } = input
  provider.heal()
  provider.break({
    userInfoClaims: claims => change(claims, input),
    ...(raw && { userinfo: answerOf(raw) }),
    ...(signed && { signedUserInfo: signature(signed) }),
  })
  const page = await createAgent().visit(`${site.url}/login?returnTo=/user`)
  assertCivil(page, [502, 503])
  const { user = null } = page.status === 200 ? page.json<{ user: Claims | null }>() : {}
  if (user === null) return assert.ok(page.status >= 400, `status ${page.status}`)
  assert.ok(mayBeBelieved(input), 'believed, and should not have been')
  assert.equal(user.sub, SUB)
  assert.deepEqual([user.sid, user.iss, user.nonce, user.aud], ['sid-1', undefined, undefined, undefined])
  for (const name of ['_claim_names', '_claim_sources', '__proto__', 'constructor']) {
    assert.equal(Object.hasOwn(user, name), false, name)
  }
  assert.equal(({} as Claims).polluted, undefined)
}

test('whatever userinfo says, the user of the ID Token is signed in, or no user is', async t => {
  await fuzz(t, { name: 'user-info', inputs, runs: 250, act, fixtures: [fixture] })
  provider.heal()
  assert.equal((await createAgent().visit(`${site.url}/claims`)).status, 200)
})
