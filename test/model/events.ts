import type { Browser, Flight, Tab } from './browser.js'

/** What an event may change about who is signed in. Left out: nothing. */
export type Effect =
  /** A response of the site comes to the browser. */
  | 'response'
  /** The user has asked to be signed out. */
  | 'sign-out'
  /** The provider has ended sessions, or the browser has lost them. */
  | 'end'
  /** The provider has refused to refresh the tokens of a session. */
  | 'refusal'

/** Something that can happen next. */
export interface Event {
  readonly name: string
  readonly brings?: Effect
  readonly happen: () => Promise<void>
}

/** Everything that can happen to a browser in its state, the most common more than once. */
export function possibleEvents(browser: Browser, users: readonly string[]): readonly Event[] {
  return [
    ...browser.tabs.flatMap((tab, index) =>
      eventsOf(browser, tab, users).map(event => ({ ...event, name: `tab ${index}: ${event.name}` })),
    ),
    ...users.map(user => ({
      name: `the provider ends ${user}`,
      brings: 'end' as const,
      happen: () => browser.endAtProvider(user),
    })),
    ...(browser.tabs.some(({ flight }) => flight !== undefined) ? [] : [forget(browser)]),
  ]
}

function eventsOf(browser: Browser, tab: Tab, users: readonly string[]): readonly Event[] {
  if (tab.flight !== undefined) return eventsInFlight(browser, tab, tab.flight)
  if (tab.screen === 'password' || tab.screen === 'response') return eventsAtProvider(browser, tab, users)
  return [...eventsOfAnyTab(browser, tab), ...eventsOfHistory(browser, tab), ...eventsOfPage(browser, tab)]
}

const effects: Readonly<Record<Flight['kind'], Pick<Event, 'brings'>>> = {
  callback: { brings: 'response' },
  refresh: { brings: 'refusal' },
  // It takes the cookie away that the browser has by then: the user has asked for it.
  'sign-out': { brings: 'sign-out' },
  script: {},
}

function eventsInFlight(browser: Browser, tab: Tab, { kind }: Flight): readonly Event[] {
  const arrive: Event = { name: 'the response arrives', ...effects[kind], happen: () => browser.arrive(tab) }
  const lose: Event = {
    name: 'the response is lost',
    ...(kind === 'refresh' && effects[kind]),
    happen: () => browser.lose(tab),
  }
  return [arrive, arrive, lose]
}

function eventsAtProvider(browser: Browser, tab: Tab, users: readonly string[]): readonly Event[] {
  if (tab.screen === 'password') {
    const types = users.map(user => ({
      name: `${user} signs in at the provider`,
      happen: () => browser.type(tab, user),
    }))
    return [...types, ...types, open(browser, tab)]
  }
  const whole = post(browser, tab, 'the form is posted, and the response arrives')
  const parts = [
    { name: 'the form is posted', happen: () => browser.post(tab, false) },
    { name: 'the form is posted, and the token endpoint is slow', happen: () => browser.post(tab, true) },
  ]
  return [whole, whole, whole, ...parts, back(tab)]
}

/** What can be done again with what the tab has seen. */
function eventsOfHistory(browser: Browser, tab: Tab): readonly Event[] {
  return tab.authorizationResponse === undefined ? [] : [post(browser, tab, 'the same form is posted again'), back(tab)]
}

function eventsOfAnyTab(browser: Browser, tab: Tab): readonly Event[] {
  const next = browser.tabs.find(other => other !== tab && other.flight === undefined)
  const both = { name: 'two tabs are restored', happen: () => browser.openBoth([tab, next ?? tab]) }
  const link = { name: 'a link to the sign-in', happen: () => browser.open(tab, '/login') }
  return [open(browser, tab), open(browser, tab), link, ...(next === undefined ? [] : [both])]
}

function eventsOfPage(browser: Browser, tab: Tab): readonly Event[] {
  if (tab.screen === 'blank') return []
  const signOut = (name: string, local: boolean, clicks: 1 | 2): Event => ({
    name,
    brings: 'sign-out',
    happen: () => browser.signOut(tab, { local, clicks }),
  })
  const late = { name: 'sign out, and the response is late', happen: () => browser.sendSignOut(tab, false) }
  const refresh: Event = {
    name: 'a script finds that the provider refuses a refresh',
    brings: 'refusal',
    happen: () => browser.refresh(tab),
  }
  // Two refreshes of one session are one request.
  const isRefreshing = browser.tabs.some(({ flight }) => flight?.kind === 'refresh')
  return [
    signOut('sign out', false, 1),
    signOut('sign out by a double click', false, 2),
    signOut('sign out here only', true, 1),
    { ...late, brings: 'sign-out' },
    ...(isRefreshing ? [] : [refresh]),
    { name: 'a script writes to the session', happen: () => browser.write(tab) },
  ]
}

const forget = (browser: Browser): Event => ({
  name: 'the browser forgets its cookies',
  brings: 'end',
  happen: async () => browser.forget(),
})

const open = (browser: Browser, tab: Tab): Event => ({
  name: 'a page is opened',
  happen: () => browser.open(tab, '/page'),
})

const post = (browser: Browser, tab: Tab, name: string): Event => ({
  name,
  brings: 'response',
  async happen() {
    await browser.post(tab, false)
    await browser.arrive(tab)
  },
})

const back = (tab: Tab): Event => ({
  name: 'Back to the page of the provider',
  async happen() {
    tab.screen = 'password'
  },
})
