import type { IncomingMessage } from 'node:http'
import type { HttpRequest } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { contextOf } from '../http/request-state.js'
import type { SiteConfig } from '../options/config.js'
import type { SessionEndReason } from '../store/end-reason.js'
import type { RecordStore } from '../store/store.js'
import { describe, object, type RulesFor } from '../validation/object-rule.js'
import { rule } from '../validation/rules.js'
import { checkRawRequest } from './argument-rules.js'

/** What is known of the end of a session. */
export interface SessionEnded {
  /** Why it ended, where that is known: a removal by the site's own code, or one that was seen late, has no reason. */
  readonly reason: SessionEndReason | undefined
}

/** What is done when a session ends. */
export interface WatchOptions {
  /** Called once, when the session has ended. Close the socket here. Where it throws, or rejects, that is logged. */
  onEnd(ended: SessionEnded): void | Promise<void>
  /** Stops the watch when it is aborted. */
  readonly signal?: AbortSignal
}

const options = object({
  onEnd: describe(
    rule('a function', (value): value is WatchOptions['onEnd'] => typeof value === 'function'),
    { text: '', required: 'a function that closes the socket' },
  ),
  signal: rule('an AbortSignal', (value): value is AbortSignal => value instanceof AbortSignal),
} satisfies RulesFor<WatchOptions>)

const OF = 'oidc.watch'

/** @param config - of the instance that the watch belongs to */
export function createWatch(
  config: SiteConfig,
  store: RecordStore,
): (req: IncomingMessage, given: WatchOptions) => () => void {
  return function watch(req, given) {
    checkRawRequest(req, OF)
    const { onEnd, signal } = options.read(given, { of: OF, path: '' })
    const id = idOf(contextOf(req as HttpRequest, config))
    if (signal?.aborted) return () => {}
    let isOver = false
    let stopWatching = () => {}
    let forget = () => {}
    const stop = () => {
      isOver = true
      stopWatching()
      forget()
    }
    const end = (reason: SessionEndReason | undefined) => {
      if (isOver) return
      stop()
      call(onEnd, { reason }).catch(error => logFailure(config, error))
    }
    if (signal !== undefined) forget = onAbort(signal, stop)
    if (id === undefined) setImmediate(end, 'no-session')
    else stopWatching = store.watch(id, end)
    return stop
  }
}

/** What is to be stopped by a signal. One listener stops all of it: Node warns of more than ten. */
const stopsOf = new WeakMap<AbortSignal, Set<() => void>>()

/** @returns what takes it back */
function onAbort(signal: AbortSignal, stop: () => void): () => void {
  const stops = stopsOf.get(signal) ?? new Set()
  if (!stopsOf.has(signal)) {
    stopsOf.set(signal, stops)
    const stopAll = () => {
      for (const stop of stops) stop()
    }
    signal.addEventListener('abort', stopAll, { once: true })
  }
  stops.add(stop)
  return () => void stops.delete(stop)
}

/** The session that the request goes on with. */
function idOf(context: RequestContext): string | undefined {
  return context.ticket() === undefined ? undefined : context.signedIn().id
}

async function call(onEnd: WatchOptions['onEnd'], ended: SessionEnded): Promise<void> {
  await onEnd(ended)
}

function logFailure(config: SiteConfig, error: unknown): void {
  config.log(`onEnd of oidc.watch failed: ${error instanceof Error ? error.name : typeof error}`, { level: 'error' })
}
