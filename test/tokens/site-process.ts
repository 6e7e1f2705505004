import express, { type ErrorRequestHandler } from 'express'
import { OidcError, type OidcOptions, openIdConnect, requiresAuth } from '../../lib/index.js'

/** What a site process is told by environment variable. */
export interface SiteProcessSettings {
  /** Goes along with every request to the provider, so that a test knows who asks. */
  readonly name: string
  readonly oidc: OidcOptions & { readonly secret: string }
}

/** What a test tells a running site process. */
export interface Order {
  /** Seconds the clock of the site is ahead. */
  readonly ahead: number
}

const { name, oidc: options } = JSON.parse(process.env.SITE_PROCESS ?? '') as SiteProcessSettings
let ahead = 0
process.on('message', (order: Order) => {
  ahead = order.ahead
  process.send?.({ done: true })
})
process.on('disconnect', () => process.exit())

const app = express()
const server = app.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  const oidc = openIdConnect({
    baseUrl: `http://localhost:${port}`,
    now: () => new Date(Date.now() + ahead * 1000),
    fetch: (url, init) => {
      const headers = new Headers(init?.headers)
      headers.set('x-process', name)
      return fetch(url, { ...init, headers })
    },
    log: () => {},
    ...options,
  })
  app.use(oidc)
  app.get('/', (_req, res) => void res.send('home'))
  app.get('/claims', requiresAuth(), (req, res) => void res.json(req.oidc.user))
  app.get('/fresh', async (req, res) => {
    const { value, expiresAt } = await req.oidc.accessToken()
    res.json({ value, expiresAt })
  })
  const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
    const isOurs = error instanceof OidcError
    res.status(isOurs ? error.status : 500).json({ code: isOurs ? error.code : String(error) })
  }
  app.use(answerError)
  process.send?.({ port })
})
