import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OidcError } from '../../lib/errors.js'
import { createCached } from '../../lib/provider/cached.js'
import { createClock, rejected } from './support.js'

/** A source that counts, and that answers each load when and how the test says. */
function createSource() {
  const loads: { succeed(value: string): void; fail(): void }[] = []
  return {
    loads,
    load: () =>
      new Promise<string>((resolve, reject) => {
        const fail = () => reject(new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', `failure ${loads.length}`))
        loads.push({ succeed: resolve, fail })
      }),
  }
}

function setUp() {
  const source = createSource()
  const clock = createClock()
  const life = { refreshAfter: 100, maxAge: 1000, staleLimit: 10_000 }
  return { ...source, clock, cached: createCached({ ...life, load: source.load, now: clock.now, random: () => 1 }) }
}

/** The same, with a value that has just been loaded. */
async function setUpLoaded() {
  const setting = setUp()
  const first = setting.cached.get()
  setting.loads[0]?.succeed('one')
  assert.equal(await first, 'one')
  return setting
}

test('callers that come while the first load is under way share it', async () => {
  const { cached, loads } = setUp()
  const callers = [cached.get(), cached.get(), cached.reload(), cached.get()]
  assert.equal(cached.peek(), undefined)
  assert.equal(cached.isLoading(), true)
  loads[0]?.succeed('one')
  assert.deepEqual(await Promise.all(callers), ['one', 'one', 'one', 'one'])
  assert.equal(loads.length, 1)
  assert.equal(cached.peek(), 'one')
  assert.equal(cached.isLoading(), false)
})

test('a load that throws at once does not block the next', async () => {
  let calls = 0
  const load = (): Promise<string> => {
    calls += 1
    if (calls === 1) throw new OidcError('ERR_OIDC_METADATA', 'at once')
    return Promise.resolve('one')
  }
  const cached = createCached({ load, now: createClock().now, refreshAfter: 1, maxAge: 2 })
  await rejected(cached.reload(), 'ERR_OIDC_METADATA')
  assert.equal(await cached.reload(), 'one')
})

test('a young value is read without any load', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(99)
  assert.equal(await cached.get(), 'one')
  assert.equal(loads.length, 1)
})

test('an aged value is read at once, and reloaded in the background', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(100)
  assert.equal(await cached.get(), 'one')
  assert.equal(await cached.get(), 'one')
  assert.equal(loads.length, 2)
  loads[1]?.succeed('two')
  await cached.reload()
  assert.equal(await cached.get(), 'two')
  assert.equal(loads.length, 2)
})

test('a value past its maximum age is reloaded before it is read', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(1000)
  const reading = cached.get()
  loads[1]?.succeed('two')
  assert.equal(await reading, 'two')
})

test('a value past its maximum age is still used where the reload fails', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(9999)
  const reading = cached.get()
  loads[1]?.fail()
  assert.equal(await reading, 'one')
  assert.equal(await cached.get(), 'one')
  assert.equal(loads.length, 2)
})

test('a value past the limit for stale ones is not good any more', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(10_000)
  const reading = cached.get()
  loads[1]?.fail()
  await rejected(reading, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
})

test('failed reloads are tried again after 1, 2, 4 … seconds, and at most 30', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(100)
  for (const [index, wait] of [1, 2, 4, 8, 16, 30, 30].entries()) {
    assert.equal(await cached.get(), 'one')
    assert.equal(loads.length, index + 2)
    loads[index + 1]?.fail()
    await cached.reload().catch(() => undefined)
    clock.advance(wait - 0.001)
    assert.equal(await cached.get(), 'one')
    assert.equal(loads.length, index + 2)
    clock.advance(0.001)
  }
})

test('a reload in the background that fails does not reach the caller', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(100)
  assert.equal(await cached.get(), 'one')
  loads[1]?.fail()
  await new Promise(setImmediate)
  assert.equal(cached.isLoading(), false)
  assert.equal(cached.peek(), 'one')
})

test('a success ends the waiting after failures', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(100)
  await cached.get()
  loads[1]?.fail()
  await cached.reload().catch(() => undefined)
  const reloading = cached.reload()
  loads[2]?.succeed('two')
  await reloading
  assert.deepEqual(cached.status(), {})
  clock.advance(100)
  await cached.get()
  assert.equal(loads.length, 4)
})

test('without any value a failure is returned for one second, and then the load is tried again', async () => {
  const { cached, loads, clock } = setUp()
  const first = cached.get()
  loads[0]?.fail()
  const error = await rejected(first, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  clock.advance(0.999)
  assert.equal(await rejected(cached.get(), 'ERR_OIDC_PROVIDER_UNAVAILABLE'), error)
  assert.equal(loads.length, 1)
  clock.advance(0.001)
  const second = cached.get()
  loads[1]?.succeed('one')
  assert.equal(await second, 'one')
})

test('a caller that comes during the second try waits for it and not for the last failure', async () => {
  const { cached, loads } = setUp()
  const first = cached.get()
  loads[0]?.fail()
  await rejected(first, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  const callers = [cached.reload(), cached.get()]
  loads[1]?.succeed('one')
  assert.deepEqual(await Promise.all(callers), ['one', 'one'])
})

test('a clock that was set back makes nothing young for longer, neither a value nor a pause after a failure', async () => {
  const { cached, loads, clock } = await setUpLoaded()
  clock.advance(60)
  await cached.get()
  clock.advance(-5000)
  assert.equal(await cached.get(), 'one')
  assert.equal(loads.length, 1)
  clock.advance(40)
  assert.equal(await cached.get(), 'one')
  assert.equal(loads.length, 2)
  loads[1]?.fail()
  await cached.reload().catch(() => undefined)
  clock.advance(-5000)
  await cached.get()
  assert.equal(loads.length, 2)
  clock.advance(1)
  await cached.get()
  assert.equal(loads.length, 3)
})

test('generations tell a value that was asked for before from one asked for after', async () => {
  const { cached, loads } = setUp()
  assert.deepEqual(cached.generation(), { held: 0, started: 0 })
  const first = cached.get()
  assert.deepEqual(cached.generation(), { held: 0, started: 1 })
  loads[0]?.succeed('one')
  await first
  assert.deepEqual(cached.generation(), { held: 1, started: 1 })
})

test('the status is that of the last attempt', async () => {
  const { cached, loads } = await setUpLoaded()
  const reloading = cached.reload()
  loads[1]?.fail()
  const error = await rejected(reloading, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  assert.deepEqual(cached.status(), { error })
})
