import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { channel } from 'node:diagnostics_channel'
import { OidcError } from '../errors.js'
import { monotonic, monotonicDate } from '../time.js'
import type { OidcEvent } from './events.js'
import { type SignInStepKey, signInSteps } from './steps.js'

/** Name of the diagnostics channel. Part of the public contract. */
export const channelName = 'express-hybrid-oidc'

/**
 * Subscribers of this channel get every event; nothing is sent elsewhere. Without a subscriber, an event costs one
 * look at `hasSubscribers`.
 */
const events = channel(channelName)

/** The callback, or the start of an attempt, that is under way, for whatever happens on its behalf. */
interface Callback {
  readonly site: string
  transaction?: string
  hasSession?: boolean
  /** Why a sign-in that the user has not asked for ended without one. */
  endedQuietly?: OidcError['code']
}

const callbacks = new AsyncLocalStorage<Callback>()

type Unplaced<T> = T extends OidcEvent
  ? Omit<T, 'at' | 'site' | 'transaction'> & Partial<Pick<T, 'site' | 'transaction'>>
  : never

/** Publishes an event that is made only if there is a subscriber. One that cannot be made is left out: what it tells of goes on. */
export function publish(make: () => Unplaced<OidcEvent>): void {
  if (!events.hasSubscribers) return
  const { site, transaction } = callbacks.getStore() ?? {}
  let event: Unplaced<OidcEvent>
  try {
    event = make()
  } catch {
    return
  }
  events.publish({
    at: monotonicDate(),
    ...(site !== undefined && { site }),
    ...(transaction !== undefined && { transaction }),
    ...event,
  })
}

/** The name of a sign-in attempt in events: not the `state`, and no way back to it. */
export function transactionNameOf(state: string): string {
  return createHash('sha256').update(`attempt ${state}`).digest('base64url').slice(0, 12)
}

/** Says to which attempt everything belongs that happens from now on in this callback. */
export function identifyTransaction(state: string): void {
  const callback = callbacks.getStore()
  if (callback !== undefined) callback.transaction = transactionNameOf(state)
}

/** Does what a new attempt needs before the browser leaves, so that all of it is published with the attempt. */
export function observeStart<T>(site: string, state: string, work: () => T): T {
  if (!events.hasSubscribers) return work()
  return callbacks.run({ site, transaction: transactionNameOf(state) }, work)
}

/** Says that this callback, of a sign-in that the user has not asked for, leads to the page without a user. */
export function endQuietly(code: OidcError['code']): void {
  const callback = callbacks.getStore()
  if (callback !== undefined) callback.endedQuietly = code
}

export interface Timing {
  readonly duration: number
  readonly passed: boolean
  readonly code?: OidcError['code']
}

/** Does the work and, if there is a subscriber, publishes the result. */
export function observe<T>(
  work: () => T,
  describe: (timing: Timing, error: unknown, result?: Awaited<T>) => Unplaced<OidcEvent>,
): T {
  if (!events.hasSubscribers) return work()
  const begin = monotonic()
  const pass = (result: Awaited<T>) =>
    publish(() => describe({ duration: monotonic() - begin, passed: true }, undefined, result))
  const fail = (error: unknown) => {
    const code = error instanceof OidcError ? { code: error.code } : {}
    publish(() => describe({ duration: monotonic() - begin, passed: false, ...code }, error))
  }
  try {
    const result = work()
    if (!(result instanceof Promise)) {
      pass(result as Awaited<T>)
      return result
    }
    // The caller waits for this one, so that the event is out when it goes on.
    return result.then(
      value => {
        pass(value)
        return value
      },
      error => {
        fail(error)
        throw error
      },
    ) as T
  } catch (error) {
    fail(error)
    throw error
  }
}

/** One step of a callback. */
export function step<T>(key: SignInStepKey, work: () => T): T {
  return observe(work, (timing, error) => {
    const [number, name, section] = signInSteps[key]
    const callback = callbacks.getStore()
    if (key === 'session' && timing.passed && callback !== undefined) callback.hasSession = true
    const why = error instanceof OidcError ? { reason: error.message, ...detailsOf(error) } : {}
    return { type: 'step', step: number, key, name, section, ...timing, ...why }
  })
}

/** What this package wrote down itself; an error of others could say anything. */
function detailsOf({ cause }: OidcError): { readonly details?: unknown } {
  return cause === undefined || cause instanceof Error ? {} : { details: cause }
}

/** A whole callback. Everything that happens within it is published with its attempt. */
export function observeCallback<T>(site: string, work: () => Promise<T>): Promise<T> {
  if (!events.hasSubscribers) return work()
  const callback: Callback = { site }
  return callbacks.run(callback, () =>
    observe(work, timing => {
      const { hasSession, endedQuietly: code } = callback
      if (code !== undefined) return { type: 'sign-in-finished', ...timing, outcome: 'signed-out', code }
      const outcome = timing.passed ? (hasSession ? 'signed-in' : 'repeated') : 'failed'
      return { type: 'sign-in-finished', outcome, ...timing }
    }),
  )
}
