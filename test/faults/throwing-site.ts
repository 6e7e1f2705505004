import express, { type ErrorRequestHandler, type NextFunction } from 'express'
import { type OidcOptions, openIdConnect } from '../../lib/index.js'
import type { SiteProcessMessage } from './site-process.js'

/** A site whose own code throws where nothing of it can catch: a process of its own, because it may end. */
const { oidc: options } = JSON.parse(process.env.SITE_PROCESS ?? '{}') as { oidc: OidcOptions }
let logged = 0
const oidc = openIdConnect({
  ...options,
  log() {
    logged += 1
    if (logged % 2 === 0) throw new Error('the log throws')
    return Promise.reject(new Error('the log rejects'))
  },
})

/** How often a request was handed on. */
const handedOn = new Map<string, number>()

const app = express()
app.use((req, res, next) => {
  const query = new URL(req.url, 'http://localhost').searchParams
  const handOn: NextFunction = (error?: unknown) => {
    handedOn.set(req.path, (handedOn.get(req.path) ?? 0) + 1)
    if (query.has('throw') || (query.has('throwError') && error !== undefined)) throw new Error('next throws')
    next(error)
  }
  oidc(req, res, handOn)
})
app.get('/start', (req, res) => {
  Object.assign(req.session, { at: 'start' })
  res.json({ sid: req.sessionID })
})
app.get('/handed-on', (req, res) => void res.json(handedOn.get(String(req.query.path)) ?? 0))
app.get('/late', (req, res) => {
  Object.assign(req.session, { amount: 1n })
  setTimeout(() => {
    if (req.query.write !== undefined) res.write('part')
    if (req.query.flush !== undefined) res.flushHeaders()
    res.end('end')
  }, 1)
})
app.get('/circle', (req, res) => {
  const circle: { own?: object } = {}
  circle.own = circle
  Object.assign(req.session, { circle })
  setImmediate(() => res.send('end'))
})
app.get('/accessor', (req, res) => {
  Object.assign(req.session, { at: 'accessor' })
  const get = () => {
    throw new Error('the accessor throws')
  }
  Object.defineProperty(req, 'session', { get })
  setTimeout(() => {
    if (req.query.write !== undefined) res.write('part')
    res.end('end')
  }, 1)
})
app.get('/toJSON', (req, res) => {
  const toJSON = () => {
    throw new Error('toJSON throws')
  }
  Object.assign(req.session, { value: { toJSON } })
  process.nextTick(() => res.json({}))
})
app.use(((_error, _req, res, next) => {
  if (res.headersSent) next(_error)
  else res.status(500).send('the error handler of the site')
}) satisfies ErrorRequestHandler)

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
