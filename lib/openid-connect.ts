import type { IncomingMessage, ServerResponse } from 'node:http'
import type { RequestHandler } from 'express'
import { createProxy } from './api/proxy.js'
import type { ProxyOptions } from './api/proxy-options.js'
import { startReadableLog } from './diagnostics/readable-log.js'
import type { Next } from './http/node-http.js'
import { createInspector } from './inspector/inspector.js'
import { readClientCredentials } from './middleware/argument-rules.js'
import { createGuards, type Guards } from './middleware/guards.js'
import { createMiddleware } from './middleware/middleware.js'
import type { OidcUser } from './middleware/request.js'
import { createWatch, type WatchOptions } from './middleware/watch.js'
import { parseOptions } from './options/parse-options.js'
import type { OneProviderOptions, SeveralProvidersOptions } from './options/provider-options.js'
import { createProvider } from './provider/provider.js'
import { createSessions, type OidcSessions } from './sign-out/sessions.js'
import { createRecordStore } from './store/store.js'
import type { AccessToken } from './tokens/access-tokens.js'
import type { ClientCredentialsOptions } from './tokens/client-tokens.js'
import { createTokenServices } from './tokens/token-services.js'

/** What a load balancer wants to know. Nothing in it is secret. */
export interface Health {
  /** Whether requests can be served, that is, whether the session store responds. */
  readonly ok: boolean
  /** Redis, or the memory of the process, which is always available. */
  readonly store: {
    /** Whether it responded to a `PING` just now. */
    readonly reachable: boolean
  }
  /** Users who are signed in stay signed in while the provider is not available. */
  readonly provider: {
    /** Whether its metadata is known, and the last attempt to reach it went well. */
    readonly reachable: boolean
    /** Code of the last failure, where there was one since. */
    readonly error?: string
  }
}

