import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { type RawResponse, send } from '../support/http-client.js'
import { beginLogout } from '../support/logout-cookie.js'
import { assertCivil, fuzz, openFuzzFixture, sendable, text } from './fuzz.js'

/**
 * A Cookie header. `$sid` stands for the session cookie of a signed-in user, `$attempt` and `$logout` for the cookies
 * of a sign-in and of a sign-out that are under way.
 */
interface Input {
  readonly path: string
  readonly method: string
  readonly cookie: string
}

const watch = watchProcess()
const fixture = await openFuzzFixture()
const { site } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const agent = createAgent()
await agent.visit(`${site.url}/login?returnTo=/claims`)
const sid = agent.cookies(site.url).find(({ name }) => name === 'sid')?.value ?? ''
const begun = createAgent()
await begun.open(`${site.url}/login`)
const [attempt] = begun.cookies(site.url)
assert.ok(sid && attempt, 'cookies are missing')
const logout = await beginLogout(site.url)

const known = new Map([
  ['$sid', sid],
  ['$attempt', attempt.value],
  ['$logout', logout.value],
])
const attemptName = attempt.name

type Edit = readonly [kind: string, at: number, more: string]

function edit(value: string, [kind, at, more]: Edit): string {
  const index = at % (value.length + 1)
  if (kind === 'cut') return value.slice(0, index)
  if (kind === 'insert') return value.slice(0, index) + more + value.slice(index)
  if (kind === 'remove') return value.slice(0, index) + value.slice(index + 1)
  if (kind === 'flip') return value.slice(0, index) + (value[index] === 'A' ? 'B' : 'A') + value.slice(index + 1)
  return kind === 'repeat' ? value.repeat(1 + (at % 5)) : more
}

const edits = fc.array(
  fc.tuple(
    fc.constantFrom('cut', 'insert', 'remove', 'flip', 'repeat', 'replace'),
    fc.nat(600),
    fc.oneof(text, fc.constantFrom('=', ';', '.', '"', '%')),
  ),
  { maxLength: 2 },
)
const value = fc
  .tuple(fc.constantFrom('$sid', '$attempt', '$logout', ''), edits)
  .map(([name, changes]) => (changes.length === 0 ? name : changes.reduce(edit, known.get(name) ?? '')))
const name = fc.oneof(
  fc.constantFrom('sid', '__Host-sid', attemptName, logout.name, '__proto__', 'constructor', ''),
  text,
)
const pair = fc
  .tuple(name, fc.oneof({ weight: 3, arbitrary: value }, text))
  .map(([key, content]) => `${key}=${content}`)
const inputs: fc.Arbitrary<Input> = fc.record({
  path: fc.constantFrom(
    '/claims',
    '/session',
    '/user',
    '/callback',
    '/login',
    '/logout',
    '/logout/callback?state=x',
    `/logout/callback?state=${logout.state}`,
    '/token',
  ),
  method: fc.constantFrom('GET', 'POST'),
  cookie: fc.oneof(
    { weight: 6, arbitrary: fc.array(fc.oneof(pair, text), { maxLength: 6 }).map(pairs => pairs.join('; ')) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        ';'.repeat(10_000),
        'a'.repeat(15_000),
        '=',
        'sid',
        'sid=',
        `sid="$sid"`,
        'sid=%',
        'a=b;'.repeat(3000),
      ),
    },
  ),
})

/** As bytes, and without what cannot be in a header at all. */
function asHeader(cookie: string): string {
  const filled = cookie.replaceAll(/\$sid|\$attempt|\$logout/g, found => known.get(found) ?? '')
  return sendable(filled, 'header')
}

async function act({ path, method, cookie }: Input): Promise<void> {
  const header = asHeader(cookie)
  const response: RawResponse = await send({
    url: site.url + path,
    method,
    headers: {
      cookie: header,
      accept: 'text/html',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-site': 'same-origin',
      'sec-fetch-dest': 'document',
    },
  })
  assertCivil(response)
  const isAuthenticated =
    path === '/user' &&
    response.status === 200 &&
    (JSON.parse(response.text) as { isAuthenticated: boolean }).isAuthenticated
  if (isAuthenticated || (path === '/claims' && response.status === 200)) {
    assert.ok(header.includes(sid), 'signed in by a cookie that is not the one that was given out')
  }
  // What a sign-out takes away is not there for the next input.
  if (path === '/logout' && header.includes(sid)) await renew()
}

async function renew(): Promise<void> {
  await agent.visit(`${site.url}/login?returnTo=/claims`)
  known.set('$sid', agent.cookies(site.url).find(cookie => cookie.name === 'sid')?.value ?? '')
}

test('no Cookie header causes an unexpected server error, and a damaged cookie does not sign a user in', async t => {
  await fuzz(t, { name: 'cookies', inputs, runs: 600, act, fixtures: [fixture] })
})
