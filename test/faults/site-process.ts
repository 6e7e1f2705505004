import express from 'express'
import { type OidcOptions, openIdConnect, requiresAuth } from '../../lib/index.js'

/** What a site process is told by its environment. */
export interface SiteProcessSettings {
  readonly oidc: OidcOptions
  /** Milliseconds by which its clock is ahead. */
  readonly ahead?: number
}

/** What it tells its parent. */
export interface SiteProcessMessage {
  readonly port: number
}

/** A site as its operator runs it: a process of its own, which ends its connections and then itself when it is told to end. */
const { oidc: options, ahead = 0 } = JSON.parse(process.env.SITE_PROCESS ?? '{}') as SiteProcessSettings
const oidc = openIdConnect({
  ...options,
  ...(ahead !== 0 && { now: () => new Date(Date.now() + ahead) }),
  log: line => console.error(line),
})
const app = express()
app.use(oidc)
app.get('/', (_req, res) => void res.send('home'))
app.get('/user', (req, res) => void res.json({ isAuthenticated: req.oidc.isAuthenticated, sub: req.oidc.user?.sub }))
app.get('/claims', requiresAuth(), (req, res) => void res.json(req.oidc.user))
app.get('/session', (req, res) => void res.json({ ...req.session, cookie: undefined }))
app.post('/session', (req, res) => {
  Object.assign(req.session, req.query)
  res.json({})
})
app.get('/ready', (_req, res, next) => {
  oidc.ready().then(() => void res.send('ready'), next)
})
app.get('/memory', (_req, res) => {
  global.gc?.()
  const { rss, heapUsed } = process.memoryUsage()
  res.json({ rss, heapUsed, resources: process.getActiveResourcesInfo() })
})

process.on('unhandledRejection', error => {
  console.error('UNHANDLED', error)
  process.exit(70)
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  process.send?.({ port: address.port } satisfies SiteProcessMessage)
})

process.on('SIGTERM', () => {
  server.close(() => void oidc.close().then(() => process.exit(0)))
  server.closeIdleConnections()
})
process.on('disconnect', () => process.exit(0))
