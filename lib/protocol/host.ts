/** Labels, an IPv4 or an IPv6 address, and perhaps a port. What a URL could write in another way is none. */
const HOST = /^(?:[a-z\d_-]+(?:\.[a-z\d_-]+)*|\[[\da-f:.]+\])(?::[1-9]\d{0,4})?$/

/** Characters of the longest name (RFC 1035 section 2.3.4) and of a port. */
const LONGEST = 253 + 6

/**
 * A `Host` in the one spelling that a URL has for it, in lower case. `undefined`: it is none, or it has another spelling, such as a dot at its end. RFC 9110
 * section 7.2.
 */
export function parseHost(text: string): string | undefined {
  const host = text.length > LONGEST ? '' : text.toLowerCase()
  if (!HOST.test(host) || !URL.canParse(`http://${host}`)) return undefined
  const { hostname, port } = new URL(`http://${host}`)
  // The parser drops the port 80.
  return host === hostname || host === `${hostname}:${port || '80'}` ? host : undefined
}

/** Every `Host` that a request for this URL may have: some proxies add the port that is the default. */
export function hostsOf({ protocol, hostname, port, host }: URL): readonly string[] {
  return port === '' ? [host, `${hostname}:${protocol === 'https:' ? 443 : 80}`] : [host]
}

/** Without the port that https has by default. */
export function withoutDefaultPort(host: string): string {
  return host.replace(/:443$/, '')
}
