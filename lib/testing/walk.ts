import { readFormPost } from './authorization.js'
import type { Send, SiteAnswer } from './tested-site.js'

export interface WalkOptions {
  readonly issuer: string
  /** The route that redirects to the provider. */
  readonly path: string
  readonly cookie?: string
  /** Called with the `state` of the authorization request before the provider gets it. */
  readonly arrives: (state: string) => void
}

/** Redirects within the site before it redirects to the provider: a guard to `/login`, a start page in a language. */
const mostDetours = 5

/** The response of the site to the provider's response, and the `Cookie` header of the browser after it. */
export interface WalkEnd {
  readonly answer: SiteAnswer
  readonly cookie: string
}

/** A whole sign-in, as a browser walks through it, up to the response of the callback. */
export async function walkThroughSignIn(send: Send, options: WalkOptions): Promise<WalkEnd> {
  const { issuer, path, arrives } = options
  const cookies = new Map<string, string>()
  keepCookies(cookies, options.cookie?.split('; ') ?? [])

  async function visit(address: string, form?: string): Promise<SiteAnswer> {
    const answer = await send(address, { cookie: headerOf(cookies), ...(form !== undefined && { form }) })
    keepCookies(cookies, answer.headers['set-cookie'] ?? [])
    return answer
  }

  /** An application that a test did not mount where `baseUrl` says knows its routes without the path above them. */
  async function follow(address: string, form?: string): Promise<SiteAnswer> {
    const answer = await visit(address, form)
    if (answer.status !== 404) return answer
    for (let below = withoutFirst(address); below !== undefined; below = withoutFirst(below)) {
      const found = await visit(below, form)
      if (found.status !== 404) return found
    }
    return answer
  }

  async function leave(): Promise<URL> {
    for (let detours = 0, address = path; detours <= mostDetours; detours += 1) {
      const answer = await (detours === 0 ? visit : follow)(address)
      const location = answer.headers.location
      if (location === undefined)
        throw refused(`the site did not send the browser to the provider${adviceFor(answer)}`, answer)
      if (location.startsWith(`${issuer}/`)) return new URL(location)
      address = pathOf(new URL(location, `http://site.invalid${address}`))
    }
    throw new Error(`${path} leads nowhere: the site sent the browser from page to page`)
  }

  const request = await leave()
  arrives(request.searchParams.get('state') ?? '')
  const { address, form } = await askProvider(request)
  const end = await follow(pathOf(new URL(address)), form)
  return { answer: end, cookie: headerOf(cookies) }
}

/** @throws {Error} where the site did not accept the sign-in */
export function cookieOfSignIn({ answer, cookie }: WalkEnd): string {
  if (answer.headers.location === undefined) throw refused('the site did not accept the sign-in', answer)
  return cookie
}

/** What the provider makes the browser do: post a form, or follow a redirect. */
async function askProvider(request: URL): Promise<{ readonly address: string; readonly form?: string }> {
  const answer = await fetch(request, { redirect: 'manual' })
  const location = answer.headers.get('location')
  if (location !== null) return { address: location }
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`the fake provider refused the site's request: ${text}`)
  const { action, body } = readFormPost(text)
  return { address: action, form: body }
}

/** Where the middleware is mounted is not known here. */
function adviceFor({ status }: SiteAnswer): string {
  return status === 404
    ? '; if it is mounted below a path, name a page of it: signIn(app, user, { path: "/shop/login" })'
    : ''
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
function refused(what: string, { status, text }: SiteAnswer): Error {
  return new Error(`${what}: it answered ${status} ${text.replace(/\s+/g, ' ').slice(0, 300)}`)
}
