import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Agent, createAgent } from './agent.js'
import { type Chromium, startChromium } from './chromium.js'
import { type LoopbackServer, startLoopbackServer } from './loopback-server.js'

/**
 * The agent claims to behave like a browser. Here the browser says whether that is true: each journey is made by both, and
 * what arrived at the server has to be the same.
 */
interface Arrival {
  readonly method: string
  readonly path: string
  readonly cookies: readonly string[]
  readonly headers: Readonly<Record<string, string | undefined>>
}

const COMPARED = [
  'sec-fetch-site',
  'sec-fetch-mode',
  'sec-fetch-dest',
  'sec-fetch-user',
  'origin',
  'referer',
  'content-type',
  'upgrade-insecure-requests',
]

let server: LoopbackServer
let chromium: Chromium
let site: string
let elsewhere: string
const arrivals: Arrival[] = []

before(async () => {
  server = await startLoopbackServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x')
    if (url.pathname === '/favicon.ico') return void response.writeHead(404).end()
    arrivals.push({
      method: request.method ?? '',
      path: url.pathname,
      cookies: request.headers.cookie?.split('; ').sort() ?? [],
      headers: Object.fromEntries(COMPARED.map(name => [name, request.headers[name]?.toString()])),
    })
    for (const cookie of url.searchParams.getAll('set')) response.appendHeader('set-cookie', cookie)
    for (const name of ['referrer-policy', 'location']) {
      const value = url.searchParams.get(name)
      if (value) response.setHeader(name, value)
    }
    response.statusCode = Number(url.searchParams.get('status') ?? 200)
    response.setHeader('content-type', 'text/html; charset=utf-8')
    response.end(url.searchParams.get('html') ?? '<p>ok</p>')
  })
  site = `http://localhost:${server.port}`
  elsewhere = `http://127.0.0.1:${server.port}`
  chromium = await startChromium()
})
after(async () => {
  await chromium.close()
  await server.stop()
})

const COOKIES = [
  'none=1; Path=/; SameSite=None; Secure',
  '__Host-host=1; Path=/; SameSite=None; Secure; HttpOnly',
  'lax=1; Path=/; SameSite=Lax',
  'strict=1; Path=/; SameSite=Strict',
  'deep=1; Path=/deep; SameSite=Lax',
  // None of these may be kept.
  '__Host-path=1; Path=/deep; Secure',
  '__Host-insecure=1; Path=/',
  '__Secure-insecure=1; Path=/',
  'bare-none=1; Path=/; SameSite=None',
  'domain=1; Path=/; Domain=example.com',
]

function page(origin: string, path: string, query: Record<string, string | string[]> = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) for (const one of [value].flat()) search.append(name, one)
  return `${origin}${path}?${search}`
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
const formTo = (action: string) =>
  `<form method="post" action="${escapeHtml(action)}"><input type="hidden" name="a" value="b c"></form><script>document.forms[0].submit()</script>`
const linkTo = (url: string) => `<a href="${escapeHtml(url)}">go</a>`

const frameOf = (url: string) => `<iframe src="${escapeHtml(url)}"></iframe>`

interface Step {
  readonly open?: string
  /** Follow the link on the page shown. */
  readonly click?: string
  /** What a frame on the page just opened shows. */
  readonly frame?: string
  readonly fetch?: string
}

/** The last path of a journey is `/end`: then it is over. */
const journeys: Record<string, () => Step[]> = {
  'an address is typed': () => [{ open: page(site, '/end') }],
  'an address is typed that leads to another site and back': () => [
    {
      open: page(site, '/login', {
        status: '302',
        location: page(elsewhere, '/op', { status: '302', location: page(site, '/end') }),
      }),
    },
  ],
  'a link on another site is followed': () => {
    const url = page(site, '/end')
    return [{ open: page(elsewhere, '/links', { html: linkTo(url) }) }, { click: url }]
  },
  'a link within the site leads away and back': () => {
    const url = page(site, '/login', {
      status: '303',
      location: page(elsewhere, '/op', { status: '303', location: page(site, '/end') }),
    })
    return [{ open: page(site, '/links', { html: linkTo(url) }) }, { click: url }]
  },
  'a page of another site posts a form, and the response redirects': () => [
    {
      open: page(elsewhere, '/op', {
        html: formTo(
          page(site, '/callback', { status: '303', location: '/end', set: 'fresh=1; Path=/; SameSite=Lax' }),
        ),
      }),
    },
  ],
  'a page of another site posts a form, and the response repeats it by 307': () => [
    { open: page(elsewhere, '/op', { html: formTo(page(site, '/callback', { status: '307', location: '/end' })) }) },
  ],
  'a page of another site that hides its address posts a form': () => [
    { open: page(elsewhere, '/op', { 'referrer-policy': 'no-referrer', html: formTo(page(site, '/end')) }) },
  ],
  'a page of the same site posts a form': () => [
    { open: page(site, '/form', { html: formTo(page(site, '/deep/end')) }) },
  ],
  'another site frames the page': () => {
    const url = page(site, '/end', { set: 'framed=1; Path=/; SameSite=Lax' })
    return [{ open: page(elsewhere, '/op', { html: frameOf(url) }), frame: url }, { open: page(site, '/end') }]
  },
  'the site frames its own page': () => {
    const url = page(site, '/end')
    return [{ open: page(site, '/op', { html: frameOf(url) }), frame: url }]
  },
  'a script of the site fetches': () => [{ open: page(site, '/script') }, { fetch: page(site, '/end') }],
}

async function travelByAgent(steps: readonly Step[]): Promise<void> {
  const agent: Agent = createAgent()
  await agent.open(page(site, '/deep/set', { set: COOKIES }))
  for (const step of steps) {
    if (step.open) await agent.visit(step.open)
    if (step.click) await agent.click(step.click)
    if (step.frame) await agent.frame(step.frame)
    if (step.fetch) await agent.fetch(step.fetch)
  }
}

async function travelByChromium(steps: readonly Step[]): Promise<void> {
  const hasFrames = steps.some(step => step.frame)
  const context = await (hasFrames ? chromium.newProfile() : chromium.newContext())
  const tab = await context.newPage()
  await tab.goto(page(site, '/deep/set', { set: COOKIES }))
  for (const step of steps) {
    const before = arrivals.length
    if (step.open) await tab.goto(step.open)
    if (step.click) await tab.click('a')
    if (step.fetch) await tab.evaluate(`fetch(${JSON.stringify(step.fetch)}).then(() => {})`)
    if (step.frame || !step.open || step === steps.at(-1)) await waitForEnd(before)
  }
  await context.close()
}

/** A form that submits itself is on its way after `goto` has returned. */
async function waitForEnd(before: number): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!arrivals.slice(before).some(({ path }) => path.endsWith('/end'))) {
    if (performance.now() > deadline) throw new Error(`Never got there: ${JSON.stringify(arrivals, null, 1)}`)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
}

describe('agent and Chromium send the same when', () => {
  for (const [name, steps] of Object.entries(journeys)) {
    test(name, async () => {
      arrivals.length = 0
      await travelByChromium(steps())
      const byChromium = arrivals.splice(0)
      await travelByAgent(steps())
      assert.deepEqual(arrivals.splice(0), byChromium)
    })
  }
})
