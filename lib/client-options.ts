import { OidcError } from './errors.js'
import type { ClientAssertionOptions, OidcOptions } from './options.js'
import { audienceNames } from './protocol/client-assertion.js'
import type { ClientCredentials } from './provider/client-credentials.js'

const known = { method: true, key: true, algorithm: true, audience: true, header: true }

/** Bytes of the secret, RFC 7518 section 3.2. */
const secretLengths: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

/**
 * What this site proves with that it is the client it says it is.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function parseCredentials(
  { clientSecret: givenSecret, clientAuthentication }: OidcOptions,
  secretOfEnvironment: string | undefined,
): ClientCredentials {
  const clientSecret = givenSecret ?? secretOfEnvironment
  if (typeof clientAuthentication !== 'object') return { clientSecret, clientAuthentication }
  const { method, algorithm } = clientAuthentication
  checkNames('member of clientAuthentication', clientAuthentication, known)
  const common = {
    clientSecret,
    clientAuthentication: method,
    clientAssertionAlgorithm: algorithm,
    clientAssertionAudience: parseAudience(clientAuthentication.audience),
    clientAssertionHeader: parseHeader(clientAuthentication.header),
  }
  if (method === 'private_key_jwt') {
    const { key } = clientAuthentication
    if (typeof key !== 'object' || key === null)
      refuse('clientAuthentication.key has to be a private key: a KeyObject, a CryptoKey or a JWK')
    if (algorithm !== undefined && algorithm in secretLengths)
      refuse(`private_key_jwt does not sign with ${algorithm}; take client_secret_jwt for it`)
    return { ...common, clientKey: key }
  }
  if (method !== 'client_secret_jwt') {
    return refuse(`clientAuthentication.method is private_key_jwt or client_secret_jwt; give other methods as a string`)
  }
  checkSecret(clientSecret, algorithm)
  return common
}

function checkSecret(clientSecret: string | undefined, algorithm: string | undefined): void {
  if (algorithm === undefined) return
  const length = secretLengths[algorithm]
  if (length === undefined) refuse('client_secret_jwt signs with HS256, HS384 or HS512')
  else if (Buffer.byteLength(clientSecret ?? '') < length)
    refuse(`${algorithm} needs a clientSecret of at least ${length} bytes`)
}

/** Anything but a known name and a URL is a misspelt name. */
function parseAudience(audience: unknown): ClientAssertionOptions['audience'] {
  if (audience === undefined) return undefined
  const values: readonly unknown[] = Array.isArray(audience) ? audience : [audience]
  const isName = (value: string) => audienceNames.some(name => name === value)
  const valid = values.filter(value => typeof value === 'string' && (isName(value) || URL.canParse(value)))
  if (values.length === 0 || valid.length < values.length) {
    refuse(`clientAuthentication.audience takes ${audienceNames.join(', ')}, a URL, or a list of these`)
  }
  return audience as ClientAssertionOptions['audience']
}

function parseHeader(header: ClientAssertionOptions['header']): ClientAssertionOptions['header'] {
  if (header === undefined) return undefined
  if (typeof header !== 'object' || header === null) refuse('clientAuthentication.header is an object')
  checkNames('header member', header, { typ: true, kid: true, x5t: true, 'x5t#S256': true })
  for (const [name, value] of Object.entries(header)) {
    const isText = typeof value === 'string' && /^[\x20-\x7e]{1,512}$/.test(value)
    if (value === undefined || isText || (name === 'typ' && value === false)) continue
    refuse(`clientAuthentication.header.${name} is a string${name === 'typ' ? ', or false to leave it out' : ''}`)
  }
  return header
}

function checkNames(what: string, given: object, names: object): void {
  const unknown = Object.keys(given).find(name => !Object.hasOwn(names, name))
  if (unknown !== undefined) refuse(`there is no ${what} "${unknown}"; there are ${Object.keys(names).join(', ')}`)
}

function refuse(message: string): never {
  throw new OidcError('ERR_OIDC_OPTIONS', message)
}

/**
 * Whether PKCE is used. Without it a client has to prove itself at the token endpoint: a public client could not stop a stolen code at all,
 * because the code alone would be enough to get tokens for it. RFC 9700 sections 2.1.1 and 4.5.3.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function parsePkce(pkce: unknown, client: ClientCredentials): boolean {
  if (pkce === undefined || pkce === true) return true
  if (pkce !== false) refuse('pkce is true or false')
  if (isConfidential(client)) return false
  return refuse(
    'pkce: false needs a client that proves itself at the token endpoint: set clientSecret, or clientAuthentication with a private key, or leave pkce on',
  )
}

function isConfidential({ clientSecret, clientKey, clientAuthentication }: ClientCredentials): boolean {
  if (clientAuthentication === 'none') return false
  return clientKey !== undefined || (clientSecret !== undefined && clientSecret !== '')
}
