import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { assertCivil, fuzz, json, openFuzzFixture, text, wellFormed } from './fuzz.js'

/** A logout token with claims or header fields changed (`null` in `drop` leaves one out), or another body altogether. */
interface Input {
  readonly set: Readonly<Record<string, unknown>>
  readonly drop: readonly string[]
  readonly header: Readonly<Record<string, unknown>>
  /** Changes the finished token: the part, and what is put in its place. */
  readonly part?: readonly [at: number, text: string]
  readonly body?: string
}

const watch = watchProcess()
const fixture = await openFuzzFixture()
const { site, provider } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const claims = ['iss', 'aud', 'iat', 'exp', 'jti', 'events', 'sub', 'sid', 'nonce', 'azp', 'nbf']
const inputs: fc.Arbitrary<Input> = fc.record(
  {
    set: fc.dictionary(
      fc.constantFrom(...claims),
      fc.oneof(json(claims), fc.constantFrom(provider.issuer, 'client', 'sid-1', 'alice-0001')),
      { maxKeys: 2 },
    ),
    drop: fc.uniqueArray(fc.constantFrom(...claims), { maxLength: 1 }),
    header: fc.dictionary(fc.constantFrom('alg', 'typ', 'kid', 'crit', 'jwk', 'jku', 'b64'), json(['alg']), {
      maxKeys: 1,
    }),
    part: fc.tuple(fc.nat(2), text),
    body: fc.oneof(
      text,
      fc.constantFrom('logout_token=', 'logout_token=a&logout_token=b', 'logout_token[]=a', 'a'.repeat(200_000)),
    ),
  },
  { requiredKeys: ['set', 'drop', 'header'] },
)

async function bodyOf({ set, drop, header, part, body }: Input): Promise<string> {
  if (body !== undefined) return body
  const token = await provider.createLogoutToken(
    {},
    {
      claims: usual =>
        Object.fromEntries(Object.entries({ ...usual, ...set }).filter(([name]) => !drop.includes(name))),
      header: usual => ({ ...usual, ...header }),
    },
  )
  const parts = token.split('.')
  if (part !== undefined) parts[part[0]] = part[1]
  return new URLSearchParams({ logout_token: wellFormed(parts.join('.')) }).toString()
}

let person = createAgent()

async function isSignedIn(): Promise<boolean> {
  const page = await person.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

/** The conditions for a token that signs a user out, written independently. */
function mayEnd({ set, drop, header, part, body }: Input): boolean {
  const touched = Object.keys(set).filter(name => !drop.includes(name))
  const isSame = (name: string, value: unknown) => !touched.includes(name) || set[name] === value
  const names = (audience: unknown) => audience === 'client' || (Array.isArray(audience) && audience.includes('client'))
  return (
    body === undefined &&
    part === undefined &&
    !drop.some(name => ['iss', 'aud', 'iat', 'exp', 'jti', 'events'].includes(name)) &&
    !touched.includes('nonce') &&
    isSame('iss', provider.issuer) &&
    (!touched.includes('aud') || names(set.aud)) &&
    !('alg' in header && header.alg !== 'ES256') &&
    !('crit' in header)
  )
}

async function act(input: Input): Promise<void> {
  if (!(await isSignedIn())) {
    person = createAgent()
    await person.visit(`${site.url}/claims`)
  }
  const response = await createAgent().post(`${site.url}/logout/backchannel`, await bodyOf(input), {
    from: `${provider.issuer}/`,
  })
  // Later: so many forged tokens for one session have spent what it may cost to look for new keys.
  assertCivil(response, [503])
  if (response.status === 503) assert.ok(Number(response.headers['retry-after']) > 0, 'later, and not when')
  assert.deepEqual(response.hops[0]?.setCookies, [])
  assert.equal(response.headers['cache-control'], 'no-store')
  if (response.status !== 200)
    assert.equal(await isSignedIn(), true, `refused with ${response.status}, and yet signed out`)
  else assert.ok(mayEnd(input), 'accepted, and should not have been')
}

test('only a genuine logout token ends a session, and every other body is refused', async t => {
  await fuzz(t, { name: 'logout-token', inputs, runs: 300, act, fixtures: [fixture] })
  person = createAgent()
  await person.visit(`${site.url}/claims`)
  assert.equal(await isSignedIn(), true)
  const logout_token = await provider.createLogoutToken()
  assert.equal((await createAgent().post(`${site.url}/logout/backchannel`, { logout_token })).status, 200)
  assert.equal(await isSignedIn(), false)
})
