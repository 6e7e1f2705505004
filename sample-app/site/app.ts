import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import type { Settings } from '../settings.js'
import { showError, showNotFound } from './controllers/errors.js'
import { type OidcOptions, openIdConnect, readSessionWatch } from './oidc.js'
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

/** The flow of the original sample, or FAPI 2.0: pushed requests, tokens that are bound to a key, signed responses. */
function chooseFlow({ responseType, clientSecret, fapi2 }: Settings): OidcOptions {
  if (fapi2 !== undefined) {
    return {
      profile: 'fapi2',
      responseMode: 'query.jwt',
      clientAuthentication: { method: 'private_key_jwt', key: fapi2 },
      // A script has no key for a bound token, so that the second way on the page "API by script" is not there.
      routes: { user: '/me', keptForm: '/form' },
    }
  }
  return {
    responseType,
    ...(clientSecret !== undefined && { clientSecret }),
    // For scripts of this site: who is signed in, and the access token itself, for the second way on the page "API by script".
    routes: { user: '/me', token: '/me/token', keptForm: '/form' },
  }
}

/** The site: an ordinary Express application with one line more. */
export function createSite({ issuer, siteUrl, apiUrl, settings, redis }: SiteOptions): Site {
  const { clientId, scope, sessionSecret } = settings
  const oidc = openIdConnect({
    issuer,
    clientId,
    baseUrl: siteUrl,
    scope,
    secret: sessionSecret,
    // For the page "My sessions".
    rememberUserAgent: true,
    // Where req.oidc.fetch may send the access token.
    apis: [new URL(apiUrl).origin],
    ...chooseFlow(settings),
    ...(settings.deviceBound && { session: { deviceBound: 'when-possible' } }),
    ...(redis !== undefined && { redis }),
  })

  const application = express()
  application.disable('x-powered-by')
  application.set('views', fileURLToPath(new URL('views', import.meta.url)))
  application.set('view engine', 'ejs')

  application.use(createSecurityHeaders({ siteUrl, apiUrl }))
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
