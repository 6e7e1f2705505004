import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { Redis } from 'ioredis'
import type { SiteProcessMessage } from './site-process.js'

/** What a control is told by its environment. */
export interface ControlProcessSettings {
  readonly redis: string
  readonly secret: string
}

/** A site without this package, to compare with: express-session, connect-redis and ioredis as their documentation sets them up. */
const { redis, secret } = JSON.parse(process.env.CONTROL_PROCESS ?? '{}') as ControlProcessSettings
const client = new Redis(redis)
client.on('error', () => {})
const app = express()
const store = new RedisStore({ client, prefix: 'control:' })
app.use(session({ store, secret, resave: false, saveUninitialized: false, name: 'sid' }))
app.get(
  '/session',
  (req, res) => void res.status('n' in req.session ? 200 : 401).json({ ...req.session, cookie: undefined }),
)
app.post('/session', (req, res) => {
  Object.assign(req.session, req.query)
  res.json({})
})

const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  process.send?.({ port: address.port } satisfies SiteProcessMessage)
})
process.once('SIGTERM', () => {
  server.close(() => process.exit(0))
  server.closeIdleConnections()
})
process.on('disconnect', () => process.exit(0))
