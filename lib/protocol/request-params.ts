import { OidcError } from '../errors.js'

/**
 * Parameters a site adds to a request, by their names on the wire. An object (`claims`) is sent as JSON; an array is repeated
 * for `resource` (RFC 8707 section 2) and joined by blanks for every other name; `undefined` is left out.
 */
export type RequestParams = Readonly<Record<string, string | number | readonly string[] | object | undefined>>

/**
 * Adds a site's own parameters to a query.
 *
 * @param reserved - names that belong to the protocol and cannot be replaced
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function setParams(query: URLSearchParams, params: RequestParams, reserved: readonly string[]): void {
  for (const [name, value] of Object.entries(params)) {
    if (value === undefined) continue
    if (reserved.includes(name)) throw new OidcError('ERR_OIDC_OPTIONS', `the parameter "${name}" cannot be replaced`)
    query.delete(name)
    for (const text of textsOf(name, value)) query.append(name, text)
  }
}

function textsOf(name: string, value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  if (Number.isFinite(value)) return [String(value)]
  if (Array.isArray(value)) return name === 'resource' ? value.map(String) : value.length > 0 ? [value.join(' ')] : []
  if (typeof value === 'object' && value !== null) return [JSON.stringify(value)]
  throw new OidcError('ERR_OIDC_OPTIONS', `the parameter "${name}" must be a string, a number, a list or an object`)
}
