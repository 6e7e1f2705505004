import { Router } from 'express'
import { createApiClient } from './api-client.js'
import { createCallApi } from './controllers/call-api.js'
import { showClaims } from './controllers/claims.js'
import { showHome } from './controllers/home.js'
import { requiresAuth } from './oidc.js'
import { provideUser } from './provide-user.js'

/** Which address shows what, and which of them are for people who are signed in. */
export function createRoutes(apiUrl: string): Router {
  const callApi = createCallApi(createApiClient(apiUrl))
  const routes = Router()
  routes.use(provideUser)

  routes.get('/', showHome)
  routes.get('/claims', requiresAuth(), showClaims)
  routes.get('/call-api', requiresAuth(), callApi.showAnswer)
  routes.get('/call-api/script', requiresAuth(), callApi.showScriptPage)
  routes.get('/call-api/script/answer', requiresAuth(), callApi.sendAnswer)
  // /login, /callback and /logout belong to the middleware.
  return routes
}
