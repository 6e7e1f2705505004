import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { assertCivil, fuzz, neededBytes, openFuzzScene, text } from './fuzz.js'

/** A posted answer. In names and values, `$state`, `$code` and the like stand for those of a sign-in that is under way. */
interface Input {
  readonly type: string
  /** Fields, or the body as it is. */
  readonly body: readonly (readonly [string, string])[] | string
  readonly hasCookie: boolean
}

const watch = watchProcess()
const scene = await openFuzzScene()
after(async () => {
  await scene.close()
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
  const { site } = scene
  const agent = createAgent()
  const page = await agent.open(`${site.url}/login?returnTo=/claims`)
  const real = new Map(page.forms[0]?.fields.map(([name, value]) => [`$${name}`, value]))
  const fields =
    typeof body === 'string' ? body : body.map(([name, value]) => [name, real.get(value) ?? value] as const)
  const sender = hasCookie ? agent : createAgent()
  const answer = await sender.post(`${site.url}/callback`, fields, {
    from: `${scene.provider.issuer}/authorize`,
    redirect: 'manual',
    headers: { 'content-type': type },
  })
  assertCivil(answer, [])
  const isSignedIn = answer.hops[0]?.setCookies.some(cookie => cookie.startsWith('sid=')) ?? false
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

test('whatever is posted to the callback is answered in a civil way, and signs in only what is genuine', async t => {
  await act({ type: form, body: genuine, hasCookie: true })
  const before = neededBytes()
  await fuzz(t, { name: 'callback-body', inputs, runs: 250, act })
  scene.checkErrors()
  const grown = (neededBytes() - before) / 1e6
  t.diagnostic(`heap: ${grown.toFixed(1)} MB more`)
})
