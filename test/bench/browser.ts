import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** A response of the provider that is on its way back to the site. */
export interface Return {
  /** Sends it. Milliseconds until the site has answered. */
  send(): Promise<number>
  /** The Cookie header afterwards. */
  cookies(): string
}

const agent = new Agent({ keepAlive: true })

/** Goes to sign in at a site and comes back as far as the last redirect: what the callback is left to do is everything but that. */
export async function startSignIn(baseUrl: string): Promise<Return> {
  const jar = new Map<string, string>()
  const login = await travel(`${baseUrl}/login`, { jar })
  const authorization = new URL(String(login.headers.location))
  const { body } = await travel(authorization.href, {})
  const form = new URLSearchParams(Object.entries(JSON.parse(body) as Record<string, string>)).toString()
  const byPost = authorization.searchParams.get('response_mode') === 'form_post'
  return {
    async send() {
      const begin = performance.now()
      const response = byPost
        ? await travel(`${baseUrl}/callback`, { jar, form })
        : await travel(`${baseUrl}/callback?${form}`, { jar })
      const took = performance.now() - begin
      if (response.status < 300 || response.status > 399)
        throw new Error(`${response.status}: ${response.body.slice(0, 500)}`)
      return took
    },
    cookies: () => headerOf(jar),
  }
}

/** A whole sign-in, with something in the session where the site has one. -> Cookie header */
export async function signIn(baseUrl: string): Promise<string> {
  const back = await startSignIn(baseUrl)
  await back.send()
  const jar = parseHeader(back.cookies())
  const page = await travel(`${baseUrl}/page`, { jar })
  if (!page.body.includes('@example.com'))
    throw new Error(`no user is signed in: ${page.status} ${page.body.slice(0, 500)}`)
  await travel(`${baseUrl}/fill`, { jar })
  return headerOf(jar)
}

export async function get(url: string, cookie: string): Promise<void> {
  const { status } = await travel(url, { jar: parseHeader(cookie) })
  if (status !== 200) throw new Error(`${status} from ${url}`)
}

function parseHeader(cookie: string): Map<string, string> {
  return new Map(
    cookie
      .split('; ')
      .filter(Boolean)
      .map(pair => split(pair)),
  )
}

function split(pair: string): [string, string] {
  const at = pair.indexOf('=')
  return [pair.slice(0, at), pair.slice(at + 1)]
}

function headerOf(jar: ReadonlyMap<string, string>): string {
  return [...jar].map(pair => pair.join('=')).join('; ')
}

interface Journey {
  readonly jar?: Map<string, string>
  readonly form?: string
}

function travel(url: string, { jar = new Map(), form }: Journey): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const cookie = headerOf(jar)
    const headers = {
      ...(cookie && { cookie }),
      ...(form !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    const sent = request(url, { agent, method: form === undefined ? 'GET' : 'POST', headers }, async response => {
      for (const line of response.headers['set-cookie'] ?? []) {
        const [name, value] = split(line.split(';', 1)[0] ?? '')
        if (value === '' || /Max-Age=0|Expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name)
        else jar.set(name, value)
      }
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: await text(response) })
    })
    sent.on('error', reject).end(form)
  })
}
