import { OidcError, type OidcErrorCode, type ProviderError } from '../errors.js'
import { parseJson as parseExactly } from '../protocol/json.js'
import { printable } from '../protocol/printable.js'
import { parseChallenge, parseProviderError } from '../protocol/provider-error.js'
import type { ProviderResponse, ResponseHeaders } from './transport.js'

/** A response of the provider that was read to its end. The caller decides what its status means. */
export interface HttpResponse {
  readonly status: number
  /** Media type in lower case, without parameters; empty where the provider named none. */
  readonly contentType: string
  readonly headers: ResponseHeaders
  readonly text: string
  /** The error of an unsuccessful response, from its body or from `WWW-Authenticate`. */
  readonly providerError?: ProviderError
  /** @throws {OidcError} ERR_OIDC_PROVIDER_RESPONSE if the response does not have a JSON content type, or is not JSON. */
  json(): unknown
}

/**
 * @param code for a status that is about us or about what was asked, and not about the provider's own trouble
 * @throws {OidcError} `code`, or ERR_OIDC_PROVIDER_UNAVAILABLE for 429 and 5xx; the cause carries the status
 */
export function checkStatus(
  { status, providerError }: HttpResponse,
  what: string,
  code: OidcErrorCode = 'ERR_OIDC_PROVIDER_RESPONSE',
): void {
  if (status === 200) return
  const isTrouble = status === 429 || status >= 500
  const message = `the provider did not return ${what}`
  throw new OidcError(isTrouble ? 'ERR_OIDC_PROVIDER_UNAVAILABLE' : code, message, {
    cause: { status, ...(providerError && { error: providerError.error }) },
    providerError,
  })
}

/** @param sent - secrets of the request, which only an error is searched for */
export function createHttpResponse(
  { status, headers, text }: ProviderResponse,
  sent: () => readonly string[] = () => [],
): HttpResponse {
  const contentType = (headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const json = () => parseJson(contentType, text)
  const providerError = status < 400 ? undefined : readProviderError(json, headers, sent())
  return { status, contentType, headers, text, json, ...(providerError && { providerError }) }
}

/** An error page of a proxy in between is no JSON; the header may still say something. */
function readProviderError(
  json: () => unknown,
  headers: ResponseHeaders,
  sent: readonly string[],
): ProviderError | undefined {
  const challenge = () => parseProviderError(parseChallenge(headers.get('www-authenticate')), sent)
  try {
    return parseProviderError(json(), sent) ?? challenge()
  } catch {
    return challenge()
  }
}

function parseJson(contentType: string, text: string): unknown {
  if (!/^application\/(?:[\w.-]+\+)?json$/.test(contentType)) {
    const type = printable(contentType)
    const message = `the provider responded with something that is not JSON: its Content-Type is "${type}"; if it is JSON all the same, correct it at the provider, or give a fetch that does (docs/providers.md)`
    throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', message, { cause: { contentType: type } })
  }
  try {
    return parseExactly(text)
  } catch {
    // The parser's own message quotes the text, which may hold a token.
    throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the provider responded with invalid JSON')
  }
}
