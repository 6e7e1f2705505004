import { OidcError } from './errors.js'
import type { OidcOptions } from './options.js'
import type { ClientCredentials } from './provider/client-credentials.js'

/** What this site proves with that it is the client it says it is. */
export function parseCredentials(
  { clientSecret, clientAuthentication }: OidcOptions,
  secretOfEnvironment: string | undefined,
): ClientCredentials {
  const secret = { clientSecret: clientSecret ?? secretOfEnvironment }
  if (typeof clientAuthentication !== 'object') return { ...secret, clientAuthentication }
  const { method, key, algorithm } = clientAuthentication
  return { ...secret, clientAuthentication: method, clientKey: key, clientAssertionAlgorithm: algorithm }
}

/**
 * Whether PKCE is used. Without it a client has to prove itself at the token endpoint: a public client could not stop a stolen code at all,
 * because the code alone would be enough to get tokens for it. RFC 9700 sections 2.1.1 and 4.5.3.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function parsePkce(pkce: unknown, client: ClientCredentials): boolean {
  if (pkce === undefined || pkce === true) return true
  if (pkce !== false) throw new OidcError('ERR_OIDC_OPTIONS', 'pkce is true or false')
  if (isConfidential(client)) return false
  throw new OidcError(
    'ERR_OIDC_OPTIONS',
    'pkce: false needs a client that proves itself at the token endpoint: set clientSecret, or clientAuthentication with a private key, or leave pkce on',
  )
}

function isConfidential({ clientSecret, clientKey, clientAuthentication }: ClientCredentials): boolean {
  if (clientAuthentication === 'none') return false
  return clientKey !== undefined || (clientSecret !== undefined && clientSecret !== '')
}
