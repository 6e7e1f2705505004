import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CookieJar, createCookieJar, type RequestContext } from '../support/cookie-jar.js'
import { History, type ModelAttempt, type ModelBinding, type ModelResponse, type ModelSession } from './history.js'
import { type PlainRequest, type PlainResponse, send } from './in-process.js'
import {
  type Account,
  type AuthorizationRequest,
  authorizationEndpoint,
  endSessionEndpoint,
  type Gate,
} from './provider.js'
import { decide, type Outcome, type Rule, rules } from './rules.js'
import { baseUrl, type ModelSite, type Seen } from './site.js'
import {
  cookieIn,
  crossSiteForm,
  isBindingCookie,
  isSessionCookie,
  navigation,
  nextMillisecond,
  ownForm,
  reachedOrDone,
  scriptContext,
  subjectOf,
  typed,
} from './wire.js'

/** What a request is about: it says what its response does to the binding. */
type Purpose = 'page' | 'callback' | 'sign-out'

/** A request whose response has not come yet. */
export interface Flight {
  readonly kind: 'callback' | 'sign-out' | 'refresh' | 'script'
  /** Lets the site go on, and gives what it has answered. */
  readonly land: () => Promise<Received>
  readonly authorizationResponse?: ModelResponse
}

interface Received {
  readonly response: PlainResponse
  readonly context: RequestContext
}

export interface Tab {
  screen: 'blank' | 'page' | 'password' | 'response' | 'error'
  request?: AuthorizationRequest
  authorizationResponse?: ModelResponse
  flight?: Flight
}

/** Milliseconds to which the clock is exact that orders a sign-out and the start of a sign-in. In doubt the sign-out wins. */
const CLOCK_ERROR = 10

const noSession: ModelSession = { user: '', isAlive: false, replaces: [] }

/** A browser with three tabs in front of a real middleware, and a provider. Whatever it sees is checked against the rules. */
export class Browser {
  readonly history = new History()
  readonly tabs: readonly Tab[] = [{ screen: 'blank' }, { screen: 'blank' }, { screen: 'blank' }]
  account: Account | undefined
  /** When this user last asked to be signed out, on the clock of the history. */
  signedOutAt = 0
  /** The authorization response that the site has made the latest session of. */
  used: ModelResponse | undefined
  /** Names of the rules that have decided. */
  readonly decided = new Set<string>()
  /** The authorization response to which the site has responded last. */
  arrived: ModelResponse | undefined
  readonly #site: ModelSite
  readonly #rules: readonly Rule[]
  readonly #jar: CookieJar = createCookieJar()
  #accounts = 0
  #typedAt = 0
  readonly #kept = new Set<string>()
  #cookiesOfClick: Readonly<Record<string, string>> = {}

  constructor(site: ModelSite, table: readonly Rule[] = rules) {
    this.#site = site
    this.#rules = table
  }

  tab(index: number): Tab {
    return this.tabs[index] as Tab
  }

  /** Who is signed in, and whose data is in the session, for a request that leaves nothing behind. */
  look(): Promise<Seen> {
    return this.#lookWith(this.#header('GET', '/who', scriptContext))
  }

  async #lookWith(headers: Readonly<Record<string, string>>): Promise<Seen> {
    const { text } = await send(this.#site.app, { method: 'GET', path: '/who', headers })
    return JSON.parse(text) as Seen
  }

