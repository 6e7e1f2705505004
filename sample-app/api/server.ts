import express, { type ErrorRequestHandler, type Express } from 'express'
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

  api.use((_req, res) => void res.status(404).json({ error: 'not_found' }))
  api.use(showError)
  return api
}

/** Four parameters make this an error handler to Express. */
const showError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  console.error('API:', error instanceof Error ? error.message : error)
  res.status(503).json({ error: 'temporarily_unavailable' })
}
