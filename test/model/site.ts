import express, { type ErrorRequestHandler, type Express } from 'express'
import { OidcError, type OpenIdConnect, openIdConnect, requiresAuth } from '../../lib/index.js'
import { secret } from '../support/secrets.js'
import { createModelProvider, type ModelProvider } from './provider.js'

declare module 'express-session' {
  interface SessionData {
    owner: string
    written: string
  }
}

/** What the site shows of a request: who is signed in, and whose data is in the session. */
export interface Seen {
  readonly user: string | null
  readonly owner: string | null
}

export interface ModelSite {
  readonly app: Express
  readonly oidc: OpenIdConnect
  readonly provider: ModelProvider
}

export const baseUrl = 'http://localhost:3000'

/** The real middleware, with everything in the memory of this process. */
export async function createModelSite(): Promise<ModelSite> {
  const provider = createModelProvider()
  const oidc = openIdConnect({
    ...provider.options,
    baseUrl,
    metadata: provider.metadata,
    idTokenAlgorithm: 'HS256',
    userInfo: false,
    scope: 'openid offline_access',
    secret: secret('session secret'),
    fetch: provider.fetch,
    // What is held is held by the model, for as long as it likes.
    timeouts: { provider: 60_000 },
    log: () => {},
  })
  await oidc.ready()
  const app = express()
  app.use(oidc)
  app.get('/who', (req, res) => {
    res.json({ user: req.oidc.user?.sub ?? null, owner: req.session.owner ?? null } satisfies Seen)
  })
  app.get('/page', requiresAuth(), (req, res) => {
    const user = req.oidc.user?.sub ?? null
    req.session.owner ??= String(user)
    res.json({ user, owner: req.session.owner } satisfies Seen)
  })
  app.get('/token', (req, res, next) => {
    req.oidc.accessToken({ forceRefresh: true }).then(() => res.json({}), next)
  })
  app.post('/cart', (req, res) => {
    req.session.written = 'pens'
    res.json({})
  })
  const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
    const isOurs = error instanceof OidcError
    res.status(isOurs ? error.status : 500).json({ code: isOurs ? error.code : String(error) })
  }
  app.use(answerError)
  return { app, oidc, provider }
}
