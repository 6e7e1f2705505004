import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { OidcError } from '../../lib/errors.js'
import { createKeepWarm } from '../../lib/provider/keep-warm.js'
import { rejected } from './support.js'

/** Work under a clock that stands still until it is told to go on. */
function setUp(t: TestContext, isUp: boolean, random = () => 1) {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const state = { attempts: 0, isUp }
  const keepWarm = createKeepWarm(async () => {
    state.attempts += 1
    if (!state.isUp) throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'down')
  }, random)
  async function pass(milliseconds: number): Promise<void> {
    t.mock.timers.tick(milliseconds)
    await new Promise(setImmediate)
  }
  return { keepWarm, state, pass }
}

test('what fails is said to the one who asked, and tried again with growing pauses of at most 30 s', async t => {
  const { keepWarm, state, pass } = setUp(t, false)
  await rejected(keepWarm.start(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  for (const [index, pause] of [1, 2, 4, 8, 16, 30, 30].entries()) {
    await pass(pause * 1000 - 1)
    assert.equal(state.attempts, index + 1)
    await pass(1)
    assert.equal(state.attempts, index + 2)
  }
})

test('what succeeded is done again every minute, and a failure after it is tried again soon', async t => {
  const { keepWarm, state, pass } = setUp(t, false)
  await rejected(keepWarm.start(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  state.isUp = true
  await pass(1000)
  assert.equal(state.attempts, 2)
  await pass(59_999)
  assert.equal(state.attempts, 2)
  state.isUp = false
  await pass(1)
  assert.equal(state.attempts, 3)
  await pass(1000)
  assert.equal(state.attempts, 4)
})

test('every pause is one of chance, so that processes that failed together do not ask together', async t => {
  const chances = [0, 0.5, 0.25, 1]
  const { keepWarm, state, pass } = setUp(t, false, () => chances.shift() ?? 0)
  await rejected(keepWarm.start(), 'ERR_OIDC_PROVIDER_UNAVAILABLE')
  for (const [index, pause] of [100, 1100, 1300, 8000].entries()) {
    await pass(pause - 1)
    assert.equal(state.attempts, index + 1, `after ${pause} ms`)
    await pass(1)
    assert.equal(state.attempts, index + 2, `after ${pause} ms`)
  }
})

test('two who ask at the same time share one attempt, and asking again leaves one timer', async t => {
  const { keepWarm, state, pass } = setUp(t, true)
  await Promise.all([keepWarm.start(), keepWarm.start()])
  assert.equal(state.attempts, 1)
  await pass(30_000)
  await keepWarm.start()
  assert.equal(state.attempts, 2)
  await pass(59_999)
  assert.equal(state.attempts, 2)
  await pass(1)
  assert.equal(state.attempts, 3)
})

test('nothing is tried any more after the end, also where an attempt was under way', async t => {
  const { keepWarm, state, pass } = setUp(t, true)
  await keepWarm.start()
  keepWarm.stop()
  await pass(600_000)
  assert.equal(state.attempts, 1)
  const started = keepWarm.start()
  keepWarm.stop()
  await started
  await pass(600_000)
  assert.equal(state.attempts, 2)
})

test('the timer does not keep the process alive', async () => {
  const timers = () => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
  const before = timers()
  const keepWarm = createKeepWarm(async () => {})
  await keepWarm.start()
  assert.equal(timers(), before)
  keepWarm.stop()
})
