import type { RequestListener } from 'node:http'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import { type IdentityProvider, Provider } from 'oidc-provider'
import { createAccounts } from './accounts.js'
import { buildConfiguration, type IdentityServerOptions } from './configuration.js'
import { createConsents } from './consents.js'
import { addFrontChannelLogout } from './front-channel-logout.js'
import { createInteractions } from './interactions.js'
import { createPages, publicFolder, viewsFolder } from './pages.js'

/**
 * An OpenID provider to try the sample with: oidc-provider, with two users and pages of its own.
 * DEVELOPMENT ONLY: plain http, passwords in the source, everything in memory.
 */
export async function createIdentityServer(options: IdentityServerOptions): Promise<RequestListener> {
  const serverName = options.provider ? `${options.provider.title} identity server` : 'Identity server'
  const accounts = createAccounts(options.provider?.name)
  const consents = createConsents()
  const parts = { accounts, consents, pages: createPages(serverName) }
  const provider = new Provider(options.issuer, await buildConfiguration(options, parts))
  allowPlainHttp(provider)
  addFrontChannelLogout(provider)
  provider.on('server_error', (_ctx, error) => console.error('identity server:', error))

  const server = express()
  server.disable('x-powered-by')
  server.locals.serverName = serverName
  server.set('views', viewsFolder)
  server.set('view engine', 'ejs')
  server.use(createHeaders(options.siteUrl))
  server.use('/public', express.static(publicFolder))
  server.get('/', (_req, res) => res.redirect(options.siteUrl))
  server.use(createInteractions(provider, consents, accounts))
  server.use(createErrorHandler(options.siteUrl))
  server.use(provider.callback())
  return server
}

/** The response to a sign-in is a form that a script sends to the site; oidc-provider adds the hash of that one script itself. */
function createHeaders(siteUrl: string): RequestHandler {
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    "script-src 'self'",
    "img-src 'self'",
    `form-action 'self' ${new URL(siteUrl).origin}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  return (_req, res, next) => {
    res.set({
      'Content-Security-Policy': policy,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'strict-origin',
    })
    next()
  }
}

/**
 * OpenID Connect Dynamic Registration 1.0 section 2 wants https for a web client that gets tokens through the browser.
 * DEVELOPMENT ONLY: the sample runs on http://localhost.
 */
function allowPlainHttp(provider: IdentityProvider): void {
  const schema = provider.Client.Schema.prototype
  const { invalidate } = schema
  schema.invalidate = function (message, code) {
    if (code !== 'implicit-force-https' && code !== 'implicit-forbid-localhost') invalidate.call(this, message, code)
  }
}

/**
 * A page of an attempt that is over, most often reached by the back button after signing in, has nothing left to ask: the site
 * knows better what to show.
 */
function createErrorHandler(siteUrl: string): ErrorRequestHandler {
  return (error: unknown, _req, res, next) => {
    if (res.headersSent) return next(error)
    if (error instanceof Error && error.name === 'SessionNotFound') return res.redirect(303, siteUrl)
    console.error('identity server:', error)
    return res.status(500).render('error', { title: 'Something went wrong', error: 'server_error' })
  }
}
