import type { ProviderError } from '../errors.js'
import { isRecord } from './json.js'

/** Characters that are kept of each member. */
const LONGEST = { error: 100, error_description: 300, error_uri: 200 } as const

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i

/**
 * Reads what a provider says about a failure, and makes it fit for a log: one line, of bounded length, without control characters and markup,
 * without what was sent, and without anything that looks like a token or an e-mail address. RFC 6749 sections 4.1.2.1 and 5.2.
 *
 * @param source - a JSON object, or parameters by their names
 * @param sent - secrets of the request, which a provider may repeat
 */
export function parseProviderError(source: unknown, sent: readonly string[] = []): ProviderError | undefined {
  if (!isRecord(source)) return undefined
  // A code has printable ASCII only. RFC 6749 appendix A.7.
  const error = harmless(source.error, LONGEST.error, sent)
    ?.replace(/[^\x21-\x7e]+/g, ' ')
    .trim()
  if (error === undefined || error === '') return undefined
  const error_description = harmless(source.error_description, LONGEST.error_description, sent)
  const error_uri = harmless(source.error_uri, LONGEST.error_uri, sent)
  return {
    error,
    ...(error_description !== undefined && { error_description }),
    ...(error_uri !== undefined && /^https?:\/\/\S+$/.test(error_uri) && { error_uri }),
  }
}

/** One line for the log. */
export function formatProviderError({ error, error_description, error_uri }: ProviderError): string {
  const words = [error_description && JSON.stringify(error_description), error_uri && `(${error_uri})`]
  return [error, ...words.filter(Boolean)].join(' ')
}

/** The parameters of a `WWW-Authenticate` header, whatever its scheme. RFC 6750 section 3, RFC 9110 section 11.6.1. */
export function parseChallenge(header: string | null): Readonly<Record<string, string>> {
  const pairs = (header ?? '').slice(0, 4096).matchAll(/([\w-]{1,40})=(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g)
  return Object.fromEntries([...pairs].map(([, name = '', quoted, plain = '']) => [name, unquote(quoted) ?? plain]))
}

function unquote(quoted: string | undefined): string | undefined {
  return quoted?.replace(/\\(.)/g, '$1')
}

function harmless(value: unknown, longest: number, sent: readonly string[]): string | undefined {
  if (typeof value !== 'string') return undefined
  // What lies far behind the end is not worth the work, and what is cut in two at the end may no longer look like a secret.
  const text = sent
    .filter(secret => secret.length >= 6)
    .reduce((rest, secret) => rest.replaceAll(secret, '…'), value.slice(0, 8192))
    .replace(/[\p{C}\p{Z}\s]+/gu, ' ')
    .replace(/[<>]/g, bracket => (bracket === '<' ? '‹' : '›'))
    .replace(/[^\s"'(),;:]+/g, word => (word.includes('@') ? '…' : word))
    .replace(/\beyJ[\w.-]{8,}/g, '…')
    .replace(/[\w~+=%-]{16,}/g, word => (looksRandom(word) ? '…' : word))
    .trim()
  if (text.length <= longest) return text === '' ? undefined : text
  return `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}…`
}

/** Letters and digits, or letters of both kinds, without the look of words. Names of requests, to ask the provider about them, are UUIDs. */
function looksRandom(word: string): boolean {
  if (UUID.test(word)) return false
  const count = (pattern: RegExp) => word.match(pattern)?.length ?? 0
  const [upper, lower, digits] = [count(/[A-Z]/g), count(/[a-z]/g), count(/\d/g)]
  // Words in camel case have few capitals.
  return digits > 0 ? upper + lower > 0 : Math.min(upper, lower) > word.length / 4
}

/** Error codes for `prompt=none`, which are expected results. OpenID Connect Core 1.0 section 3.1.2.6. */
const silentRefusals = ['login_required', 'interaction_required', 'consent_required', 'account_selection_required']

/** Whether the provider refused a sign-in that was asked for with `prompt=none`, because a page would be needed. */
export function isSilentRefusal(providerError: ProviderError | undefined): boolean {
  return providerError !== undefined && silentRefusals.includes(providerError.error)
}
