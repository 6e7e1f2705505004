import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { OidcEvent } from '../diagnostics/events.js'
import { channelName } from '../diagnostics/publish.js'

/** All events of one sign-in attempt, in the order in which they finished. */
export interface SignInRecord {
  readonly transaction: string
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

/** What belongs to no attempt. */
const NO_SIGN_IN: ReadonlySet<OidcEvent['type']> = new Set(['token-refresh', 'sign-out', 'kept-form'])

/** A response that cannot be read belongs to no attempt. */
const unknownTransaction = 'unknown'

export function createRecorder(site: string): Recorder {
  const records = new Map<string, OidcEvent[]>()

  function listen(message: unknown): void {
    const event = message as OidcEvent
    if (event.site !== site || NO_SIGN_IN.has(event.type)) return
    const transaction = event.transaction ?? unknownTransaction
    if (transaction === unknownTransaction && isFinished(records.get(transaction))) records.delete(transaction)
    const events = records.get(transaction) ?? []
    // What comes after the end is a reload, and no part of the sign-in.
    if (events.length >= mostEvents || isFinished(events)) return
    events.push(event)
    records.set(transaction, events)
    const oldest = records.keys().next().value
    if (records.size > mostRecords && oldest !== undefined) records.delete(oldest)
  }

  function isFinished(events: readonly OidcEvent[] = []): boolean {
    return events.some(({ type }) => type === 'sign-in-finished')
  }

  subscribe(channelName, listen)
  return {
    records: () => [...records].map(([transaction, events]) => ({ transaction, events })).reverse(),
    stop: () => void unsubscribe(channelName, listen),
  }
}
