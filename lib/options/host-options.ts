/** One of several addresses of a site. */
export interface HostOptions {
  /** Where browsers reach the site, as `baseUrl`. No two addresses have the same host. */
  readonly url: string
  /** The only provider at this address, by its name, on a site with several. Default: all of them. */
  readonly provider?: string | undefined
}

/**
 * Finds the address for a host, such as `www.example.com` or `localhost:3000`; `undefined`: the site has no such host. The result is used for five
 * minutes, by this process, for at most 500 hosts. Errors are ERR_OIDC_HOST_UNAVAILABLE.
 */
export type HostFunction = (
  host: string,
) => string | HostOptions | undefined | Promise<string | HostOptions | undefined>
