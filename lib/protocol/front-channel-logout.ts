import { OidcError } from '../errors.js'
import { sanitize } from './printable.js'

/** What a front-channel logout request says. OpenID Connect Front-Channel Logout 1.0 section 3. */
export interface FrontChannelLogout {
  /** Older providers, IdentityServer3 among them, omit it: a `sid` that cannot be guessed is sufficient. */
  readonly iss?: string
  /**
   * What the `sid` may have been. Some providers put it into the address without encoding it, so that `+`, `%` and `&` in it can be read
   * in more than one way. A wrong guess finds no session. Empty: the provider names no session, and the one of the browser is meant.
   */
  readonly sids: readonly string[]
}

/** Characters of the whole query. */
const MAX_LENGTH = 4096

/**
 * Reads the query of a front-channel logout. Unknown parameters are ignored. `&amp;` before `iss` and `sid`, which a page that escapes
 * an address twice makes of `&`, is read as `&`.
 *
 * @throws {OidcError} ERR_OIDC_REQUEST_MALFORMED
 */
export function parseFrontChannelLogout(query: string): FrontChannelLogout {
  if (query.length > MAX_LENGTH) throw malformed('the query is too long')
  const unescaped = query.replace(/&amp;(?=(?:iss|sid)=)/g, '&')
  if (unescaped !== query) return parseFrontChannelLogout(unescaped)
  const fields = new URLSearchParams(query)
  const [iss, sid] = [single(fields, 'iss'), single(fields, 'sid')]
  if (sid === undefined && iss !== undefined) throw malformed('iss is present, but sid is missing')
  if (sid === undefined) return { sids: [] }
  const rest = /(?:^|[?&])sid=(.*)$/s.exec(query)?.[1] ?? ''
  const raw = rest.replace(/&.*$/s, '')
  return { ...(iss !== undefined && { iss }), sids: [...new Set([sid, decode(raw), raw, decode(rest)])] }
}

/**
 * Compares the `iss` of a request with the provider's.
 *
 * @throws {OidcError} ERR_OIDC_RESPONSE_ISSUER
 */
export function checkFrontChannelIssuer({ iss }: FrontChannelLogout, issuer: string): void {
  if (iss === undefined || iss === issuer) return
  const cause = { expected: issuer, actual: sanitize(iss) }
  throw new OidcError('ERR_OIDC_RESPONSE_ISSUER', 'the front-channel logout is from another issuer', { cause })
}

function single(fields: URLSearchParams, name: string): string | undefined {
  const values = fields.getAll(name)
  if (values.length > 1) throw malformed(`${name} occurs more than once`)
  if (values[0] === '') throw malformed(`${name} has no value`)
  return values[0]
}

/** Percent-encoding only: a plus is a plus. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function malformed(message: string): OidcError {
  return new OidcError('ERR_OIDC_REQUEST_MALFORMED', `front-channel logout: ${message}`)
}
