import type { JwtEvent, OidcEvent, ProviderCall, RedactedFields } from '../diagnostics/events.js'
import { algorithmsOf } from '../diagnostics/values.js'

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
  const placed = events.map(event => beforeItsChecks(event, events)).flatMap(describe)
  const begin = Math.min(...placed.map(({ at }) => at))
  return placed.sort((a, b) => a.at - b.at).map(({ at, ...message }) => ({ ...message, time: at - begin }))
}

/** A signed response is told when its signature has been verified, and has arrived before that. */
function beforeItsChecks(event: OidcEvent, events: readonly OidcEvent[]): OidcEvent {
  if (event.type !== 'response-received') return event
  const verified = events.find(other => other.type === 'jwt' && other.token === 'authorization-response')
  return verified?.type === 'jwt' ? { ...event, at: verified.at - verified.duration } : event
}

function describe(event: OidcEvent): Placed[] {
  const { at } = event
  switch (event.type) {
    case 'sign-in-started': {
      const text = event.pushed ? '303 to the provider, request pushed' : '303 to the provider'
      return [
        { at: at - event.duration, from: 'Browser', to: 'Site', text: `GET ${event.path}` },
        { at, from: 'Site', to: 'Browser', text, fields: event.params },
        { at, from: 'Browser', to: 'Provider', text: `GET ${pathOf(event.endpoint)}`, isInferred: true },
      ]
    }
    case 'jwt': {
      const { duration, passed } = event
      return [{ at, from: 'Site', to: 'Site', text: describeJwt(event), duration, passed, fields: algorithmsOf(event) }]
    }
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
    case 'provider-call':
      return describeCall(event)
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

function describeCall(event: ProviderCall): Placed[] {
  const { at, method, endpoint, fields, duration, status, members, refusal, passed, code, dpop } = event
  const response = status === undefined ? (code ?? 'no response') : [status, refusal?.error].filter(Boolean).join(' ')
  const known = { ...(members && { members: members.join(' ') }), ...refusal }
  const proof = dpop === undefined ? '' : dpop.nonce ? ', DPoP with nonce' : ', DPoP'
  return [
    { at: at - duration, from: 'Site', to: 'Provider', text: `${method} ${pathOf(endpoint)}${proof}`, fields },
    { at, from: 'Provider', to: 'Site', text: response, duration, passed, fields: known },
  ]
}

const jwtNames: Readonly<Record<JwtEvent['token'], string>> = {
  'request-object': 'Request object',
  'authorization-response': 'Signed response',
  'id-token': 'ID Token',
  userinfo: 'Userinfo',
}

/** `Signed response: PS256, encrypted with ECDH-ES and A256GCM`. */
function describeJwt({ token, alg = 'not readable', encryption }: JwtEvent): string {
  const encrypted = encryption === undefined ? '' : `, encrypted with ${encryption.alg} and ${encryption.enc}`
  return `${jwtNames[token]}: ${alg}${encrypted}`
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
