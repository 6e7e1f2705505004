import assert from 'node:assert/strict'
import express, { type Express, type Request, type RequestHandler } from 'express'
import { type OidcOptions, requiresAuth } from '../../lib/index.js'
import { type Agent, createAgent, type FormFields, type Page, type RequestOptions } from './agent.js'
import { type Fixture, type FixtureOptions, openFixture } from './handler-fixture.js'
import { secret } from './secrets.js'
import { type Site, startSite } from './site.js'

/** Seconds. */
export const DAY = 24 * 60 * 60
export const MINUTE = 60

/** What has come through the guard. */
export interface Received {
  readonly address: string
  readonly sub: string
  readonly body: string
  readonly type: string
}

/** A site with a form at `/notes/new` that is sent to `/notes`, whose guard keeps it. */
export interface FormFixture extends Fixture {
  readonly received: Received[]
  /** Milliseconds since the epoch, on those clocks. */
  now(): number
  /** Moves the clocks of the site and of the provider. */
  advance(seconds: number): void
  /** Signs in, and opens the page of the form. */
  write(agent?: Agent): Promise<Agent>
  /** Another process of the same site: needs `redis`, and listens on a port of its own. */
  startAnother(port?: number): Promise<Site>
  /** Ends the process, and begins another one on the same port. */
  restart(): Promise<void>
  /** Sends a form to the guarded route, and signs in where the provider is asked. */
  send(form?: FormFields, options?: SendOptions): Promise<Page>
}

export interface SendOptions extends RequestOptions {
  readonly agent?: Agent
  /** Default `/notes`. */
  readonly path?: string
}

export interface FormFixtureOptions extends Omit<FixtureOptions, 'oidc'> {
  readonly oidc?: Omit<OidcOptions, 'now'>
  /** Before the guard. */
  readonly parser?: RequestHandler
  readonly more?: (app: Express) => void
}

const text = express.text({ type: () => true, limit: '1mb' })

function recordTo(received: Received[]): RequestHandler[] {
  return [
    text,
    (req: Request, res) => {
      const body = typeof req.body === 'string' ? req.body : JSON.stringify(req.body)
      const type = req.headers['content-type'] ?? ''
      received.push({ address: req.originalUrl, sub: req.oidc.user?.sub ?? '', body, type })
      res.send('<p>saved</p>')
    },
  ]
}

export async function openFormFixture(options: FormFixtureOptions = {}): Promise<FormFixture> {
  let ahead = 0
  const now = () => Date.now() + ahead * 1000
  const received: Received[] = []
  const before = options.parser === undefined ? [] : [options.parser]
  const oidc = {
    secret: secret('session secret'),
    now: () => new Date(now()),
    ...options.oidc,
    routes: { keptForm: '/form', ...options.oidc?.routes },
  }
  const siteOptions: FixtureOptions['site'] = {
    ...options.site,
    routes(app) {
      app.get('/notes/new', (req, res) => void res.send(`<p>${req.oidc.handle ?? 'signed out'}</p>`))
      const record = recordTo(received)
      app.post('/notes', ...before, requiresAuth({ keepForm: true }), ...record)
      app.post('/notes/:id', ...before, requiresAuth({ keepForm: true }), ...record)
      app.post('/fresh', requiresAuth({ maxAge: 60, keepForm: true }), ...record)
      app.post('/plain', requiresAuth(), ...record)
      options.more?.(app)
    },
  }
  const provider = { now: () => Math.floor(now() / 1000), ...options.provider }
  const fixture = await openFixture({ provider, oidc, site: siteOptions })
  const others: Site[] = []
  const { agent: first, site } = fixture

  let isEnded = false

  async function start(port = 0): Promise<Site> {
    const { issuer, clientId, clientSecret } = fixture.provider
    const client = { issuer, clientId, clientSecret, responseType: 'code id_token token', baseUrl: site.url } as const
    const another = await startSite({ ...siteOptions, port, oidc: { ...client, ...oidc } })
    others.push(another)
    return another
  }

  return {
    ...fixture,
    received,
    now,
    startAnother: start,
    async restart() {
      await site.close()
      isEnded = true
      await start(Number(new URL(site.url).port))
    },
    async close() {
      for (const other of others) await other.close()
      if (isEnded) await fixture.provider.close()
      else await fixture.close()
    },
    advance(seconds) {
      ahead += seconds
    },
    async write(agent = first) {
      await agent.visit(`${site.url}/login?returnTo=/notes/new`)
      assert.doesNotMatch(agent.page?.text ?? '', /signed out/)
      return agent
    },
    send: (form = { title: 'Milk', text: 'two litres' }, { agent = first, path = '/notes', ...more } = {}) =>
      follow(agent, () => agent.post(`${site.url}${path}`, form, more)),
  }
}

/** As a browser: submits what submits itself. */
export async function follow(agent: Agent, begin: () => Promise<Page>): Promise<Page> {
  let page = await begin()
  while (page.forms[0]?.isAutomatic) page = await agent.submitForm()
  return page
}

export function withFormFixture(
  options: FormFixtureOptions,
  run: (fixture: FormFixture) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const fixture = await openFormFixture(options)
    try {
      await run(fixture)
      assert.deepEqual(fixture.provider.problems, [])
    } finally {
      await fixture.close()
    }
  }
}

/** The page that displays a kept form, and nothing else. */
export function isKeptFormPage(page: Page): boolean {
  return page.status === 200 && /<h1>Send this now\?<\/h1>/.test(page.text)
}

/** The page that says that nothing is sent. */
export function isUnsentPage(page: Page): boolean {
  return /<h1>Not sent<\/h1>/.test(page.text)
}

export { createAgent }
