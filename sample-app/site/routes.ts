import { Router, urlencoded } from 'express'
import { createApiClient } from './api-client.js'
import { createCallApi } from './controllers/call-api.js'
import { createChooseProvider } from './controllers/choose-provider.js'
import { refreshAccessToken, showClaims } from './controllers/claims.js'
import { showHome } from './controllers/home.js'
import { createNotes } from './controllers/notes.js'
import { createSessions } from './controllers/sessions.js'
import { type OpenIdConnect, requiresAuth, requiresSameSession } from './oidc.js'
import { createProvideUser } from './provide-user.js'
import { choosePage, type SiteProvider } from './providers.js'

/**
 * Which address shows what, and which of them are for signed-in users.
 *
 * @param providers Of a site with several.
 */
export function createRoutes(apiUrl: string, oidc: OpenIdConnect, providers?: readonly SiteProvider[]): Router {
  const callApi = createCallApi(createApiClient(apiUrl), apiUrl)
  const sessions = createSessions(oidc)
  const notes = createNotes()
  const routes = Router()
  routes.use(createProvideUser(providers))
  // A form says for which session its page was made.
  const form = [urlencoded({ extended: false, limit: 1000 }), requiresSameSession()]
  const longForm = [urlencoded({ extended: false, limit: '64kb' }), requiresSameSession()]

  routes.get('/', showHome)
  if (providers) routes.get(choosePage, createChooseProvider(providers))
  routes.get('/claims', requiresAuth(), showClaims)
  routes.post('/claims/refresh', form, refreshAccessToken)
  routes.get('/call-api', requiresAuth(), callApi.showResponse)
  routes.get('/call-api/script', requiresAuth(), callApi.showScriptPage)
  routes.get('/notes', requiresAuth(), notes.show)
  // Before the parser: if the session has expired meanwhile, the note is kept and sent after the sign-in.
  routes.post('/notes', requiresAuth({ keepForm: true }), longForm, notes.add)
  routes.post('/notes/expire', form, notes.expire)
  routes.get('/sessions', requiresAuth(), sessions.show)
  routes.get('/sessions/events', requiresAuth(), sessions.tellEnd)
  routes.post('/sessions/end', form, sessions.end)
  routes.post('/sessions/end-others', form, sessions.endOthers)
  // Shows the last sign-ins of all browsers: for development only.
  if (process.env.NODE_ENV !== 'production') routes.get('/how-you-signed-in', oidc.inspector())
  // /login, /callback, /logout, /me and /me/token belong to the middleware, and everything below /api to its proxy.
  return routes
}