  /** Who is signed in by any of the cookies that this browser ever had. */
  async lookEverywhere(): Promise<readonly Seen[]> {
    return Promise.all([...this.#kept].map(value => this.#lookWith({ cookie: `sid=${value}` })))
  }

  /** Who is signed in by the cookies that the browser has, as far as the history tells. */
  expected(): string | null {
    const session = this.#session()
    return session?.isAlive ? session.user : null
  }

  // What the user does

  async open(tab: Tab, path: '/page' | '/login'): Promise<void> {
    const received = await this.#get(path, typed)
    assert.ok(received.response.status < 400, `a page is refused: ${received.response.text}`)
    await this.#show(tab, received)
  }

  /** Two tabs that are restored at once: each request is sent without the cookies that the other one brings. */
  async openBoth(tabs: readonly [Tab, Tab]): Promise<void> {
    const before = this.#header('GET', '/page', typed)
    const first = await this.#request({ method: 'GET', path: '/page', headers: before }, typed, 'page')
    const second = await this.#request({ method: 'GET', path: '/page', headers: before }, typed, 'page')
    await this.#show(tabs[0], first)
    await this.#show(tabs[1], second)
  }

  async type(tab: Tab, user: string): Promise<void> {
    this.#accounts += 1
    this.account = { user, sid: `${user}-${this.#accounts}` }
    this.#typedAt = this.history.tick()
    await this.#issue(tab)
  }

  async post(tab: Tab, hold: boolean): Promise<void> {
    const response = tab.authorizationResponse as ModelResponse
    tab.flight = await this.#startCallback(response, hold)
  }

  async signOut(tab: Tab, { local, clicks }: { local: boolean; clicks: 1 | 2 }): Promise<void> {
    const before = this.expected()
    await this.sendSignOut(tab, local)
    if (clicks === 2) {
      // The browser forgets the first request, and whatever it answers.
      await tab.flight?.land()
      await this.sendSignOut(tab, local, { again: true })
    }
    await this.arrive(tab)
    if (local || before === null) return
    assert.notEqual(
      this.account?.user,
      before,
      'the user who asked to be signed out is still signed in at the provider',
    )
  }

  async sendSignOut(tab: Tab, local: boolean, { again = false } = {}): Promise<void> {
    const path = local ? '/logout?local=1' : '/logout'
    if (!again) this.#cookiesOfClick = this.#header('POST', path, ownForm)
    const headers = { ...this.#cookiesOfClick, origin: baseUrl, 'sec-fetch-site': 'same-origin' }
    const session = this.#session()
    const binding = this.#binding(headers)
    const received = await this.#request({ method: 'POST', path, headers, body: '' }, ownForm, 'sign-out')
    for (const name of binding === undefined ? [] : [binding.generation, binding.browser])
      this.history.signOuts.set(name, this.history.now)
    assert.ok(received.response.status < 400, `a sign-out is never refused: ${received.response.text}`)
    if (session !== undefined) session.isAlive = false
    this.signedOutAt = this.history.now
    await sleep(CLOCK_ERROR)
    for (const session of this.history.sessions.values()) session.isAlive = false
    for (const { user } of await this.lookEverywhere()) assert.equal(user, null, 'a session outlives the sign-out')
    tab.flight = { kind: 'sign-out', land: async () => received }
  }

  /** A script of a page whose access token has expired. The provider refuses the refresh. */
  async refresh(tab: Tab): Promise<void> {
    const session = this.#session()
    const gate = this.#site.provider.holdNext()
    const headers = this.#header('GET', '/token', scriptContext)
    const pending = this.#request({ method: 'GET', path: '/token', headers }, scriptContext, 'page')
    await reachedOrDone(gate, pending)
    tab.flight = {
      kind: 'refresh',
      land: async () => {
        gate.open()
        const received = await pending
        if (session !== undefined) session.isAlive = false
        return received
      },
    }
  }

  /** A script that writes to the session, for any signed-in user. */
  async write(tab: Tab): Promise<void> {
    const received = await this.#request(
      { method: 'POST', path: '/cart', headers: this.#header('POST', '/cart', scriptContext), body: '' },
      scriptContext,
      'page',
    )
    tab.flight = { kind: 'script', land: async () => received }
  }

  /** What the site has answered comes to the browser. */
  async arrive(tab: Tab): Promise<void> {
    const { flight } = tab
    if (flight === undefined) return
    delete tab.flight
    const received = await flight.land()
    this.arrived = flight.authorizationResponse
    if (flight.kind === 'script' || flight.kind === 'refresh') this.#keepCookies(received)
    else await this.#show(tab, received)
  }

  /** What the site has answered is lost on the wire. */
  async lose(tab: Tab): Promise<void> {
    const { flight } = tab
    delete tab.flight
    await flight?.land()
  }

  forget(): void {
    this.#jar.clear()
    this.#kept.clear()
    // With the cookies goes what says that the user has signed out: what began before may begin anew, at the provider.
    this.signedOutAt = 0
  }

  async endAtProvider(user: string): Promise<void> {
    if (this.account?.user === user) this.account = undefined
    const body = new URLSearchParams({ logout_token: await this.#site.provider.logoutToken(user) }).toString()
    const { status, text } = await send(this.#site.app, {
      method: 'POST',
      path: '/logout/backchannel',
      headers: {},
      body,
    })
    assert.equal(status, 200, text)
    this.history.endedByProvider.set(user, this.history.tick())
    for (const session of this.history.sessions.values()) if (session.user === user) session.isAlive = false
    await sleep(CLOCK_ERROR)
  }

  // The provider's response

  async #startCallback(authorizationResponse: ModelResponse, hold: boolean): Promise<Flight> {
    const { history } = this
    const attempt = history.attempts.get(authorizationResponse.state) as ModelAttempt
    const headers = this.#header('POST', '/callback', crossSiteForm)
    const binding = this.#binding(headers)
    history.tick()
    const facts = () => history.factsOf(authorizationResponse, attempt, binding)
    const before = facts()
    const sent = { method: 'POST', path: '/callback', headers, body: authorizationResponse.body } as const
    const gate: Gate | undefined = hold ? this.#site.provider.holdNext() : undefined
    const pending = this.#exchange(sent, crossSiteForm)
    const isDone = gate === undefined || (await reachedOrDone(gate, pending))
    let landed: Promise<Received> | undefined
    const land = async () => {
      gate?.open()
      const response = await pending
      const { isEndedByProvider, isSignedOutMeanwhile } = facts()
      const early = decide(before, this.#rules)
      // Only a session that is being made can be overtaken.
      const rule =
        early.outcome === 'signed in'
          ? decide({ ...before, isEndedByProvider, isSignedOutMeanwhile }, this.#rules)
          : early
      this.decided.add(rule.name)
      this.#follow(response, { authorizationResponse, attempt, binding })
      const outcome = this.#outcomeOf(response)
      if (!(history.isDoubtful(authorizationResponse, attempt, binding) && outcome === 'refused'))
        assert.equal(outcome, rule.outcome, `${rule.name}: ${response.text}`)
      return { response, context: crossSiteForm }
    }
    const landOnce = () => {
      landed ??= land()
      return landed
    }
    // What the site has done without waiting is done now, whenever its response arrives.
    if (isDone) await landOnce()
    return { kind: 'callback', land: landOnce, authorizationResponse }
  }

  #outcomeOf({ status, location = '', setCookies }: PlainResponse): Outcome {
    if (status >= 400) return 'refused'
    if (location.startsWith(authorizationEndpoint)) return 'anew'
    const session = cookieIn(setCookies, isSessionCookie)
    if (session === undefined) return 'the page'
    return this.#fresh.has(session) ? 'signed in' : 'the session again'
  }

  /** Sessions that began with the response that is being looked at. */
  readonly #fresh = new Set<string>()

  /** Notes what a response of the callback has brought about at the site. */
  #follow(
    response: PlainResponse,
    at: { authorizationResponse: ModelResponse; attempt: ModelAttempt; binding: ModelBinding | undefined },
  ): void {
    const { authorizationResponse, attempt, binding } = at
    const { history } = this
    const now = history.tick()
    const value = cookieIn(response.setCookies, isSessionCookie)
    this.#fresh.clear()
    let session = value === undefined ? undefined : history.sessions.get(value)
    if (value !== undefined && session === undefined) {
      const earlier = [binding?.session, attempt.session].filter(other => other !== undefined)
      const { user } = authorizationResponse
      session = { user, isAlive: true, replaces: earlier.filter(other => other.user === user) }
      for (const other of earlier) if (other.user !== user) other.isAlive = false
      history.sessions.set(value, session)
      this.#fresh.add(value)
      this.used = authorizationResponse
      attempt.used = { body: authorizationResponse.body, session }
    } else if (response.status === 303 && attempt.used === undefined && binding?.session !== undefined) {
      attempt.used = { body: authorizationResponse.body, session: binding.session }
    }
    const bound = cookieIn(response.setCookies, isBindingCookie)
    if (bound !== undefined && binding !== undefined && session !== undefined) {
      const { generation, browser, signedOutAt } = binding
      history.bindings.set(bound, {
        generation,
        browser,
        session,
        signedInAt: now,
        ...(signedOutAt !== undefined && { signedOutAt }),
      })
    }
    this.#noteStart(response, { begunAt: attempt.begunAt, restarts: attempt.restarts + 1, from: attempt }, binding)
  }

  // What the site answers

  /** Follows redirects, at the site and to the provider, until there is something to see. */
  async #show(tab: Tab, received: Received): Promise<void> {
    let current = received
    for (let hops = 0; hops < 8; hops += 1) {
      this.#keepCookies(current)
      const { status, location, text } = current.response
      if (status >= 400) {
        tab.screen = 'error'
        return
      }
      if (location === undefined) {
        this.#checkPage(text)
        tab.screen = 'page'
        return
      }
      if (location.startsWith(authorizationEndpoint)) return this.#arriveAtProvider(tab, new URL(location))
      const next = location.startsWith(endSessionEndpoint) ? this.#endAtProvider(new URL(location)) : location
      if (next === undefined) {
        tab.screen = 'blank'
        return
      }
      current = await this.#get(next.replace(baseUrl, ''), { ...typed, initiator: current.context.initiator })
    }
    assert.fail('the browser is sent round in circles')
  }

  #checkPage(text: string): void {
    if (!text.startsWith('{')) return
    const { user, owner } = JSON.parse(text) as Seen
    assert.ok(owner === null || owner === user, `a page of ${user} shows data of ${owner}`)
  }

  async #arriveAtProvider(tab: Tab, { searchParams }: URL): Promise<void> {
    tab.request = { state: searchParams.get('state') ?? '', nonce: searchParams.get('nonce') ?? '' }
    if (this.account === undefined) tab.screen = 'password'
    else await this.#issue(tab)
  }

