import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { OidcError } from '../../lib/index.js'
import { parseTokenError, parseTokenResponse } from '../../lib/protocol/token-response.js'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import type { Claims } from '../support/hostile-provider.js'
import { assertCivil, fuzz, json, openFuzzFixture, text } from './fuzz.js'

/** A token response with members changed or left out, or another one altogether. */
interface Input {
  readonly set: Readonly<Record<string, unknown>>
  readonly drop: readonly string[]
  readonly instead?: unknown
  /** Default 200. */
  readonly status?: number
}

const watch = watchProcess()
const fixture = await openFuzzFixture({ oidc: { scope: 'openid offline_access' } })
const { site, provider } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const names = ['access_token', 'token_type', 'expires_in', 'scope', 'id_token', 'refresh_token', 'error', '__proto__']
const life = fc.oneof(fc.integer(), fc.double(), fc.constantFrom('3600', '1e9', '-1', '٣', 1e12, 2 ** 31, 2 ** 53))
const value = fc.oneof(json(names), life, text, fc.constantFrom('Bearer', 'bearer', 'MAC', 'DPoP', 'a.b.c'))
const inputs: fc.Arbitrary<Input> = fc.record(
  {
    set: fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 3 }),
    drop: fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 }),
    instead: json(names),
    status: fc.constantFrom(200, 200, 200, 201, 400, 401, 403, 429, 500, 503),
  },
  { requiredKeys: ['set', 'drop'] },
)

function change(body: Claims, { set, drop, instead }: Input): unknown {
  if (instead !== undefined) return instead
  return Object.fromEntries(Object.entries({ ...body, ...set }).filter(([name]) => !drop.includes(name)))
}

const good = { access_token: 'at', token_type: 'Bearer', expires_in: 60, scope: 'openid', id_token: 'a.b.c' }

test('a token response is refused, or every member of it has the right type', async t => {
  const act = (input: Input) => {
    const body = JSON.parse(JSON.stringify(change(good, input)) ?? 'null') as unknown
    const error = parseTokenError(input.status ?? 400, body)
    assert.ok(inspect(error, { depth: 5 }).length < 4000, 'an error that shows too much')
    try {
      const { access_token, token_type, expires_in, scope, id_token, refresh_token } = parseTokenResponse(body, {
        idTokenRequired: true,
      })
      assert.match(access_token, /^[!-~]+$/)
      assert.equal(token_type.toLowerCase(), 'bearer')
      assert.ok(expires_in === undefined || (expires_in >= 0 && expires_in < 4e8), `expires_in ${expires_in}`)
      for (const other of [scope, id_token, refresh_token]) assert.match(other ?? '', /^[ -~]*$/)
      assert.notEqual(id_token, undefined)
    } catch (refusal) {
      if (!(refusal instanceof OidcError)) throw refusal
      assert.equal(refusal.code, 'ERR_OIDC_TOKEN_RESPONSE')
    }
  }
  await fuzz(t, { name: 'token-response', inputs, runs: 5000, act })
})

test('whatever the token endpoint sends, a user is signed in only with the tokens of that sign-in', async t => {
  const act = async (input: Input) => {
    const { set, drop, instead, status = 200 } = input
    provider.heal()
    provider.break({
      token: {
        respond: given => ({ ...given, status, body: JSON.stringify(change(JSON.parse(given.body), input)) ?? 'null' }),
      },
    })
    const agent = createAgent()
    const page = await agent.visit(`${site.url}/login?returnTo=/user`)
    assertCivil(page, [502, 503])
    const isSignedIn = page.status === 200 && page.json<{ isAuthenticated: boolean }>().isAuthenticated
    if (!isSignedIn) return assert.ok(page.status >= 400, `status ${page.status}`)
    const changed = [...Object.keys(set), ...drop]
    const type = Object.hasOwn(set, 'token_type') ? String(set.token_type).toLowerCase() : 'bearer'
    assert.ok(
      status === 200 && instead === undefined && !changed.includes('id_token') && !changed.includes('access_token'),
      'believed, and should not have been',
    )
    assert.ok(type === 'bearer' && !drop.includes('token_type'), `believed a token of the type ${type}`)
    // Whatever was said of its life: it is handed out, or refreshed, or void, and never an error of ours.
    const token = await agent.fetch(`${site.url}/token`)
    assertCivil(token, [502, 503])
    if (token.status !== 200) return
    const { scope, expiresAt } = token.json<{ scope: string; expiresAt?: number }>()
    assert.equal(typeof scope, 'string')
    assert.ok(expiresAt === undefined || Number.isInteger(expiresAt), `expiresAt ${expiresAt}`)
  }
  await fuzz(t, { name: 'token-response', inputs, runs: 200, act, fixtures: [fixture] })
  provider.heal()
  assert.equal((await createAgent().visit(`${site.url}/claims`)).status, 200)
})
