import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { ask, assertCivil, fuzz, openFuzzFixture, sendable, text, wellFormed } from './fuzz.js'

/** The query of a front-channel logout. `$iss` and `$sid` stand for the right ones. */
interface Input {
  readonly fields: readonly Field[]
  readonly method: string
}

interface Field {
  readonly name: string
  readonly value: string
  readonly form: 'raw' | 'encoded' | 'form' | 'twice'
}

/** Some providers make names of sessions of any characters, and do not encode them. */
const SID = 'sid+1 "x&y=/é'

const watch = watchProcess()
const fixture = await openFuzzFixture({ provider: { sid: SID } })
const { site, provider } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const known = new Map([
  ['$iss', provider.issuer],
  ['$sid', SID],
])
const field: fc.Arbitrary<Field> = fc.record({
  name: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom('iss', 'sid') },
    { weight: 1, arbitrary: fc.constantFrom('sid[]', 'SID', 'iss[0]', '__proto__', 'logout_token', 'x') },
    { weight: 1, arbitrary: text },
  ),
  value: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('$sid', '$iss') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(`${provider.issuer}/`, 'sid', '*', SID.slice(1), `${SID} `, SID.split('&')[0] ?? ''),
    },
    { weight: 1, arbitrary: text },
  ),
  form: fc.constantFrom('raw', 'encoded', 'encoded', 'form', 'twice'),
})
const inputs: fc.Arbitrary<Input> = fc.record({
  fields: fc.array(field, { maxLength: 4 }),
  method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'POST', 'HEAD'),
})

const ways: Readonly<Record<Field['form'], (text: string) => string>> = {
  raw: value => value,
  encoded: encodeURIComponent,
  form: value => new URLSearchParams({ v: value }).toString().slice(2),
  twice: value => encodeURIComponent(encodeURIComponent(value)),
}

function queryOf(fields: readonly Field[]): string {
  const write = ({ name, value, form }: Field) => `${name}=${ways[form](wellFormed(known.get(value) ?? value))}`
  // What a browser makes of a URL that was not encoded.
  return wellFormed(fields.map(write).join('&')).replaceAll(/[^!-~]+/g, encodeURIComponent)
}

/** However a query is read, the name of the session has to be in it, and no other provider. Said once more and in other words. */
function mayEnd({ fields, method }: Input): boolean {
  const issuers = fields.filter(({ name }) => name === 'iss')
  const isOurs =
    issuers.length === 0 || (issuers.length === 1 && issuers[0]?.value === '$iss' && issuers[0].form !== 'twice')
  return method === 'GET' && isOurs && fields.some(({ name, value }) => name === 'sid' && value === '$sid')
}

let person = createAgent()

async function isSignedIn(): Promise<boolean> {
  const page = await person.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

async function act(input: Input): Promise<void> {
  if (!(await isSignedIn())) {
    person = createAgent()
    await person.visit(`${site.url}/claims`)
  }
  const asked = provider.requests.length
  const target = sendable(`/logout/frontchannel?${queryOf(input.fields)}`, 'target')
  const response = await ask(site.url, input.method, target, {
    'sec-fetch-dest': 'iframe',
    'sec-fetch-mode': 'navigate',
  })
  assertCivil(response, [])
  assert.deepEqual(response.setCookies, [])
  assert.equal(response.headers['cache-control'], 'no-store', `${response.status} ${target}`)
  assert.equal(provider.requests.length, asked, 'nothing is asked of the provider')
  if (!(await isSignedIn())) assert.ok(mayEnd(input), 'signed out by what does not name the session')
}

test('a front-channel logout ends the session it names, in whatever way that was written, and no other', async t => {
  for (const form of ['encoded', 'form', 'raw'] as const) {
    await act({
      method: 'GET',
      fields: [
        { name: 'iss', value: '$iss', form: 'encoded' },
        { name: 'sid', value: '$sid', form },
      ],
    })
    assert.equal(await isSignedIn(), false, form)
  }
  await fuzz(t, { name: 'front-channel-logout', inputs, runs: 400, act, fixtures: [fixture] })
})
