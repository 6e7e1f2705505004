import type { ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import { inspect } from 'node:util'
import express5, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import {
  OidcError,
  type OidcOptions,
  type OpenIdConnect,
  openIdConnect,
  requiresAuth,
  requiresClaim,
  type SeveralProvidersOptions,
} from '../../lib/index.js'
import { startLoopbackServer } from './loopback-server.js'
import { checkNothingPersonal, secret } from './secrets.js'

export interface SiteOptions {
  /** Options of the middleware; what is left out of `baseUrl`, `secret` and `log` is filled in. */
  readonly oidc: OidcOptions | SeveralProvidersOptions
  /** Default 5. */
  readonly express?: 4 | 5
  /** Host in `baseUrl`. Default `localhost`, another site than a provider on `127.0.0.1`. */
  readonly host?: string
  readonly port?: number
  /** Mounts something before the middleware. */
  readonly before?: (app: Express) => void
  /** Adds routes behind the middleware. */
  readonly routes?: (app: Express) => void
  /** Whether the site has an error handler of its own, which records and answers in JSON. Default true. */
  readonly handlesErrors?: boolean
}

export interface Site {
  readonly url: string
  readonly oidc: OpenIdConnect
  readonly app: Express
  /** What reached the site's error handler. */
  readonly errors: unknown[]
  /** What the middleware wrote to its log. */
  readonly log: readonly string[]
  /** Code of the last error, or `undefined`. */
  lastCode(): string | undefined
  /** Also makes sure that no secret is in the log, in an error with all its causes, or in a response that is no success. */
  close(): Promise<void>
}

const express4 = createRequire(import.meta.url)('express4') as typeof express5

/** A small site that uses the middleware as its README says, on a free loopback port. */
export async function startSite(options: SiteOptions): Promise<Site> {
  const app = (options.express === 4 ? express4 : express5)()
  const failures: string[] = []
  const server = await startLoopbackServer((req, res) => {
    recordFailure(res, failures)
    ;(app as RequestHandler as Parameters<typeof startLoopbackServer>[0])(req, res)
  }, options.port)
  const url = `http://${options.host ?? 'localhost'}:${server.port}`
  const errors: unknown[] = []
  const log: string[] = []
  const given = {
    baseUrl: url,
    secret: secret('session secret'),
    log: (line: string) => log.push(line),
    ...options.oidc,
  }
  let oidc: OpenIdConnect
  try {
    oidc = openIdConnect(given as OidcOptions)
  } catch (error) {
    // A server that goes on listening would keep the test file from ending.
    await server.stop()
    throw error
  }

  options.before?.(app)
  app.use(oidc)
  addRoutes(app)
  options.routes?.(app)
  if (options.handlesErrors ?? true) app.use(createErrorHandler(errors))

  return {
    url,
    oidc,
    app,
    errors,
    log,
    lastCode() {
      const error = errors.at(-1)
      return error instanceof OidcError ? error.code : undefined
    },
    async close() {
      await server.stop()
      await oidc.close()
      checkNothingPersonal(log.join('\n'), 'the log of the site')
      checkNothingPersonal(failures.join('\n'), 'a response of the site that is no success')
      checkNothingPersonal(
        errors.map(error => inspect(error, { depth: 10, showHidden: true })).join('\n'),
        'an error of the site',
      )
    },
  }
}

/** Everything in the response to a failed request, headers included; a new cookie is for that browser alone. */
function recordFailure(res: ServerResponse, failures: string[]): void {
  const keep = (chunk: unknown) => {
    if (res.statusCode < 400 || !(typeof chunk === 'string' || chunk instanceof Uint8Array)) return
    const { 'set-cookie': _, ...headers } = res.getHeaders()
    failures.push(JSON.stringify(headers), Buffer.from(chunk as string).toString())
  }
  for (const name of ['write', 'end'] as const) {
    const usual = res[name].bind(res) as (...args: unknown[]) => never
    res[name] = ((...args: unknown[]) => {
      keep(args[0])
      return usual(...args)
    }) as never
  }
}

function createErrorHandler(errors: unknown[]): ErrorRequestHandler {
  return (error, _req, res, _next) => {
    errors.push(error)
    const isOurs = error instanceof OidcError
    res.status(isOurs ? error.status : 500).json({ code: isOurs ? error.code : String(error) })
  }
}

/** Express 4 does not see a promise that is rejected. */
function catching(response: (...args: Parameters<RequestHandler>) => unknown): RequestHandler {
  return (req, res, next) => {
    Promise.resolve()
      .then(() => response(req, res, next))
      .catch(next)
  }
}

function addRoutes(app: Express): void {
  app.get('/', (_req, res) => void res.send('<h1>Home</h1>'))
  app.get(
    '/user',
    (req, res) => void res.json({ isAuthenticated: req.oidc.isAuthenticated, user: req.oidc.user ?? null }),
  )
  app.get('/claims', requiresAuth(), (req, res) => void res.json(req.oidc.user))
  app.get('/editors', requiresClaim('role', 'editor'), (_req, res) => void res.json({ welcome: true }))
  app.get(
    '/token',
    requiresAuth(),
    catching(async (req, res) => res.json(await req.oidc.accessToken())),
  )

  // The query is what is stored, so that no body parser is needed.
  app.get('/session', (req, res) => void res.json(contentOf(req.session)))
  app.post('/session', (req, res) => {
    Object.assign(req.session, req.query)
    res.json(contentOf(req.session))
  })
  app.delete('/session', (req, res, next) => req.session.destroy(error => (error ? next(error) : res.json({}))))
}

function contentOf(session: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(session).filter(([key]) => key !== 'cookie'))
}
