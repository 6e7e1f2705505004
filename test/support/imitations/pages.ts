import type { EndpointResponse, RecordedRequest } from '../hostile-faults.js'
import type { ProviderSession } from './book.js'
import type { Setting } from './setting.js'

const COOKIE = 'idsrv'

export function sessionOf({ book }: Setting, { headers }: RecordedRequest): ProviderSession | undefined {
  const id = new RegExp(`(?:^|; )${COOKIE}=([^;]*)`).exec(headers.cookie ?? '')?.[1]
  return book.sessions.get(id ?? '')
}

/** SameSite=None, so that a sign-out by a form of the site comes with it. */
export function cookieOf(id: string, more = ''): Record<string, string> {
  return { 'set-cookie': `${COOKIE}=${id}; Path=/; HttpOnly; Secure; SameSite=None${more}` }
}

export const noCookie = (): Record<string, string> => cookieOf('', '; Max-Age=0')

export function redirectTo(location: string, headers: Record<string, string> = {}): EndpointResponse {
  return { status: 302, headers: { location, ...headers }, body: '' }
}

export function pageOf(body: string, status = 200, headers: Record<string, string> = {}): EndpointResponse {
  return {
    status,
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', ...headers },
    body: `<!doctype html><title>Provider</title>${body}`,
  }
}

/** A page of the provider on which a user gets stuck. The log says why, the page says little. */
export function errorPage({ log }: Setting, error: string, reason: string): EndpointResponse {
  log.push(reason)
  return pageOf(`<h1>Error</h1><p>${error}</p>`, 400)
}

export function loginPage(action: string): EndpointResponse {
  return pageOf(
    `<form method="post" action="${escapeHtml(action)}"><input name="username"><button>Sign in</button></form>`,
  )
}

export function consentPage(action: string, scope: readonly string[]): EndpointResponse {
  const boxes = scope.map(word => `<input type="checkbox" name="scope" value="${escapeHtml(word)}" checked>`)
  return pageOf(
    `<form method="post" action="${escapeHtml(action)}">${boxes.join('')}<button name="button" value="yes">Yes</button></form>`,
  )
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