/** The Express handler, and what can be asked of it. */
export interface OpenIdConnect extends Guards {
  /**
   * Gives the request `req.session` and `req.oidc`, and responds to the sign-in routes. Needs nothing of Express: a plain server of `node:http`,
   * Connect and the handshake of a WebSocket will do. Where the response cannot be used, as in a handshake, errors go to `next`.
   */
  (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void): void
  /**
   * Resolves when the store responds and the provider's metadata and keys are known.
   * @throws {OidcError} what is missing now; the middleware goes on trying in the background
   */
  ready(): Promise<void>
  /** What can be reached right now. Never rejects. */
  health(): Promise<Health>
  /** Waits for refreshes that are under way, ends background work, and the Redis connection where this package opened it. */
  close(): Promise<void>
  /**
   * The signed-in user of a raw request, such as a WebSocket upgrade, which gets `req.session` and `req.oidc` by it. With
   * `session: false`, run the site's session middleware on it first.
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, ERR_OIDC_OPTIONS for what is no request of Node
   */
  authenticate(req: IncomingMessage): Promise<OidcUser | undefined>
  /**
   * Tells what outlives its request, such as a WebSocket or a stream of server-sent events, that the session it began with has ended: within a
   * second, whichever process ends it, and within two seconds after its time is over. Where Redis does not allow `SUBSCRIBE`, or is away, it takes two seconds more, or until Redis is back. Where
   * the same user signs in again in the same browser, the watch goes on with the new session. A watch does not extend the session.
   *
   * `req` has passed the middleware or {@link authenticate}. Nothing that a client does makes this throw, since that would end the process in an
   * `upgrade` listener: where `req` has no session of a signed-in user, `onEnd` is called soon, with `no-session`.
   *
   * @returns what stops the watch. Call it when the socket closes; later calls do nothing. {@link close} stops all of them, and calls no `onEnd`
   * @throws {OidcError} ERR_OIDC_OPTIONS for options that are not understood; ERR_OIDC_NOT_MOUNTED for a request that the middleware has not had;
   *   ERR_OIDC_STORE_UNAVAILABLE for one whose session could not be loaded
   */
  watch(req: IncomingMessage, options: WatchOptions): () => void
  /**
   * An access token for this site itself, shared by all its processes through Redis and fetched again before it expires. RFC 6749 section 4.4.
   * @throws {OidcError} ERR_OIDC_TOKEN_DENIED, ERR_OIDC_CLIENT_REJECTED, ERR_OIDC_PROVIDER_UNAVAILABLE while none is at hand;
   *   ERR_OIDC_OPTIONS for options that are not understood
   */
  clientCredentials(options?: ClientCredentialsOptions): Promise<AccessToken>
  /**
   * Forwards calls below `path`, made by this site's own scripts with the header `X-CSRF`, to an API with the user's access token, so
   * that no token reaches the browser: `app.use(oidc.proxy('/api', { target: 'https://api.example.com' }))`, behind the middleware.
   * @throws {OidcError} ERR_OIDC_OPTIONS
   */
  proxy(path: string, options: ProxyOptions): RequestHandler
  /**
   * A page for development that shows how the last sign-ins of this process went: every message, how long it took, and every check. It
   * remembers from the call on: `app.get('/how-you-signed-in', oidc.inspector())`.
   * @throws {OidcError} ERR_OIDC_OPTIONS where NODE_ENV is `production`
   */
  inspector(): RequestHandler
  /**
   * An error handler for the end of the app: `app.use(oidc.errorHandler())`. It shows the page of this package (JSON for programs) for errors
   * of this package, those that a route got from `req.oidc` included, and hands on all others. Without it that page is shown where the
   * app has no error handler at all; mount it behind handlers that only report errors, such as those of Sentry.
   */
  errorHandler(): (error: unknown, req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void
  /** The sessions of this site's users: to list them, and to end them. */
  readonly sessions: OidcSessions
}

/**
 * Makes the middleware: `app.use(openIdConnect({...}))` gives every request `req.session` and `req.oidc` and handles the sign-in routes.
 * A provider or Redis that is down is no reason not to start.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a mistake in the options
 */
export function openIdConnect(options: OneProviderOptions | SeveralProvidersOptions = {}): OpenIdConnect {
  const { config, hosts, several, ...settings } = parseOptions(options, process.env)
  startReadableLog()
  const provider = createProvider(settings.provider)
  const store = createRecordStore(settings.store)
  const services = { config, provider, store }
  const tokens = createTokenServices(services)
  const middleware = createMiddleware({ services, tokens, hosts, several })
  const { providers } = middleware
  const known = providers === undefined ? [provider] : providers.listed.map(({ provider }) => provider)
  const inspector = createInspector(config.siteName, () => process.env.NODE_ENV === 'production')
  for (const one of known)
    one.warm().catch((error: Error) => config.log(`the provider is not ready yet: ${error.message}`))

  return Object.assign(middleware.receive as (req: IncomingMessage, res: ServerResponse, next: Next) => void, {
    async ready() {
      await Promise.all([store.ping(), ...known.map(one => one.warm())])
    },
    async health() {
      const reachable = await store.ping().then(
        () => true,
        () => false,
      )
      const states = known.map(one => one.health())
      const { error } = states.find(state => !state.reachable) ?? states.find(state => state.error !== undefined) ?? {}
      return {
        ok: reachable,
        store: { reachable },
        provider: { reachable: states.every(state => state.reachable), ...(error !== undefined && { error }) },
      }
    },
    async close() {
      inspector.stop()
      await tokens.whenIdle()
      await providers?.close()
      provider.close()
      await store.close()
    },
    // Of several hosts, each may have a provider of its own: that is known with the request.
    ...createGuards(config, several?.defaultName !== undefined || several === undefined || hosts.only === undefined),
    authenticate: middleware.authenticate,
    watch: createWatch(config, store),
    async clientCredentials(given?: ClientCredentialsOptions) {
      const { provider: name, ...wanted } = readClientCredentials(given)
      const { clientTokens } = await middleware.servicesFor('oidc.clientCredentials', name ?? providers?.defaultName)
      return clientTokens.get(wanted)
    },
    proxy: (path: string, proxyOptions: ProxyOptions) => createProxy(config, path, proxyOptions),
    inspector: inspector.handler,
    errorHandler: middleware.errorHandler,
    sessions: createSessions({
      config,
      store,
      configOf: async (of, name) => (await middleware.servicesFor(of, name)).config,
    }),
  })
}
