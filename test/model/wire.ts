import type { RequestContext } from '../support/cookie-jar.js'
import type { Gate } from './provider.js'
import { baseUrl } from './site.js'

const provider = 'https://provider.example/'
const fromSite = `${baseUrl}/page`

export const typed: RequestContext = { method: 'GET', isTopLevel: true, initiator: undefined }
export const ownForm: RequestContext = { method: 'POST', isTopLevel: true, initiator: fromSite }
export const crossSiteForm: RequestContext = { method: 'POST', isTopLevel: true, initiator: provider }
export const scriptContext: RequestContext = { method: 'GET', isTopLevel: false, initiator: fromSite }
export const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }

export const isSessionCookie = (name: string) => name === 'sid'
export const isBindingCookie = (name: string) => /^(__Host-)?oidc\.(?!logout)/.test(name)

/** The value of a cookie in `Set-Cookie` lines or in the parts of `Cookie`. `undefined` also where it is removed. */
export function cookieIn(lines: readonly string[], isMeant: (name: string) => boolean): string | undefined {
  for (const line of lines) {
    const [pair = ''] = line.split(';')
    const at = pair.indexOf('=')
    if (at > 0 && isMeant(pair.slice(0, at)) && pair.length > at + 1) return pair.slice(at + 1)
  }
  return undefined
}

export function subjectOf(idToken: string): string {
  const [, payload = ''] = idToken.split('.')
  return (JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sub: string }).sub
}

/** The site has asked for tokens and waits for them, or, `true`, it has answered without asking. */
export async function reachedOrDone(gate: Gate, pending: Promise<unknown>): Promise<boolean> {
  const isDone = await Promise.race([gate.reached, pending.then(() => true)])
  if (isDone) gate.open()
  return isDone === true
}

/** Times are compared in milliseconds: no two requests share one. */
export async function nextMillisecond(): Promise<void> {
  const now = Date.now()
  while (Date.now() === now) await new Promise(resolve => setImmediate(resolve))
}
