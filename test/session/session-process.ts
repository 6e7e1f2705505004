import { setTimeout as wait } from 'node:timers/promises'
import express from 'express'
import { type OidcOptions, openIdConnect, requiresAuth } from '../../lib/index.js'

/** What a site process is told by environment variable. */
export interface SessionProcessSettings {
  readonly oidc: OidcOptions
}

declare module 'express-session' {
  interface SessionData {
    marks: Record<string, string>
    [mark: `mark-${string}`]: string
  }
}

const { oidc: options } = JSON.parse(process.env.SITE_PROCESS ?? '') as SessionProcessSettings
process.on('disconnect', () => process.exit())

const app = express()
const server = app.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as { port: number }
  app.use(openIdConnect({ baseUrl: `http://localhost:${port}`, log: () => {}, ...options }))
  app.get('/claims', requiresAuth(), (req, res) => void res.json(req.oidc.user))
  app.get('/state', (req, res) => {
    const marks = Object.keys(req.session).filter(key => key.startsWith('mark-'))
    res.json({ isAuthenticated: req.oidc.isAuthenticated, marks: marks.sort() })
  })
  // Reads the session, takes its time, and writes: the request that everything races against.
  app.post('/mark/:name', async (req, res) => {
    const { session } = req
    await wait(Number(req.query.wait ?? 0))
    session[`mark-${req.params.name}`] = 'here'
    res.json({})
  })
  app.post('/regenerate', (req, res, next) => {
    req.session.regenerate(error => {
      if (error) return next(error)
      req.session['mark-new'] = 'here'
      return res.json({})
    })
  })
  process.send?.({ port })
})
