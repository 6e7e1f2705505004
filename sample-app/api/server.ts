import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { accessTokenOf, requireAccessToken } from './require-access-token.js'
import { createAccessTokenVerifier, type VerifierSettings } from './verify-access-token.js'

/**
 * The protected API: it knows nothing of sessions or cookies, just access tokens.
 *
 * @param scriptOrigin Where scripts come from that may call it by themselves.
 * @param address Where it is itself, as its callers know it.
 */
export function createApi(settings: VerifierSettings, scriptOrigin: string, address: string): Express {
  const verify = createAccessTokenVerifier(settings)
  const api = express()
  api.disable('x-powered-by')
  api.use((req, res, next) => {
    // A response is about one user, and only scripts of the site may read it.
    res.set({ 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff' })
    res.set({ 'Access-Control-Allow-Origin': scriptOrigin, Vary: 'Origin' })
    if (req.method !== 'OPTIONS') return next()
    res.set({ 'Access-Control-Allow-Headers': 'Authorization', 'Access-Control-Max-Age': '600' }).sendStatus(204)
  })

  api.get('/identity', requireAccessToken(verify, 'read', address), (_req, res) => {
    const { subject, clientId, scopes, expiresAt } = accessTokenOf(res)
    res.json({
      message: 'The API knows who is asking.',
      subject,
      client: clientId,
      scope: scopes.join(' '),
      'token valid until': new Date(expiresAt * 1000).toISOString(),
    })
  })

  api.use(showNotFound)
  api.use(showError)
  return api
}

/**
 * The API for users of several providers, with a path for each of them: a reference token does not say whose it is, and goes to the introspection endpoint of
 * its own provider only.
 */
export function createApis(
  providers: readonly (VerifierSettings & { readonly path: string })[],
  scriptOrigin: string,
  address: string,
): Express {
  const apis = express()
  apis.disable('x-powered-by')
  for (const { path, ...settings } of providers) apis.use(path, createApi(settings, scriptOrigin, address))
  apis.use(showNotFound)
  return apis
}

const showNotFound: RequestHandler = (_req, res) => void res.status(404).json({ error: 'not_found' })

/** Four parameters make this an error handler to Express. */
const showError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  console.error('API:', error instanceof Error ? error.message : error)
  res.status(503).json({ error: 'temporarily_unavailable' })
}
