import { OidcError } from '../errors.js'
import { hostsOf } from '../protocol/host.js'
import { callSite } from '../provider/client-key.js'
import { refuse } from '../validation/place.js'
import { timeoutOf } from './client-options.js'
import type { HostFunction } from './host-options.js'
import { hostResult } from './host-rules.js'
import type { ReadOptions } from './option-descriptions.js'

/** Where the site is, at one of its hosts. */
export interface HostAddress {
  /** Origin and path, without a trailing slash. */
  readonly baseUrl: string
  /** The only provider there, by its name. Left out: all of them. */
  readonly provider?: string
}

/** Where the site is. */
export interface Hosts {
  /** What diagnostics call the site. */
  readonly siteName: string
  /** The one address, whatever a request says. Left out: the `Host` of a request decides. */
  readonly only?: HostAddress
  /** Those that the options list, by each `Host` that a request for them may have. */
  readonly listed: ReadonlyMap<string, HostAddress>
  /** Asks the site for another one. Left out: there are no others. @throws {OidcError} ERR_OIDC_HOST_UNAVAILABLE, ERR_OIDC_OPTIONS */
  readonly resolve?: (host: string) => Promise<HostAddress | undefined>
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function readHosts(options: ReadOptions): Hosts {
  const { baseUrl } = options
  if (typeof baseUrl === 'string') return { siteName: baseUrl, only: { baseUrl }, listed: new Map() }
  if (typeof baseUrl === 'function')
    return { siteName: 'several hosts', listed: new Map(), resolve: host => ask(baseUrl, host, options) }
  const listed = new Map<string, HostAddress>()
  baseUrl.forEach(({ url, provider }, at) => {
    checkProvider(options, `baseUrl[${at}].provider`, provider)
    const address = Object.freeze({ baseUrl: url, ...(provider !== undefined && { provider }) })
    for (const host of hostsOf(new URL(url))) {
      if (listed.has(host))
        refuse(
          `baseUrl[${at}] has the host of an address before it, and a request says no more than its host: one of them has to go, or needs an instance of its own`,
        )
      listed.set(host, address)
    }
  })
  return { siteName: baseUrl[0]?.url ?? '', listed }
}

/** Every address that the options list. */
export function addressesOf({ only, listed }: Hosts): readonly HostAddress[] {
  return only === undefined ? [...new Set(listed.values())] : [only]
}

async function ask(given: HostFunction, host: string, options: ReadOptions): Promise<HostAddress | undefined> {
  let returned: unknown
  try {
    returned = await callSite('baseUrl', () => given(host), timeoutOf(options))
  } catch (cause) {
    throw new OidcError('ERR_OIDC_HOST_UNAVAILABLE', 'the function baseUrl failed', { cause })
  }
  if (returned === undefined || returned === null) return undefined
  const path = `baseUrl("${host}")`
  const { url, provider } = hostResult.read(returned, { path })
  // An address elsewhere would send the users of one host to another.
  if (!hostsOf(new URL(url)).includes(host)) refuse(`${path} must be an address at that host, but it is one at another`)
  checkProvider(options, `${path}.provider`, provider)
  return { baseUrl: url, ...(provider !== undefined && { provider }) }
}

/** One that is not there would leave a host without any. */
function checkProvider({ providers, resolveProvider }: ReadOptions, path: string, name: string | undefined): void {
  if (name === undefined || resolveProvider !== undefined) return
  if (providers === undefined) refuse(`${path} needs providers or resolveProvider`)
  else if (!Object.hasOwn(providers, name)) refuse(`${path} must be one of providers, but there is no "${name}"`)
}
