import type { ResponseMode } from './wire.js'

/** Whether the provider's page posts the response, rather than sending the browser back by a redirect. */
export function isPosted(mode: ResponseMode): boolean {
  return mode.startsWith('form_post')
}

/** Whether the response is a signed JWT (JARM). */
export function isSigned(mode: ResponseMode): boolean {
  return mode.endsWith('.jwt')
}
