import { readFormPost } from './authorization.js'
import type { Send, SiteResponse } from './tested-site.js'

export interface WalkOptions {
  readonly issuer: string
  /** The route that redirects to the provider. */
  readonly path: string
  readonly cookie?: string
  /** Called with the `state` of the authorization request before the provider gets it. */
  readonly onRequest: (state: string) => void
}

/** Redirects within the site before it redirects to the provider: a guard to `/login`, a start page in a language. */
const mostDetours = 5

/** The response of the site to the provider's response, and the `Cookie` header of the browser after it. */
export interface WalkEnd {
  readonly response: SiteResponse
  readonly cookie: string
}

/** A whole sign-in, as a browser walks through it, up to the response of the callback. */
export async function walkThroughSignIn(send: Send, options: WalkOptions): Promise<WalkEnd> {
  const { issuer, path, onRequest } = options
  const cookies = new Map<string, string>()
  keepCookies(cookies, options.cookie?.split('; ') ?? [])

  async function load(address: string, form?: string): Promise<SiteResponse> {
    const response = await send(address, { cookie: headerOf(cookies), ...(form !== undefined && { form }) })
    keepCookies(cookies, response.headers['set-cookie'] ?? [])
    return response
  }

  /** An application that a test did not mount where `baseUrl` says knows its routes without the path above them. */
  async function follow(address: string, form?: string): Promise<SiteResponse> {
    const response = await load(address, form)
    if (response.status !== 404) return response
    for (let below = withoutFirst(address); below !== undefined; below = withoutFirst(below)) {
      const found = await load(below, form)
      if (found.status !== 404) return found
    }
    return response
  }

  async function leave(): Promise<URL> {
    for (let detours = 0, address = path; detours <= mostDetours; detours += 1) {
      const response = await (detours === 0 ? load : follow)(address)
      const location = response.headers.location
      if (location === undefined)
        throw refused(`the site did not send the browser to the provider${adviceFor(response)}`, response)
      if (location.startsWith(`${issuer}/`)) return new URL(location)
      address = pathOf(new URL(location, `http://site.invalid${address}`))
    }
    throw new Error(`${path} does not lead to the provider: the site redirected the browser again and again`)
  }

  const request = await leave()
  onRequest(request.searchParams.get('state') ?? '')
  const { address, form } = await askProvider(request)
  const end = await follow(pathOf(new URL(address)), form)
  return { response: end, cookie: headerOf(cookies) }
}

/** @throws {Error} where the site did not accept the sign-in */
export function cookieOfSignIn({ response, cookie }: WalkEnd): string {
  if (response.headers.location === undefined) throw refused('the site did not accept the sign-in', response)
  return cookie
}

/** What the provider makes the browser do: post a form, or follow a redirect. */
async function askProvider(request: URL): Promise<{ readonly address: string; readonly form?: string }> {
  const response = await fetch(request, { redirect: 'manual' })
  const location = response.headers.get('location')
  if (location !== null) return { address: location }
  const text = await response.text()
  if (response.status !== 200) throw new Error(`the fake provider refused the site's request: ${text}`)
  const { action, body } = readFormPost(text)
  return { address: action, form: body }
}

/** Where the middleware is mounted, and at which hosts, is not known here. */
function adviceFor({ status }: SiteResponse): string {
  if (status === 404)
    return '; if it is mounted below a path, name a page of it: signIn(app, user, { path: "/shop/login" })'
  return status === 421 ? '; name one of its hosts: signIn(app, user, { host: "www.example.com" })' : ''
}

/** The path without its first part, with the query; `undefined` where it has one part only. */
function withoutFirst(address: string): string | undefined {
  return /^\/[^/?]+(\/[^/?].*)$/s.exec(address)?.[1]
}

function pathOf({ pathname, search }: URL): string {
  return pathname + search
}

function headerOf(cookies: ReadonlyMap<string, string>): string {
  return [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
}

/** Cookies as name and value: there is one site only, and nothing takes so long that one would run out. */
function keepCookies(cookies: Map<string, string>, lines: readonly string[]): void {
  for (const line of lines) {
    const [pair = '', ...attributes] = line.split(';')
    const [name = '', value = ''] = [pair.slice(0, pair.indexOf('=')).trim(), pair.slice(pair.indexOf('=') + 1).trim()]
    const isGone = attributes.some(attribute => /^\s*(?:max-age=0|expires=thu, 01 jan 1970)/i.test(attribute))
    if (isGone) cookies.delete(name)
    else if (name !== '') cookies.set(name, value)
  }
}

/** The text of the site, cut: a page may be long. */
function refused(what: string, { status, text }: SiteResponse): Error {
  return new Error(`${what}: it responded with ${status} ${text.replace(/\s+/g, ' ').slice(0, 300)}`)
}
