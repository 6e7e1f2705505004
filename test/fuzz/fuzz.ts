import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import type { TestContext } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { OidcError } from '../../lib/index.js'
import { scale } from '../faults/scale.js'
import type { Page } from '../support/agent.js'
import { type Fixture, type FixtureOptions, openFixture } from '../support/handler-fixture.js'
import type { RawResponse } from '../support/http-client.js'

/**
 * A fuzz target: first every input that once found something, or that has to succeed, is replayed from `corpus/<name>.json`; then
 * inputs are made at random from a fixed seed.
 */
export interface Target<T> {
  readonly name: string
  readonly inputs: fc.Arbitrary<T>
  /** In `npm test`; the long run makes more. */
  readonly runs: number
  readonly act: (input: T) => Promise<unknown> | unknown
  /** What the inputs are thrown at: no error of it may be foreign, and the process must not grow. */
  readonly fixtures?: readonly FuzzFixture[]
}

/**
 * Bytes a target may leave on the heap, at all and per input, which is what the provider and the search for secrets remember of a sign-in.
 * A request that were kept would be more than that.
 */
const ALLOWED_GROWTH = { atAll: 10e6, perInput: 15e3 }

const seed = 20_260_817

export async function fuzz<T>(t: TestContext, { name, inputs, runs, act, fixtures = [] }: Target<T>): Promise<void> {
  const corpus = JSON.parse(readFileSync(new URL(`./corpus/${name}.json`, import.meta.url), 'utf8')) as T[]
  for (const input of corpus) await act(input)
  const before = neededBytes()
  const property = fc.asyncProperty(inputs, async input => void (await act(input)))
  await fc.assert(property, { seed, numRuns: runs * scale, endOnFailure: scale > 1, includeErrorInReport: true })
  for (const fixture of fixtures) await fixture.checkErrorsAndForget()
  const grown = neededBytes() - before
  const megabytes = `${(grown / 1e6).toFixed(1)} MB`
  t.diagnostic(`${name}: ${corpus.length} known and ${runs * scale} new inputs, heap ${megabytes} more`)
  const { atAll, perInput } = ALLOWED_GROWTH
  if (fixtures.length > 0) assert.ok(grown < atAll + perInput * runs * scale, `the heap grew by ${megabytes}`)
}

export interface FuzzFixture extends Fixture {
  /** Nothing but our own errors came up. Then takes away what sessions there are, and what the test itself wrote down of every request. */
  checkErrorsAndForget(): Promise<void>
}

/** Opens a fixture for a whole file. */
export async function openFuzzFixture(options: FixtureOptions = {}): Promise<FuzzFixture> {
  const fixture = await openFixture({
    ...options,
    provider: { alg: 'ES256', ...options.provider },
    oidc: { idTokenAlgorithm: 'ES256', ...options.oidc },
  })
  return {
    ...fixture,
    async checkErrorsAndForget() {
      const { site, provider } = fixture
      const foreign = site.errors.filter(error => !(error instanceof OidcError))
      assert.deepEqual(foreign, [], 'errors that are not ours')
      await site.oidc.sessions.revoke({ sub: 'alice-0001' })
      for (const list of [site.errors, site.log, provider.requests, provider.problems]) (list as unknown[]).length = 0
    },
  }
}

/** What any request may be answered with: what worked, where to go, what was wrong with it, or that something is away. */
export function assertCivil(
  { status, text }: Pick<Page, 'status' | 'text'>,
  deliberate: readonly number[] = [503],
): void {
  assert.ok((status >= 200 && status < 500) || deliberate.includes(status), `status ${status}: ${text.slice(0, 300)}`)
}

/** Bytes on the heap that are still needed. */
function neededBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  collect()
  return process.memoryUsage().heapUsed
}

/** Strings that have been trouble somewhere. */
export const naughty = fc.constantFrom(
  ...[
    '',
    ' ',
    '\0',
    '\t',
    '\r\nSet-Cookie: a=b',
    '%00',
    '%',
    '%zz',
    '%c0%ae',
    '%0d%0aX: y',
    '\u2028',
    '\uFEFF',
    '\ud800',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    '[object Object]',
    'undefined',
    'null',
    'NaN',
    '-1',
    '1e309',
  ],
  ...[
    '<script>alert(1)</script>',
    '"><img src=x>',
    "'",
    '#{7*7}',
    '{{7*7}}',
    '../../etc/passwd',
    '//evil.example',
    '/\\evil.example',
  ],
  ...['javascript:alert(1)', 'x'.repeat(5000), 'a&b=c', 'a;b', 'ａ', '🙂', 'é', '{"a":1}', '[1]', '0', 'true'],
)

export const text = fc.oneof(naughty, fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 60 }))

/** JSON of any kind, with names and values that matter. */
export function json(names: readonly string[]): fc.Arbitrary<unknown> {
  const leaf = fc.oneof(
    text,
    fc.constantFrom(null, true, false, 0, -1, 1e300, 0.5, 2 ** 53, {}, []),
    fc.integer(),
    fc.double(),
  )
  const name = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...names, '__proto__', 'constructor') },
    { weight: 1, arbitrary: text },
  )
  return fc.letrec(tie => ({
    value: fc.oneof(
      { maxDepth: 3 },
      leaf,
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(name, tie('value'), { maxKeys: 5 }),
    ),
  })).value
}

/** Without the halves of characters that cannot be encoded. */
export function wellFormed(input: string): string {
  return Buffer.from(input).toString()
}

/** The bytes of a text as Node wants them for a header or a request target, without those it refuses to send. */
export function sendable(input: string, place: 'header' | 'target'): string {
  const from = place === 'header' ? 0x20 : 0x21
  return [...Buffer.from(input)]
    .filter(byte => (byte >= from && byte !== 0x7f) || (place === 'header' && byte === 9))
    .map(byte => String.fromCharCode(byte))
    .join('')
}

/** One request with a target that no URL parser has tidied up. */
export function ask(
  origin: string,
  method: string,
  target: string,
  headers: Readonly<Record<string, string>>,
): Promise<RawResponse> {
  const { port, host } = new URL(origin)
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: '127.0.0.1',
      port,
      method,
      path: target,
      headers: { host, ...headers },
      agent: false,
    })
    outgoing.on('error', reject)
    outgoing.on('response', async response => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      const { statusCode: status = 0, headers: received } = response
      resolve({
        status,
        headers: received,
        setCookies: received['set-cookie'] ?? [],
        text: Buffer.concat(chunks).toString(),
      })
    })
    outgoing.end()
  })
}
