/** Whether the host of a URL is this machine: `localhost`, `*.localhost`, `127.0.0.0/8` or `[::1]`. RFC 6761 section 6.3. */
export function isLoopback(url: URL): boolean {
  const { hostname } = url
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname) // the URL parser has brought every spelling of an IPv4 address to this one
  )
}

/** Whether secrets may travel to a URL: https, or http that does not leave this machine; and no credentials in it. */
export function isSecureUrl(url: URL): boolean {
  if (url.username !== '' || url.password !== '') return false
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url))
}

/**
 * Whether a value is an address that a provider of this issuer may name, as the endpoints of its metadata are: a URL that secrets may travel to, without a
 * fragment, and https where the issuer is.
 */
export function isProviderAddress(value: unknown, issuer: string): value is string {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  const url = new URL(value)
  return isSecureUrl(url) && url.hash === '' && (url.protocol === 'https:' || new URL(issuer).protocol === 'http:')
}
