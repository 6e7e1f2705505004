import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RequestContext } from '../../lib/http/request-context.js'
import type { ActiveTransaction } from '../../lib/http/transaction-state.js'
import { useResponse } from '../../lib/sign-in/response-use.js'
import type { ResponseUse } from '../../lib/store/used-responses.js'

/** Looks at a response as long as `turns` says that it is being worked on. */
async function look(turns: readonly ResponseUse['kind'][], provider: number) {
  let looks = 0
  const usedResponses = {
    async take() {
      const kind = turns[Math.min(looks, turns.length - 1)]
      looks += 1
      return { kind }
    },
  }
  const context = {
    services: { store: { usedResponses }, config: { timeouts: { provider } } },
  } as unknown as RequestContext
  const turn = await useResponse(context, { id: 'attempt' } as ActiveTransaction, 'answer')
  return { kind: turn.kind, looks }
}

test('a response that no request works on is decided at the first look', async () => {
  for (const kind of ['first', 'finished', 'unknown', 'other'] as const) {
    assert.deepEqual(await look([kind], 10_000), { kind, looks: 1 })
  }
})

test('a response that another request works on is looked at until that request has ended', async () => {
  assert.deepEqual(await look(['pending', 'pending', 'finished'], 10_000), { kind: 'finished', looks: 3 })
})

test('it is looked at for as long as the provider may take, to the millisecond, and no longer', async () => {
  // 25, 50 and 100 ms between the looks.
  for (const [timeout, looks] of [
    [0, 1],
    [1, 2],
    [25, 2],
    [26, 3],
    [175, 4],
  ] as const) {
    assert.deepEqual(await look(['pending'], timeout), { kind: 'pending', looks }, `${timeout}`)
  }
})
