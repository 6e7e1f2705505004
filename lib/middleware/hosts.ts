import type { IncomingMessage } from 'node:http'
import type { MiddlewareServices } from '../http/request-context.js'
import { hostOfRequest, unlistedHost } from '../http/request-host.js'
import type { HostAddress, Hosts } from '../options/hosts.js'
import { withoutDefaultPort } from '../protocol/host.js'
import { createResolved } from './resolved.js'

/** The hosts of a site. */
export interface HostSelection {
  /** Of a site that has one, whatever a request says. */
  readonly only: MiddlewareServices | undefined
  /**
   * What belongs to the host of a request.
   * @throws {OidcError} ERR_OIDC_HOST_UNKNOWN; ERR_OIDC_HOST_UNAVAILABLE where the site could not say; ERR_OIDC_OPTIONS
   */
  of(req: IncomingMessage): MiddlewareServices | Promise<MiddlewareServices>
  /** How many of the resolved ones are kept. */
  count(): number
}

/** @param make - makes what belongs to a host, when the first request for it comes */
export function createHostSelection(
  { only: address, listed, resolve }: Hosts,
  make: (address: HostAddress) => MiddlewareServices,
): HostSelection {
  const made = new Map<HostAddress, MiddlewareServices>()
  const resolved = createResolved<MiddlewareServices>({
    async ask(host) {
      const address = await resolve?.(host)
      return address && { returned: `${address.baseUrl} ${address.provider ?? ''}`, make: () => make(address) }
    },
    failure: { code: 'ERR_OIDC_HOST_UNAVAILABLE', message: 'the function baseUrl failed' },
  })

  async function find(req: IncomingMessage, host: string): Promise<MiddlewareServices> {
    const found = await resolved.find(withoutDefaultPort(host))
    if (found !== undefined) return found
    throw unlistedHost(req)
  }

  const only = address && make(address)
  return {
    only,
    of(req) {
      if (only !== undefined) return only
      const host = hostOfRequest(req)
      if (resolve !== undefined) return find(req, host)
      const address = listed.get(host)
      if (address === undefined) throw unlistedHost(req)
      const known = made.get(address) ?? make(address)
      made.set(address, known)
      return known
    },
    count: () => resolved.values().length,
  }
}
