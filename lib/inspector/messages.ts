import type { OidcEvent, RedactedFields } from '../diagnostics/events.js'

/** Who takes part, from left to right. */
export const lanes = ['Browser', 'Site', 'Provider', 'Redis'] as const

export type Lane = (typeof lanes)[number]

/** One line of the diagram: a message from one to another, or a check of the site, which goes from the site to itself. */
export interface Message {
  /** Milliseconds since the beginning. */
  readonly time: number
  readonly from: Lane
  readonly to: Lane
  readonly text: string
  /** Milliseconds. */
  readonly duration?: number
  readonly passed?: boolean
  readonly fields?: RedactedFields
  /** The site did not see it itself. */
  readonly isInferred?: boolean
}

type Placed = Omit<Message, 'time'> & { readonly at: number }

/** The messages of one sign-in, in the order of time. */
export function listMessages(events: readonly OidcEvent[]): Message[] {
  const placed = events.flatMap(describe)
  const begin = Math.min(...placed.map(({ at }) => at))
  return placed.sort((a, b) => a.at - b.at).map(({ at, ...message }) => ({ ...message, time: at - begin }))
}

function describe(event: OidcEvent): Placed[] {
  const { at } = event
  switch (event.type) {
    case 'sign-in-started':
      return [
        { at, from: 'Browser', to: 'Site', text: `GET ${event.path}` },
        { at, from: 'Site', to: 'Browser', text: '303 to the provider', fields: event.params },
        { at, from: 'Browser', to: 'Provider', text: `GET ${pathOf(event.endpoint)}`, isInferred: true },
      ]
    case 'response-received': {
      const text = event.method === 'POST' ? 'a page that posts a form' : 'a redirect'
      return [
        { at, from: 'Provider', to: 'Browser', text, isInferred: true },
        { at, from: 'Browser', to: 'Site', text: `${event.method} ${event.path}`, fields: event.fields },
      ]
    }
    case 'step': {
      const { step, name, duration, passed } = event
      return [{ at, from: 'Site', to: 'Site', text: `${step} ${name}`, duration, passed }]
    }
    case 'provider-call': {
      const { method, endpoint, fields, duration, status, members, passed, code } = event
      const response = status === undefined ? (code ?? 'no response') : String(status)
      const known = members && { members: members.join(' ') }
      return [
        { at: at - duration, from: 'Site', to: 'Provider', text: `${method} ${pathOf(endpoint)}`, fields },
        { at, from: 'Provider', to: 'Site', text: response, duration, passed, ...(known && { fields: known }) },
      ]
    }
    case 'store-command': {
      const { command, duration, passed } = event
      return [{ at: at - duration, from: 'Site', to: 'Redis', text: command, duration, passed }]
    }
    case 'sign-in-finished': {
      const { outcome, duration, passed, code } = event
      const text = outcome === 'failed' ? 'an error' : '303 to the page'
      return [{ at, from: 'Site', to: 'Browser', text, duration, passed, ...(code && { fields: { code } }) }]
    }
    default:
      return []
  }
}

function pathOf(address: string): string {
  return URL.canParse(address) ? new URL(address).pathname : address
}

/** How long after the beginning: always in milliseconds, because two that follow one another have to be told apart. */
export function formatTime(milliseconds: number): string {
  return `+${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`
}

/** `0.4 ms`, `21 ms`, `3.2 s`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`
}
