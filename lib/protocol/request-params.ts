import { OidcError } from '../errors.js'
import { isRecord } from './json.js'

/**
 * Parameters a site adds to a request, by their names on the wire. An object (`claims`) and a list of objects (`authorization_details`, RFC
 * 9396 section 2) are sent as JSON; a list of strings is repeated for `resource` (RFC 8707 section 2) and joined by blanks for every other
 * name; `undefined` is left out.
 */
export type RequestParams = Readonly<
  Record<string, string | number | readonly string[] | readonly object[] | object | undefined>
>

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
  if (Array.isArray(value)) return textsOfList(name, value)
  if (typeof value === 'object' && value !== null) return [toJson(name, value)]
  throw unsendable(name)
}

function textsOfList(name: string, list: readonly unknown[]): readonly string[] {
  if (list.length === 0) return []
  if (list.every(isRecord)) return [toJson(name, list)]
  if (!list.every(isText)) throw unsendable(name)
  return name === 'resource' ? list.map(String) : [list.join(' ')]
}

function isText(value: unknown): boolean {
  return typeof value === 'string' || Number.isFinite(value)
}

function toJson(name: string, value: object): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value) as string | undefined
  } catch (cause) {
    throw unsendable(name, cause)
  }
  if (text === undefined) throw unsendable(name)
  return text
}

function unsendable(name: string, cause?: unknown): OidcError {
  const message = `the parameter "${name}" must be a string, a number, an object, a list of strings or a list of objects`
  return new OidcError('ERR_OIDC_OPTIONS', message, { cause })
}
