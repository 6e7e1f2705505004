import type { IncomingMessage } from 'node:http'
import { OidcError } from '../errors.js'
import { parseHost } from '../protocol/host.js'
import { addressOf } from './node-http.js'

/** Where the host stands in the target of a request for a forward proxy. RFC 9112 section 3.2.2. */
const AUTHORITY = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i

const REMEDY = 'a proxy in front of the site has to pass the header Host on as the browser sent it'

/**
 * The host that a request is for: that of its one `Host`, or of `:authority` in HTTP/2. `X-Forwarded-Host` and `Forwarded` are never read, because any client
 * can send them. RFC 9110 section 7.2.
 *
 * @throws {OidcError} ERR_OIDC_HOST_UNKNOWN where it has none, or says it twice
 */
export function hostOfRequest(req: IncomingMessage & { readonly originalUrl?: string }): string {
  const { headers } = req
  const authority = headers[':authority'] as string | undefined
  const [, target] = AUTHORITY.exec(addressOf(req)) ?? []
  const named = [authority, headers.host, target].filter(name => name !== undefined)
  if (named.length === 0) throw unknownHost('the request has no Host')
  if (countHosts(req) > 1) throw unknownHost('the request has more than one Host')
  const [host, ...others] = named.map(parseHost)
  if (host === undefined) throw unknownHost('the Host of the request is none, or is written in an unusual way')
  if (others.some(other => other !== host)) throw unknownHost('the request says two hosts')
  return host
}

/** For a host that the site does not have. What it is called is not repeated: the sender chose it. */
export function unlistedHost({ headers }: IncomingMessage): OidcError {
  const hint = headers['x-forwarded-host'] === undefined ? '' : '; X-Forwarded-Host is not read'
  return unknownHost(`the Host of the request is not one of the option baseUrl: ${REMEDY}${hint}`)
}

/** Node keeps the first of several, and a server before it may have meant another. RFC 9112 section 3.2. */
function countHosts({ rawHeaders }: IncomingMessage): number {
  return rawHeaders.filter((name, at) => at % 2 === 0 && name.toLowerCase() === 'host').length
}

function unknownHost(message: string): OidcError {
  return new OidcError('ERR_OIDC_HOST_UNKNOWN', message)
}
