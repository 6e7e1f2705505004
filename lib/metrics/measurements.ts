import type { OidcEvent } from '../diagnostics/events.js'
import type { InstrumentName } from './instruments.js'

export type Labels = Readonly<Record<string, string>>

export interface Measurement {
  readonly instrument: InstrumentName
  /** Seconds of a histogram, how many of a counter. */
  readonly value: number
  readonly labels: Labels
}

/** What an event adds to the metrics. No label holds anything about a user. */
export function measurementsOf(event: OidcEvent): readonly Measurement[] {
  switch (event.type) {
    case 'sign-in-started':
      return [count('signInsStarted')]
    case 'sign-in-finished':
      return [
        count('signIns', { outcome: event.outcome, ...codeOf(event) }),
        seconds('signInDuration', event, { outcome: event.outcome }),
      ]
    case 'step':
      return [seconds('stepDuration', event, { step: event.key, result: resultOf(event) })]
    case 'provider-call':
      return [
        seconds('providerDuration', event, {
          method: event.method,
          endpoint: event.endpoint,
          status: event.status === undefined ? 'none' : String(event.status),
        }),
      ]
    case 'store-command':
      return [seconds('storeDuration', event, { command: event.command, result: resultOf(event) })]
    case 'store-trouble':
      return [count('storeErrors', { command: event.command })]
    case 'token-refresh':
      return [
        count('refreshes', { result: resultOf(event), ...codeOf(event) }),
        seconds('refreshDuration', event, { result: resultOf(event) }),
      ]
    case 'sign-out':
      return [
        count('signOuts', { reason: event.reason }),
        { instrument: 'sessionsEnded', value: event.sessions, labels: { reason: event.reason } },
      ]
    case 'kept-form':
      return [
        count('keptForms', { outcome: event.outcome, ...(event.reason !== undefined && { reason: event.reason }) }),
      ]
    default:
      return []
  }
}

function count(instrument: InstrumentName, labels: Labels = {}): Measurement {
  return { instrument, value: 1, labels }
}

function seconds(instrument: InstrumentName, { duration }: { readonly duration: number }, labels: Labels): Measurement {
  return { instrument, value: duration / 1000, labels }
}

function resultOf({ passed }: { readonly passed: boolean }): string {
  return passed ? 'passed' : 'failed'
}

/** Something that failed without a code of ours, such as a hook of the site, is counted as `other`. */
function codeOf({ passed, code }: { readonly passed: boolean; readonly code?: string }): Labels {
  return passed ? {} : { code: code ?? 'other' }
}
