import { fileURLToPath } from 'node:url'
import express, { type Express } from 'express'
import type { Settings } from '../settings.js'
import { showError, showNotFound } from './controllers/errors.js'
import { type OidcOptions, type OpenIdConnect, openIdConnect, readSessionWatch } from './oidc.js'
import { choosePage, describeProviders, type SiteProvider } from './providers.js'
import { createRoutes } from './routes.js'
import { createSecurityHeaders } from './security-headers.js'

export interface SiteOptions {
  readonly issuer: string
  /** Several instead of that one. */
  readonly providers: readonly SiteProvider[] | undefined
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

// For scripts of this site: who is signed in, and the access token itself, for the second way on the page "API by script".
const routes = { user: '/me', token: '/me/token', keptForm: '/form' }

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
  return { responseType, ...(clientSecret !== undefined && { clientSecret }), routes }
}

function connect({ issuer, providers, siteUrl, apiUrl, settings, redis }: SiteOptions): OpenIdConnect {
  const { clientId, scope, responseType, sessionSecret, deviceBound } = settings
  const options = {
    baseUrl: siteUrl,
    scope,
    secret: sessionSecret,
    // For the page "My sessions".
    rememberUserAgent: true,
    // Where req.oidc.fetch may send the access token.
    apis: [new URL(apiUrl).origin],
    ...(deviceBound && { session: { deviceBound: 'when-possible' as const } }),
    ...(redis !== undefined && { redis }),
  }
  return providers
    ? openIdConnect({ ...options, responseType, routes, ...describeProviders(providers, clientId) })
    : openIdConnect({ ...options, issuer, clientId, ...chooseFlow(settings) })
}

/** The site: an ordinary Express application with one line more. */
export function createSite(options: SiteOptions): Site {
  const { providers, siteUrl, apiUrl } = options
  const oidc = connect(options)

  const application = express()
  application.disable('x-powered-by')
  application.set('views', fileURLToPath(new URL('views', import.meta.url)))
  application.set('view engine', 'ejs')
  application.locals.choosePage = providers && choosePage

  application.use(createSecurityHeaders({ siteUrl, apiUrl }))
  // Before the sign-in: a style sheet needs no session.
  application.use('/public', express.static(fileURLToPath(new URL('public', import.meta.url)), { maxAge: '1h' }))
  const sessionWatch = readSessionWatch()
  application.get('/public/session-watch.js', (_req, res) => void res.type('js').send(sessionWatch))
  application.use(oidc)
  // For the first way on that page: the token is attached here, and no token reaches the browser.
  application.use(oidc.proxy('/api', { target: apiUrl }))
  application.use(createRoutes(apiUrl, oidc, providers))
  application.use(showNotFound)
  application.use(showError)
  return { application, close: () => oidc.close() }
}
