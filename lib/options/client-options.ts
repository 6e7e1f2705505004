import { isByCertificate } from '../protocol/client-authentication.js'
import type { ClientCredentials } from '../provider/client-credentials.js'
import { askSite, type ClientKeySource, type NamedClientKey, shareCalls } from '../provider/client-key.js'
import type { Decryption } from '../provider/decryption.js'
import type { RequestSigning } from '../provider/request-objects.js'
import { refuse } from '../validation/place.js'
import { readClientKey, readDecryptionKeys } from './credential-rules.js'
import type { ReadOptions } from './option-descriptions.js'
import type { ClientKeyFunction } from './options.js'
import { profileAlgorithms } from './profile.js'

/** In milliseconds. */
export const DEFAULT_TIMEOUTS = { provider: 10_000, redis: 800 }

/** What this site proves with that it is the client it says it is. */
export function parseCredentials(options: ReadOptions): ClientCredentials {
  const { clientAuthentication } = options
  const clientSecret = sharedSecret(options)
  if (typeof clientAuthentication !== 'object') return { clientSecret, clientAuthentication }
  const { method, algorithm, audience, header } = clientAuthentication
  return {
    clientSecret,
    clientAuthentication: method,
    clientAssertionAlgorithm: algorithm,
    clientAssertionAudience: audience,
    clientAssertionHeader: header,
    clientAssertionAlgorithms: profileAlgorithms(options),
    ...(method === 'private_key_jwt' && {
      clientKey: sourceOf(clientAuthentication.key, 'clientAuthentication.key', options),
    }),
  }
}

/** One call for all requests to the provider that are made at the same time, whichever endpoint they go to. */
function sharedSecret(options: ReadOptions): ReadOptions['clientSecret'] {
  const { clientSecret: given } = options
  return typeof given === 'function' ? shareCalls(() => askSite('clientSecret', given, timeoutOf(options))) : given
}

/** Milliseconds that a function of the site may take, as long as the provider itself may. */
export function timeoutOf({ timeouts }: ReadOptions): number {
  return timeouts?.provider ?? DEFAULT_TIMEOUTS.provider
}

/** The keys that tokens are encrypted to. */
export function parseDecryption(options: ReadOptions): Decryption | undefined {
  const { decryption } = options
  if (decryption === undefined) return undefined
  const { keys, idToken = false, userInfo = false, response = false } = decryption
  const read = async () =>
    readDecryptionKeys(await askSite<unknown>('decryption.keys', keys as () => unknown, timeoutOf(options)))
  return { readKeys: typeof keys === 'function' ? shareCalls(read) : async () => keys, idToken, userInfo, response }
}

/** What authorization requests are signed with. `undefined`: they are not. */
export function parseRequestSigning(options: ReadOptions): RequestSigning | undefined {
  const { requestObject = false, clientAuthentication } = options
  if (requestObject === false) return undefined
  const own = requestObject === true ? {} : requestObject
  const { algorithm, encryption = false } = own
  const wish = encryption === true ? {} : encryption
  const common = { allowed: profileAlgorithms(options), ...(wish !== false && { encryption: wish }) }
  if (own.key !== undefined)
    return { ...common, key: sourceOf(own.key, 'requestObject.key', options), algorithm, header: own.header }
  if (typeof clientAuthentication !== 'object' || clientAuthentication.method !== 'private_key_jwt')
    return refuse(
      'requestObject needs a key: set requestObject.key, or clientAuthentication with method "private_key_jwt"',
    )
  const { key, header, algorithm: usual } = clientAuthentication
  return {
    ...common,
    key: sourceOf(key, 'clientAuthentication.key', options),
    algorithm: algorithm ?? usual,
    header: own.header ?? header,
  }
}

/** What the function returns is checked each time; the same object is copied once. */
function sourceOf<K extends object>(
  key: K | ClientKeyFunction,
  option: string,
  options: ReadOptions,
): K | ClientKeySource {
  if (typeof key !== 'function') return key
  let known: { readonly returned: unknown; readonly read: NamedClientKey } | undefined
  return shareCalls(async () => {
    const returned: unknown = await askSite(option, key as ClientKeyFunction, timeoutOf(options))
    if (known === undefined || known.returned !== returned) known = { returned, read: readClientKey(returned, option) }
    return known.read
  })
}

/**
 * Without PKCE a client has to prove itself at the token endpoint: a public client could not stop a stolen code at all, because the
 * code alone would be enough to get tokens for it. RFC 9700 sections 2.1.1 and 4.5.3.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function checkPkce(options: ReadOptions): void {
  if (options.pkce !== false || isConfidential(parseCredentials(options))) return
  refuse(
    'pkce: false needs a client that authenticates at the token endpoint: set clientSecret, or clientAuthentication with a private key, or leave pkce on',
  )
}

function isConfidential({ clientSecret, clientKey, clientAuthentication }: ClientCredentials): boolean {
  if (clientAuthentication === 'none') return false
  if (isByCertificate(clientAuthentication)) return true
  return clientKey !== undefined || clientSecret !== undefined
}
