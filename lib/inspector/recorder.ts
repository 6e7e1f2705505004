import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { OidcEvent } from '../diagnostics/events.js'
import { channelName } from '../diagnostics/publish.js'

/** All events of one sign-in attempt, in the order in which they finished. */
export interface SignInRecord {
  readonly attempt: string
  readonly events: readonly OidcEvent[]
}

/** The last sign-ins at one site, in this process. */
export interface Recorder {
  /** Newest first. */
  records(): readonly SignInRecord[]
  stop(): void
}

const mostRecords = 10
const mostEvents = 200

/** A response that cannot be read belongs to no attempt. */
const unknownAttempt = 'unknown'

export function createRecorder(site: string): Recorder {
  const records = new Map<string, OidcEvent[]>()

  function listen(message: unknown): void {
    const event = message as OidcEvent
    if (event.site !== site || event.type === 'token-refresh' || event.type === 'sign-out') return
    const attempt = event.attempt ?? unknownAttempt
    if (attempt === unknownAttempt && event.type === 'step') records.delete(attempt)
    const events = records.get(attempt) ?? []
    // What comes after the end is a reload, and no part of the sign-in.
    if (events.length >= mostEvents || events.some(({ type }) => type === 'sign-in-finished')) return
    events.push(event)
    records.set(attempt, events)
    const oldest = records.keys().next().value
    if (records.size > mostRecords && oldest !== undefined) records.delete(oldest)
  }

  subscribe(channelName, listen)
  return {
    records: () => [...records].map(([attempt, events]) => ({ attempt, events })).reverse(),
    stop: () => void unsubscribe(channelName, listen),
  }
}
