import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { ask, assertCivil, fuzz, openFuzzFixture, sendable, text, wellFormed } from './fuzz.js'

/** A posted answer. In names and values, `$state`, `$code` and the like stand for those of a sign-in that is under way. */
interface Input {
  readonly type: string
  /** Fields, or the body as it is. */
  readonly body: readonly (readonly [string, string])[] | string
  readonly hasCookie: boolean
}

const watch = watchProcess()
const fixture = await openFuzzFixture()
after(async () => {
  await fixture.close()
  watch.check()
})

const names = [
  'state',
  'code',
  'id_token',
  'access_token',
  'token_type',
  'expires_in',
  'iss',
  'session_state',
  'error',
  'scope',
]
const genuine = names.slice(0, 7).map(name => [name, `$${name}`] as const)
const form = 'application/x-www-form-urlencoded'

const field = fc.tuple(
  fc.oneof(fc.constantFrom(...names, ...names.map(name => `${name}[]`), '__proto__', 'state[a]', 'State'), text),
  fc.oneof(fc.constantFrom(...names.map(name => `$${name}`)), text),
)
/** The genuine answer with one to three things done to it. */
const altered = fc
  .array(fc.tuple(fc.constantFrom('drop', 'change', 'add', 'double', 'swap'), fc.nat(20), field), {
    minLength: 1,
    maxLength: 3,
  })
  .map(changes => {
    let fields: readonly (readonly [string, string])[] = genuine
    for (const change of changes) fields = alter(fields, change)
    return fields
  })

type Change = readonly [what: string, at: number, field: readonly [string, string]]

function alter(fields: readonly (readonly [string, string])[], [what, at, [name, value]]: Change) {
  const index = at % Math.max(1, fields.length)
  const chosen = fields[index] ?? (['state', '$state'] as const)
  if (what === 'add' || fields.length === 0) return [...fields, [name, value] as const]
  if (what === 'double') return [...fields, chosen]
  const changed = [...fields]
  if (what === 'drop') changed.splice(index, 1)
  else changed[index] = what === 'change' ? [chosen[0], value] : [name, chosen[1]]
  return changed
}

const inputs: fc.Arbitrary<Input> = fc.record({
  type: fc.oneof(
    { weight: 8, arbitrary: fc.constant(form) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '',
        'application/json',
        'multipart/form-data; boundary=x',
        `${form};charset=utf-16`,
        'text/plain',
        '\u00ff',
      ),
    },
  ),
  body: fc.oneof(
    { weight: 6, arbitrary: altered },
    { weight: 2, arbitrary: fc.array(field, { maxLength: 80 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 400 }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        '&',
        '=',
        '&&&&=&=',
        '%',
        'a'.repeat(200_000),
        '&'.repeat(100_000),
        'a[]'.repeat(9999),
        '{}',
      ),
    },
  ),
  hasCookie: fc.boolean(),
})

async function act({ type, body, hasCookie }: Input): Promise<void> {
  const { site } = fixture
  const agent = createAgent()
  const page = await agent.open(`${site.url}/login?returnTo=/claims`)
  const real = new Map(page.forms[0]?.fields.map(([name, value]) => [`$${name}`, value]))
  const fields =
    typeof body === 'string' ? body : body.map(([name, value]) => [name, real.get(value) ?? value] as const)
  const sender = hasCookie ? agent : createAgent()
  const response = await sender.post(`${site.url}/callback`, fields, {
    from: `${fixture.provider.issuer}/authorize`,
    redirect: 'manual',
    headers: { 'content-type': type },
  })
  assertCivil(response, [])
  const isSignedIn = response.hops[0]?.setCookies.some(cookie => cookie.startsWith('sid=')) ?? false
  if (!isSignedIn) return
  assert.ok(
    hasCookie && type.startsWith(form) && typeof fields !== 'string',
    'only a form, from the browser it began in',
  )
  for (const [name, value] of genuine) {
    const given = fields.filter(([other]) => other === name).map(([, text]) => text)
    const isOptional = name === 'iss' || name === 'expires_in'
    const isRight = (text: string | undefined) =>
      text === real.get(value) || (name === 'token_type' && text?.toLowerCase() === 'bearer') || name === 'expires_in'
    assert.ok(
      given.length === 1 ? isRight(given[0]) : isOptional && given.length === 0,
      `signed in with another ${name}`,
    )
  }
}

