import { OidcError } from '../errors.js'
import type { ClientMetadata } from './client-metadata.js'
import { isJsonObject, withoutNulls } from './json.js'
import { sanitize } from './printable.js'
import { isNumericDate } from './time.js'
import { isProviderAddress } from './url.js'

/** What the provider says about a client that it has registered. RFC 7591 section 3.2.1, RFC 7592 section 3. */
export interface Registration {
  readonly clientId: string
  readonly clientSecret?: string
  /** Seconds since the epoch. Left out: the secret does not expire, or the provider does not say when. */
  readonly clientSecretExpiresAt?: number
  readonly registrationAccessToken?: string
  readonly registrationClientUri?: string
  /** Everything that was registered, without the credentials. */
  readonly metadata: ClientMetadata
}

/** What a registration has to fit. */
export interface RegistrationExpectations {
  readonly issuer: string
  /** The client that the response has to be about. Left out: a new one. */
  readonly clientId?: string | undefined
}

/** Any printable characters without spaces at the ends, as the options `clientId` and `clientSecret` take them. RFC 6749 appendix A.1 and A.2. */
const CREDENTIAL = /^(?! )[\x20-\x7e]{1,4096}(?<! )$/

/** It is sent in a header. RFC 6750 section 2.1. */
const TOKEN = /^[\x21-\x7e]{1,16384}$/

const CREDENTIALS = ['client_secret', 'registration_access_token']

/**
 * Reads the description of a registered client. What is wrong in it is named, and not shown.
 *
 * @throws {OidcError} ERR_OIDC_REGISTRATION_RESPONSE
 */
export function parseRegistration(json: unknown, { issuer, clientId }: RegistrationExpectations): Registration {
  if (!isJsonObject(json)) throw wrong('it is not a JSON object, or nested too deep')
  const members = withoutNulls(json)
  const id = readText(members, 'client_id', CREDENTIAL)
  if (id === undefined) throw wrong('client_id is missing')
  if (clientId !== undefined && id !== clientId) throw wrong('it is about another client', id)
  const secret = readText(members, 'client_secret', CREDENTIAL)
  return {
    clientId: id,
    ...(secret !== undefined && { clientSecret: secret }),
    ...readExpiry(members),
    ...readManagement(members, issuer),
    metadata: Object.freeze(
      Object.fromEntries(Object.entries(members).filter(([name]) => !CREDENTIALS.includes(name))),
    ),
  }
}

function readText(members: ClientMetadata, name: string, pattern: RegExp): string | undefined {
  const value = members[name]
  if (value === undefined) return undefined
  if (typeof value === 'string' && pattern.test(value)) return value
  throw wrong(`${name} is not a string of printable ASCII characters without spaces at its ends`)
}

/** 0 stands for a secret that does not expire. */
function readExpiry({ client_secret_expires_at: at = 0 }: ClientMetadata): Pick<Registration, 'clientSecretExpiresAt'> {
  if (at === 0) return {}
  if (!isNumericDate(at) || at < 0) throw wrong('client_secret_expires_at is not a number of seconds', at)
  return { clientSecretExpiresAt: at }
}

/** Both, or neither. The token goes to the address, so that it is checked like every address of the provider. */
function readManagement(
  members: ClientMetadata,
  issuer: string,
): Pick<Registration, 'registrationAccessToken' | 'registrationClientUri'> {
  const { registration_client_uri: uri } = members
  const token = readText(members, 'registration_access_token', TOKEN)
  if (uri !== undefined && !isProviderAddress(uri, issuer))
    throw wrong(
      'registration_client_uri is neither an https URL nor, for an issuer of this machine, on this machine',
      uri,
    )
  return uri === undefined || token === undefined ? {} : { registrationAccessToken: token, registrationClientUri: uri }
}

function wrong(message: string, actual?: unknown): OidcError {
  const cause = actual === undefined ? undefined : { actual: sanitize(actual) }
  return new OidcError('ERR_OIDC_REGISTRATION_RESPONSE', `client registration response: ${message}`, { cause })
}
