import { type CookieJar, createCookieJar, type StoredCookie } from './cookie-jar.js'
import { type Initiator, type Page, travel } from './journey.js'

export type { Hop, Page } from './journey.js'

export type FormFields =
  | Readonly<Record<string, string>>
  | readonly (readonly [string, string])[]
  | URLSearchParams
  | string

export interface RequestOptions {
  /** Replace what a browser would send, or leave a header out with `undefined`. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** URL of the page that causes the request; `null` for a URL that the user typed. Default: the page shown. */
  readonly from?: string | null
  /** Default `follow`, also where a page leads on by itself. */
  readonly redirect?: 'follow' | 'manual'
  readonly signal?: AbortSignal
}

export interface FetchOptions extends RequestOptions {
  readonly method?: string
  readonly body?: string
  /** Default `same-origin`, as in a browser. */
  readonly credentials?: 'same-origin' | 'include' | 'omit'
}

/** A tab of a browser that runs no scripts, except that {@link Agent.visit} submits forms that submit themselves. It follows a page that leads on. */
export interface Agent {
  readonly jar: CookieJar
  /** What the tab shows. */
  readonly page: Page | undefined
  /** The user types a URL. */
  open(url: string, options?: RequestOptions): Promise<Page>
  /** The user follows a link on the page shown (or on `from`). */
  click(url: string, options?: RequestOptions): Promise<Page>
  /** Like {@link open}, and goes on as long as the page submits a form by itself. */
  visit(url: string, options?: RequestOptions): Promise<Page>
  /** A form of the page shown (or of `from`) is sent. A string is sent as the body it is. */
  post(url: string, form: FormFields, options?: RequestOptions): Promise<Page>
  /** Sends the first form of the page shown, with these fields set. */
  submitForm(fields?: Readonly<Record<string, string>>, options?: RequestOptions): Promise<Page>
  /** A script on the page shown calls `fetch()`. Without a page: a script of the same origin. */
  fetch(url: string, options?: FetchOptions): Promise<Page>
  /** The page shown (or `from`) loads a frame. */
  frame(url: string, options?: RequestOptions): Promise<Page>
  cookies(url: string): readonly StoredCookie[]
  /** Another tab of the same browser. */
  tab(): Agent
}

export interface AgentOptions {
  readonly jar?: CookieJar
  /** Milliseconds, for the expiry of cookies. */
  readonly now?: () => number
}

const MOST_FORMS = 10
const FORM = 'application/x-www-form-urlencoded'
const COMMON = {
  'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36',
  'accept-language': 'en-US,en;q=0.9',
}
const NAVIGATION = {
  ...COMMON,
  accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
  'upgrade-insecure-requests': '1',
  'sec-fetch-mode': 'navigate',
}

export function createAgent(options: AgentOptions = {}): Agent {
  return createTab(options.jar ?? createCookieJar(options.now))
}

function createTab(jar: CookieJar): Agent {
  let shown: Page | undefined

  function initiatorFor({ from }: RequestOptions): Initiator | undefined {
    if (from === null || (from === undefined && !shown)) return undefined
    if (from !== undefined) return { url: from }
    return { url: shown?.url ?? '', referrerPolicy: shown?.headers['referrer-policy']?.toString() }
  }

  async function navigate(
    journey: { url: string; method: string; body?: string },
    options: RequestOptions,
    byPerson: boolean,
  ) {
    const defaults = { ...NAVIGATION, 'sec-fetch-dest': 'document', ...(byPerson && { 'sec-fetch-user': '?1' }) }
    const common = {
      isTopLevel: true,
      sendsCookies: () => true,
      redirect: options.redirect ?? 'follow',
      signal: options.signal,
    } as const
    let page = await travel(jar, {
      ...journey,
      ...common,
      initiator: initiatorFor(options),
      headers: { ...defaults, ...options.headers },
    })
    for (let count = 0; page.leadsTo !== undefined && common.redirect === 'follow'; count += 1) {
      if (count === MOST_FORMS) throw new Error(`More than ${MOST_FORMS} pages that lead on, last ${page.url}`)
      const { leadsTo: url, hops } = page
      const initiator = { url: page.url, referrerPolicy: page.headers['referrer-policy']?.toString() }
      const headers = { ...NAVIGATION, 'sec-fetch-dest': 'document' }
      const next = await travel(jar, { ...common, url, method: 'GET', initiator, headers })
      page = { ...next, hops: [...hops, ...next.hops] }
    }
    shown = page
    return shown
  }

  const agent: Agent = {
    jar,
    get page() {
      return shown
    },
    open: (url, options = {}) => navigate({ url, method: 'GET' }, { from: null, ...options }, true),
    click: (url, options = {}) => navigate({ url, method: 'GET' }, options, true),
    async visit(url, options = {}) {
      let page = await agent.open(url, options)
      for (let count = 0; page.forms[0]?.isAutomatic; count += 1) {
        if (count === MOST_FORMS)
          throw new Error(`More than ${MOST_FORMS} pages that submit themselves, last ${page.url}`)
        page = await agent.submitForm()
      }
      return page
    },
    post(url, form, options = {}) {
      const headers = { 'content-type': FORM, ...options.headers }
      return navigate({ url, method: 'POST', body: encodeForm(form) }, { ...options, headers }, false)
    },
    submitForm(fields = {}, options = {}) {
      const form = shown?.forms[0]
      if (!form) throw new Error(`There is no form on ${shown?.url ?? 'an empty tab'}: ${shown?.text.slice(0, 300)}`)
      const kept = form.fields.filter(([name]) => !(name in fields))
      const all = [...kept, ...Object.entries(fields)]
      if (form.method === 'POST') return agent.post(form.action, all, options)
      const target = new URL(form.action)
      target.search = encodeForm(all)
      return navigate({ url: target.href, method: 'GET' }, options, false)
    },
    fetch: (url, options = {}) => fetchFrom(jar, initiatorFor(options) ?? { url }, url, options),
    frame: (url, options = {}) =>
      travel(jar, {
        url,
        method: 'GET',
        initiator: initiatorFor(options),
        isTopLevel: false,
        sendsCookies: () => true,
        headers: { ...NAVIGATION, 'sec-fetch-dest': 'iframe', ...options.headers },
        redirect: options.redirect ?? 'follow',
        signal: options.signal,
      }),
    cookies: url => jar.list(url),
    tab: () => createTab(jar),
  }
  return agent
}

function fetchFrom(jar: CookieJar, initiator: Initiator, url: string, options: FetchOptions): Promise<Page> {
  const { credentials = 'same-origin', method = 'GET', body } = options
  const { origin } = new URL(initiator.url)
  const headers = { ...COMMON, accept: '*/*', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
  const contentType = body === undefined ? {} : { 'content-type': 'text/plain;charset=UTF-8' }
  return travel(jar, {
    url,
    method: method.toUpperCase(),
    ...(body !== undefined && { body }),
    initiator,
    isTopLevel: false,
    sendsCookies: target => credentials !== 'omit' && (credentials === 'include' || new URL(target).origin === origin),
    headers: { ...headers, ...contentType, ...options.headers },
    redirect: options.redirect ?? 'follow',
    signal: options.signal,
  })
}

function encodeForm(form: FormFields): string {
  if (typeof form === 'string') return form
  if (form instanceof URLSearchParams) return form.toString()
  const entries = Array.isArray(form) ? (form as [string, string][]) : Object.entries(form as Record<string, string>)
  return new URLSearchParams(entries).toString()
}
