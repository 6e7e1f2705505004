import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { type OidcOptions, openIdConnect, requiresAuth } from '../../lib/index.js'

/** What a site process is told by its environment. */
export interface SiteProcessSettings {
  readonly oidc: OidcOptions
  /** Milliseconds by which its clock is ahead. */
  readonly ahead?: number
  /** Milliseconds in which the front is to let go of its connections, and in which the requests under way are to end. Default: 0, and 10 s. */
  readonly ending?: { readonly drain: number; readonly rest: number }
}

/** What it tells its parent. */
export interface SiteProcessMessage {
  readonly port: number
}

/** A site as its operator runs it: a process of its own, which ends its connections and then itself when it is told to end. */
const {
  oidc: options,
  ahead = 0,
  ending = { drain: 0, rest: 10_000 },
} = JSON.parse(process.env.SITE_PROCESS ?? '{}') as SiteProcessSettings
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
app.get('/token', requiresAuth(), (req, res, next) => {
  req.oidc.accessToken().then(({ expiresAt }) => void res.json({ expiresAt }), next)
})
app.get('/session', (req, res) => void res.json({ ...req.session, cookie: undefined }))
app.post('/session', (req, res) => {
  Object.assign(req.session, req.query)
  res.json({})
})
app.get('/events', (_req, res) => {
  res.setHeader('Content-Type', 'text/event-stream')
  res.write('data: begun\n\n')
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

server.on('upgrade', (_req, socket) => {
  socket.on('error', () => undefined)
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
})

// As docs/deployment.md says.
process.once('SIGTERM', async () => {
  server.prependListener('request', (_req, res) => void res.setHeader('Connection', 'close'))
  await sleep(ending.drain)
  const closed = new Promise(resolve => server.close(resolve))
  await Promise.race([closed, sleep(ending.rest)])
  await oidc.close()
  process.exit(0)
})
process.on('disconnect', () => process.exit(0))