  async #issue(tab: Tab): Promise<void> {
    const request = tab.request as AuthorizationRequest
    const response = await this.#site.provider.authorize(request, this.account as Account)
    tab.authorizationResponse = { ...response, issuedAt: this.history.tick(), typedAt: this.#typedAt }
    tab.screen = 'response'
  }

  /** A provider that knows by the hint who signs out does not ask. Without the hint it asks, and the user does not see why. */
  #endAtProvider({ searchParams }: URL): string | undefined {
    const hint = searchParams.get('id_token_hint')
    const subject = hint === null ? undefined : subjectOf(hint)
    if (this.account !== undefined && this.account.user !== subject) return undefined
    this.account = undefined
    const back = new URL(searchParams.get('post_logout_redirect_uri') ?? baseUrl)
    back.searchParams.set('state', searchParams.get('state') ?? '')
    return back.href
  }

  // Requests and cookies

  #get(path: string, context: RequestContext): Promise<Received> {
    const headers = {
      ...this.#header('GET', path, context),
      accept: 'text/html',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    return this.#request({ method: 'GET', path, headers }, context, 'page')
  }

  /** Sends what is not a response of the provider, and notes what has come of it. */
  async #request(request: PlainRequest, context: RequestContext, purpose: Purpose): Promise<Received> {
    const { history } = this
    const binding = this.#binding(request.headers)
    const session = this.#sessionIn(request.headers)
    const headers = purpose === 'page' && context.isTopLevel ? { ...request.headers, ...navigation } : request.headers
    const response = await this.#exchange({ ...request, headers }, context)
    const now = history.tick()
    const bound = cookieIn(response.setCookies, isBindingCookie)
    if (bound !== undefined && purpose === 'sign-out') {
      const generation = history.newGeneration()
      history.bindings.set(bound, { generation, browser: binding?.browser ?? generation, signedOutAt: now })
    } else if (bound !== undefined) {
      const generation = history.newGeneration()
      history.bindings.set(bound, binding ?? { generation, browser: generation })
    }
    const from = { asksForMore: session?.isAlive ?? false, session }
    const known = bound === undefined ? binding : history.bindings.get(bound)
    this.#noteStart(response, { begunAt: now, restarts: 0, from }, known)
    return { response, context }
  }

  #noteStart(
    { location = '' }: PlainResponse,
    chain: {
      readonly begunAt: number
      readonly restarts: number
      readonly from: Pick<ModelAttempt, 'asksForMore' | 'session'>
    },
    binding: ModelBinding | undefined,
  ): void {
    if (!location.startsWith(authorizationEndpoint)) return
    const { begunAt, restarts, from } = chain
    const { asksForMore, session } = from
    this.history.attempts.set(new URL(location).searchParams.get('state') ?? '', {
      generation: binding?.generation ?? 0,
      startedAt: this.history.tick(),
      begunAt,
      restarts,
      asksForMore,
      isCircle: restarts === 0 && binding?.session !== undefined && !asksForMore,
      session,
      used: undefined,
    })
  }

  async #exchange(request: PlainRequest, context: RequestContext): Promise<PlainResponse> {
    const headers = { ...this.#header(request.method, request.path, context), ...request.headers }
    const response = await send(this.#site.app, { ...request, headers })
    await nextMillisecond()
    return response
  }

  #header(method: string, path: string, context: RequestContext): Record<string, string> {
    const cookie = this.#jar.header(baseUrl + path, { ...context, method })
    return cookie === undefined ? {} : { cookie }
  }

  #keepCookies({ response, context }: Received): void {
    for (const line of response.setCookies) this.#jar.set(`${baseUrl}/`, line, context)
    const session = cookieIn(response.setCookies, isSessionCookie)
    if (session === undefined) return
    this.#kept.add(session)
    for (const earlier of this.history.sessions.get(session)?.replaces ?? []) earlier.isAlive = false
  }

  #binding({ cookie = '' }: Readonly<Record<string, string>>): ModelBinding | undefined {
    const value = cookieIn(cookie.split('; '), isBindingCookie)
    return value === undefined ? undefined : this.history.bindings.get(value)
  }

  #session(): ModelSession | undefined {
    return this.#sessionIn(this.#header('GET', '/page', typed))
  }

  #sessionIn({ cookie = '' }: Readonly<Record<string, string>>): ModelSession | undefined {
    const value = cookieIn(cookie.split('; '), isSessionCookie)
    return value === undefined ? undefined : (this.history.sessions.get(value) ?? noSession)
  }
}
