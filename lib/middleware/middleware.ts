import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRareLog } from '../diagnostics/rare-log.js'
import { abandon, handleError } from '../http/error-response.js'
import { type HttpRequest, type Next, responseFor } from '../http/node-http.js'
import { refuseHost } from '../http/refused-host.js'
import { findRequestState } from '../http/request-state.js'
import type { Services } from '../options/config.js'
import type { Hosts } from '../options/hosts.js'
import type { ProviderConfiguration, SeveralProviders } from '../options/several-providers.js'
import { createProvider } from '../provider/provider.js'
import { findProvider } from '../sign-in/choose-provider.js'
import { createTokenServices, type TokenServices } from '../tokens/token-services.js'
import { refuse } from '../validation/place.js'
import { checkRawRequest } from './argument-rules.js'
import { createHostServices, type SharedServices } from './host-services.js'
import { createHostSelection } from './hosts.js'
import { createProviders, type ProviderServices, type Providers } from './providers.js'
import { createReceiver, type Received } from './receive.js'
import type { OidcUser } from './request.js'
import { createRouteTable } from './routes.js'

/** The middleware: how a request comes in, and how one without a response is looked at. */
export interface Middleware {
  /** Loads what belongs to the request, gives it `req.session` and `req.oidc`, and handles it if it is for one of our routes. */
  receive(req: HttpRequest, res: unknown, next: Next): void
  /** The signed-in user of a raw request, such as a WebSocket upgrade. Gives it `req.session` and `req.oidc`, too. */
  authenticate(req: IncomingMessage): Promise<OidcUser | undefined>
  /** An error handler for the end of the app. From now on every error goes to `next`. */
  errorHandler(): ErrorHandler
  /** Where the site has several. */
  readonly providers: Providers | undefined
  /** How many hosts that a function has found are kept. */
  countHosts(): number
  /**
   * What belongs to the provider that a method of this instance, `of`, was given.
   * @throws {OidcError} ERR_OIDC_OPTIONS for a name on a site with one provider, and without one where the site has several
   */
  servicesFor(of: string, name: string | undefined): Promise<ProviderServices>
}

/** Four parameters: that is how Express and Connect know an error handler. */
export type ErrorHandler = (error: unknown, req: IncomingMessage, res: ServerResponse, next: Next) => void

/** What an instance is made of. */
interface Parts {
  readonly services: Services
  readonly tokens: TokenServices
  readonly hosts: Hosts
  readonly several?: SeveralProviders | undefined
}

export function createMiddleware({ services, tokens, hosts, several }: Parts): Middleware {
  const { config, store } = services
  const shared: SharedServices = {
    own: { ...services, ...tokens },
    instance: config,
    rareLog: createRareLog(config.log),
    errorHandling: { isMade: false },
    providers: several && createProviders(several, found => startProvider(found, store)),
  }
  const selection = createHostSelection(hosts, address => createHostServices(shared, address))
  const { receive, authenticate } = createReceiver(config, createRouteTable(config))

  /** A request waits only where the site has to be asked for its host. */
  function receiveAtHost(received: Received): void {
    const refuse = (error: unknown) => refuseHost(received, error, { config, rareLog: shared.rareLog })
    let found: ReturnType<typeof selection.of>
    try {
      found = selection.of(received.req)
    } catch (error) {
      refuse(error)
      return
    }
    if (!(found instanceof Promise)) receive(found, received)
    else
      found
        .then(host => receive(host, received), refuse)
        .catch(error => abandon({ ...received, services: { config } }, error))
  }

  return {
    providers: shared.providers,
    countHosts: selection.count,
    servicesFor: (of, name) => servicesFor(shared, of, name),
    receive(req, given, next) {
      const received = { req, res: responseFor(req, given), next }
      if (selection.only === undefined) receiveAtHost(received)
      else receive(selection.only, received)
    },
    errorHandler() {
      shared.errorHandling.isMade = true
      return (error, req, _res, next) => handleError(findRequestState(req)?.context, error, next)
    },
    async authenticate(req) {
      checkRawRequest(req, 'oidc.authenticate')
      return authenticate(await selection.of(req), req)
    },
  }
}

/** Makes what belongs to one of several providers. */
function startProvider({ config, provider }: ProviderConfiguration, store: Services['store']): ProviderServices {
  const own = { config, provider: createProvider(provider), store }
  return { ...own, ...createTokenServices(own) }
}

async function servicesFor(
  { providers, own }: Pick<SharedServices, 'providers' | 'own'>,
  of: string,
  name: string | undefined,
): Promise<ProviderServices> {
  if (providers === undefined && name !== undefined)
    refuse(`${of}: provider must be left out: this site has one provider only`)
  if (providers === undefined) return own
  return name === undefined
    ? refuse(`${of}: provider is missing: this site has several providers`)
    : findProvider(providers, name)
}
