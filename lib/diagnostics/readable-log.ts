import { subscribe } from 'node:diagnostics_channel'
import { debuglog } from 'node:util'
import type { OidcEvent, ProviderCall, RedactedFields } from './events.js'
import { channelName } from './publish.js'
import { algorithmsOf } from './values.js'

const log = debuglog(channelName)

let isListening = false

/**
 * With `NODE_DEBUG=express-hybrid-oidc` in the environment every event becomes a line on standard error, once for the whole process.
 * Without it there is no subscriber, and no event is made.
 */
export function startReadableLog(): void {
  if (!log.enabled || isListening) return
  isListening = true
  subscribe(channelName, message => {
    // Node ends the process for what a subscriber throws.
    try {
      log('%s', formatEvent(message as OidcEvent))
    } catch {}
  })
}

/** One readable line. It holds no secret, because the event holds none. */
export function formatEvent(event: OidcEvent): string {
  const transaction = event.transaction === undefined ? '' : `[${event.transaction}] `
  const outcome = 'passed' in event ? formatOutcome(event) : ''
  return transaction + formatSubject(event) + outcome
}

function formatSubject(event: OidcEvent): string {
  switch (event.type) {
    case 'sign-in-started':
      return `${event.path} sends the browser to ${event.endpoint}${formatFields(event.params)}`
    case 'response-received':
      return `${event.method} ${event.path} receives a response${formatFields(event.fields)}`
    case 'step':
      return `step ${event.step}: ${event.name}`
    case 'sign-in-finished':
      return `sign-in finished: ${event.outcome}`
    case 'provider-call':
      return `${event.method} ${event.endpoint} ${event.status ?? 'no response'}${formatProof(event)}${formatFields(event.fields)}${formatFields({ ...event.refusal })}`
    case 'jwt':
      return `${event.token}${formatFields(algorithmsOf(event))}`
    case 'store-command':
      return `Redis ${event.command}`
    case 'store-trouble':
      return `Redis ${event.command}: ${event.reason}`
    case 'token-refresh':
      return 'tokens refreshed'
    case 'kept-form':
      return `form ${event.outcome}${event.reason === undefined ? '' : ` (${event.reason})`}`
    case 'sign-out':
      return `sign-out (${event.reason}): ${event.sessions} ended`
  }
}

/** `POST … 400 with a DPoP proof`. */
function formatProof({ dpop }: ProviderCall): string {
  if (dpop === undefined) return ''
  return dpop.nonce ? ' with a DPoP proof and nonce' : ' with a DPoP proof'
}

function formatFields(fields: RedactedFields): string {
  return Object.entries(fields)
    .map(([name, value]) => ` ${name}=${JSON.stringify(value)}`)
    .join('')
}

function formatOutcome(event: Extract<OidcEvent, { readonly passed: boolean }>): string {
  const took = `, ${event.duration.toFixed(1)} ms`
  if (event.passed) return took
  const { reason, details } = event.type === 'step' ? event : {}
  const words = [event.code, reason, details === undefined ? undefined : JSON.stringify(details)]
  return `${took}, FAILED ${words.filter(word => word !== undefined).join(': ')}`.trimEnd()
}
