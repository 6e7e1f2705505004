import { createLogoutCookie } from '../http/logout-cookie.js'
import type { MiddlewareServices, ProviderSelection } from '../http/request-context.js'
import { createTransactionCookie } from '../http/transaction-cookie.js'
import { createTransactions } from '../http/transaction-state.js'
import { atHost } from '../options/config.js'
import type { HostAddress } from '../options/hosts.js'
import { createExternalSession } from '../session/external-session.js'
import { createManagedSession } from '../session/managed-session.js'
import { storeAtHost } from '../store/host-store.js'
import type { ProviderServices, Providers } from './providers.js'

/** What is the same at all hosts of a site. */
export interface SharedServices extends Pick<MiddlewareServices, 'instance' | 'rareLog' | 'errorHandling'> {
  /** Of the site, or of its one provider. */
  readonly own: ProviderServices
  /** Where the site has several. */
  readonly providers: Providers | undefined
}

/** Makes what belongs to one host: its cookies, its sessions, and what sends the browser to a provider and back. Provider and tokens are shared. */
export function createHostServices(
  { instance, rareLog, errorHandling, own, providers }: SharedServices,
  { baseUrl, provider: onlyProvider }: HostAddress,
): MiddlewareServices {
  const { hasSeveralHosts } = instance
  const store = hasSeveralHosts ? storeAtHost(own.store, baseUrl) : own.store
  const site = atHost(own.config, baseUrl)
  const { session: policy } = site
  const transactionCookie = createTransactionCookie(site, store)
  const shared = {
    site,
    instance,
    store,
    sessionBinding:
      policy === false ? createExternalSession(store) : createManagedSession(site, policy, store, transactionCookie),
    transactionCookie,
    logoutCookie: createLogoutCookie(site, store.sealer),
    rareLog,
    errorHandling,
    providers: providers && selectionOf(providers, onlyProvider, services => atThisHost(services)),
  }
  const made = new WeakMap<ProviderServices, MiddlewareServices>()

  /** Of many hosts, each with many providers, not every pair is kept. */
  function atThisHost(services: ProviderServices): MiddlewareServices {
    const known = made.get(services)
    if (known !== undefined) return known
    const config = services === own ? site : atHost(services.config, baseUrl)
    const found = { ...services, ...shared, config, transactions: createTransactions({ config, store }) }
    if (!hasSeveralHosts) made.set(services, found)
    return found
  }

  return atThisHost(own)
}

function selectionOf(
  { defaultName, page, find }: Providers,
  only: string | undefined,
  atHost: (services: ProviderServices) => MiddlewareServices,
): ProviderSelection {
  return {
    defaultName: only ?? defaultName,
    page: only === undefined ? page : undefined,
    async find(name) {
      const found = only === undefined || name === only ? await find(name) : undefined
      return found && atHost(found)
    },
  }
}
