import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import type { Settings } from '../settings.js'
import { showError, showNotFound } from './controllers/errors.js'
import { openIdConnect, readSessionWatch } from './oidc.js'
import { createRoutes } from './routes.js'
import { createSecurityHeaders } from './security-headers.js'

export interface SiteOptions {
  readonly issuer: string
  readonly siteUrl: string
  readonly apiUrl: string
  readonly settings: Settings
  /** A Redis URL; without one, sessions live in process memory. */
  readonly redis: string | undefined
}

export interface Site {
  readonly application: Express
  close(): Promise<void>
}

/** The site: an ordinary Express application with one line more. */
export function createSite({ issuer, siteUrl, apiUrl, settings, redis }: SiteOptions): Site {
  const { clientId, clientSecret, scope, responseType, sessionSecret } = settings
  const oidc = openIdConnect({
    issuer,
    clientId,
    ...(clientSecret !== undefined && { clientSecret }),
    baseUrl: siteUrl,
    responseType,
    scope,
    secret: sessionSecret,
    // For the page "My sessions".
    rememberUserAgent: true,
    // For scripts of this site: who is signed in, and the access token itself, for the second way on the page "API by script".
    routes: { user: '/me', token: '/me/token' },
    ...(redis !== undefined && { redis }),
  })

  const application = express()
  application.disable('x-powered-by')
  application.set('views', fileURLToPath(new URL('views', import.meta.url)))
  application.set('view engine', 'ejs')

  application.use(createSecurityHeaders({ siteUrl, issuer, apiUrl }))
  // Before the sign-in: a style sheet needs no session.
  application.use('/public', express.static(fileURLToPath(new URL('public', import.meta.url)), { maxAge: '1h' }))
  const sessionWatch = readSessionWatch()
  application.get('/public/session-watch.js', (_req, res) => void res.type('js').send(sessionWatch))
  application.use(oidc)
  // For the first way on that page: the token is attached here, and no token reaches the browser.
  application.use(oidc.proxy('/api', { target: apiUrl }))
  application.use(createRoutes(apiUrl, oidc))
  application.use(showNotFound)
  application.use(showError)
  return { application, close: () => oidc.close() }
}
