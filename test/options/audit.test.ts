import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createAudit } from '../../lib/options/audit.js'
import type { Hooks } from '../../lib/options/hooks.js'

const entry = {
  type: 'sign-in',
  issuer: 'https://issuer.example',
  sub: 'alice',
  session: '#x',
  replaces: [],
} as const

const thenable = (descriptor: PropertyDescriptor) => Object.defineProperty({}, 'then', descriptor)

function setUp(audit: unknown, now = () => new Date(1_700_000_000_000)) {
  const lines: string[] = []
  const hooks = { audit } as Hooks
  return { lines, tell: createAudit(hooks, { now, log: line => void lines.push(line) }) }
}

test('without the hook there is nothing to tell', () => {
  assert.equal(setUp(undefined).tell, undefined)
})

test('the hook is called with the hooks as `this`, the time of the site and the request', () => {
  const calls: unknown[] = []
  const { tell, lines } = setUp(function (this: unknown, ...given: unknown[]) {
    calls.push(this, ...given)
  })
  const req = {} as never
  tell?.(entry, req)
  const [hooks, given, request] = calls
  assert.ok(hooks !== null && typeof hooks === 'object' && 'audit' in hooks)
  assert.deepEqual([given, request], [{ at: 1_700_000_000_000, ...entry }, req])
  assert.deepEqual(lines, [])
})

test('whatever fails is a line in the log, and ten thousand failures are a few lines', async () => {
  const failing: readonly (() => unknown)[] = [
    () => {
      throw 'text'
    },
    () => Promise.reject(new RangeError('a secret')),
    // Promises of other libraries.
    () => thenable({ value: (_: unknown, reject: (error: unknown) => void) => reject(new RangeError('a secret')) }),
    () =>
      thenable({
        get() {
          throw new RangeError('a secret')
        },
      }),
  ]
  for (const audit of failing) {
    const { tell, lines } = setUp(audit)
    for (let count = 0; count < 10_000; count += 1) tell?.(entry)
    await turn()
    assert.ok(lines.some(line => /^the hook audit failed: (RangeError|string)$/.test(line)))
    assert.ok(lines.length < 10, String(lines.length))
    assert.ok(!lines.join().includes('secret'))
  }
})

test('a clock of the site that fails is a failure of the hook', () => {
  const { tell, lines } = setUp(
    () => {},
    () => {
      throw new TypeError('no time')
    },
  )
  tell?.(entry)
  assert.deepEqual(lines, ['the hook audit failed: TypeError'])
})

test('a thousand entries that the hook has not finished are a line, once', async () => {
  let finish: (() => void)[] = []
  const { tell, lines } = setUp(() => new Promise<void>(resolve => finish.push(resolve)))
  for (let count = 0; count < 999; count += 1) tell?.(entry)
  for (const done of finish) done()
  await turn()
  finish = []
  for (let count = 0; count < 1500; count += 1) tell?.(entry)
  assert.deepEqual(lines, ['the hook audit has not finished 1000 entries'])
})