test('no body posted to the callback causes an unexpected server error, and only a genuine response signs a user in', async t => {
  await act({ type: form, body: genuine, hasCookie: true })
  await fuzz(t, { name: 'callback-body', inputs, runs: 250, act, fixtures: [fixture] })
})

/** The same by `query`: the address the provider sends the browser to, with one to three things done to it. */
interface AddressInput {
  readonly fields: readonly (readonly [string, string])[]
  readonly form: 'encoded' | 'raw' | 'twice'
  readonly method: string
  readonly hasCookie: boolean
}

const inAddress = ['state', 'code', 'iss'] as const

test('no URL of the callback causes an unexpected server error, and only a genuine response signs a user in', async t => {
  const byQuery = await openFuzzFixture({ oidc: { responseType: 'code', responseMode: 'query' } })
  const act = async ({ fields, form: way, method, hasCookie }: AddressInput) => {
    const { site, provider } = byQuery
    const agent = createAgent()
    const left = await agent.open(`${site.url}/login?returnTo=/claims`, { redirect: 'manual' })
    const answered = await agent.open(left.hops[0]?.location ?? '', { redirect: 'manual' })
    const real = new Map(
      [...new URL(answered.hops[0]?.location ?? '').searchParams].map(([name, value]) => [`$${name}`, value]),
    )
    const given = fields.map(([name, value]) => [wellFormed(name), wellFormed(real.get(value) ?? value)] as const)
    const encode = {
      encoded: encodeURIComponent,
      raw: (value: string) => value,
      twice: (value: string) => encodeURIComponent(encodeURIComponent(value)),
    }[way]
    const query = given.map(([name, value]) => `${encode(name)}=${encode(value)}`).join('&')
    const target = sendable(`/callback?${query}`, 'target')
    const cookie = agent
      .cookies(site.url)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
    const headers = { accept: 'text/html', referer: provider.issuer, ...(hasCookie && { cookie }) }
    const response = await ask(site.url, method, target, headers)
    assertCivil(response, [])
    if (!response.setCookies.some(text => text.startsWith('sid='))) return
    assert.ok(hasCookie && method === 'GET', 'only by GET, in the browser it began in')
    const read = new URLSearchParams(target.slice(target.indexOf('?')))
    for (const name of inAddress)
      assert.deepEqual(read.getAll(name), [real.get(`$${name}`)], `signed in with another ${name}`)
  }
  const whole = inAddress.map(name => [name, `$${name}`] as const)
  const changes = fc.array(fc.tuple(fc.constantFrom('drop', 'change', 'add', 'double', 'swap'), fc.nat(20), field), {
    maxLength: 3,
  })
  const addressInputs = fc.record({
    fields: fc.oneof(
      { weight: 4, arbitrary: changes.map(list => list.reduce<readonly (readonly [string, string])[]>(alter, whole)) },
      { weight: 1, arbitrary: fc.array(field, { maxLength: 20 }) },
    ),
    form: fc.constantFrom('encoded', 'encoded', 'raw', 'twice'),
    method: fc.constantFrom('GET', 'GET', 'GET', 'GET', 'HEAD', 'POST', 'PUT'),
    hasCookie: fc.constantFrom(true, true, true, false),
  }) as fc.Arbitrary<AddressInput>
  try {
    await fuzz(t, { name: 'callback-address', inputs: addressInputs, runs: 250, act, fixtures: [byQuery] })
  } finally {
    await byQuery.close()
  }
})
