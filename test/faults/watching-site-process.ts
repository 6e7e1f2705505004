import express from 'express'
import { openIdConnect, requiresAuth } from '../../lib/index.js'
import { acceptWebSocket } from '../support/web-socket.js'
import type { SiteProcessMessage, SiteProcessSettings } from './site-process.js'

/** A site with open streams and WebSockets that end with their sessions. */
const { oidc: options, ahead = 0 } = JSON.parse(process.env.SITE_PROCESS ?? '{}') as SiteProcessSettings
const oidc = openIdConnect({
  ...options,
  ...(ahead !== 0 && { now: () => new Date(Date.now() + ahead) }),
  log: line => console.error(line),
})
const app = express()
app.use(oidc)
app.get('/claims', requiresAuth(), (req, res) => void res.json(req.oidc.user))
app.get('/events', requiresAuth(), (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: open\n\n')
  const stop = oidc.watch(req, { onEnd: ({ reason }) => void res.end(`event: end\ndata: ${reason ?? ''}\n\n`) })
  res.on('close', stop)
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
server.on('upgrade', (req, socket) => {
  socket.on('error', () => undefined)
  oidc.authenticate(req).then(
    () => {
      const close = acceptWebSocket(req, socket)
      const stop = oidc.watch(req, { onEnd: ({ reason }) => close(4401, reason ?? '') })
      socket.on('close', stop)
    },
    () => socket.destroy(),
  )
})

process.once('SIGTERM', async () => {
  server.close()
  server.closeAllConnections()
  await oidc.close()
  process.exit(0)
})
process.on('disconnect', () => process.exit(0))
