import { setTimeout as sleep } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import type { RequestContext } from '../http/request-context.js'
import { transactionLifetime } from '../http/transaction-cookie.js'
import type { ActiveTransaction } from '../http/transaction-state.js'
import type { CheckedAuthorizationResponse } from '../protocol/authorization-response.js'
import type { ResponseUse } from '../store/used-responses.js'

/** Milliseconds between two checks of a response that another request is processing; the last one is repeated. */
const WAITS = [25, 50, 100, 200, 400]

/** Milliseconds after which it is not waited for any longer. */
const LONGEST_WAIT = 10_000

/** What identifies a response: the values that the provider issues once. */
export function fingerprintedOf({ code = '', id_token: idToken = '' }: CheckedAuthorizationResponse): string {
  return `${code}\n${idToken}`
}

/**
 * Reserves a response for this request, or returns what happened to the earlier one. A browser posts again by itself when the connection breaks
 * before the response is there, so a repeated response waits until the first one has been processed.
 */
export async function useResponse(
  context: RequestContext,
  { id }: ActiveTransaction,
  response: string,
): Promise<ResponseUse> {
  const { store, config } = context.services
  const bound = Math.min(LONGEST_WAIT, config.timeouts.provider)
  let waited = 0
  for (let round = 0; ; round += 1) {
    const turn = await store.usedResponses.take(id, response, transactionLifetime)
    if (turn.kind !== 'pending' || waited >= bound) return turn
    const wait = WAITS[Math.min(round, WAITS.length - 1)] ?? LONGEST_WAIT
    await sleep(wait)
    waited += wait
  }
}

/**
 * After a failure: a response that was refused leaves the attempt open and nothing in the store; one whose progress is not known is
 * not used again.
 */
export async function releaseResponse(
  context: RequestContext,
  { id }: ActiveTransaction,
  response: string,
  error: unknown,
): Promise<void> {
  const { usedResponses: used } = context.services.store
  const isUnknown = error instanceof OidcError && error.status >= 500
  const marked = isUnknown ? used.leave(id, response, transactionLifetime) : used.release(id)
  // The mark that is there expires by itself.
  await marked.catch(() => {})
}
