import type { OidcOptions } from '../options/options.js'
import type { ClientMetadata, RegistrationChange } from '../protocol/client-metadata.js'
import type { Registration } from '../protocol/registration-response.js'
import type { ManagedClient } from '../provider/registration-endpoint.js'
import { jsonObject } from '../validation/json-rule.js'
import { object } from '../validation/object-rule.js'
import { refuse } from '../validation/place.js'
import { nonEmptyString, rule, secret } from '../validation/rules.js'
import { secureUrlText } from '../validation/url-rule.js'

/** A client that was registered: JSON, with secrets in it. */
export interface RegisteredClient {
  /** The provider that has registered it. */
  readonly issuer: string
  /** Options of the middleware: `openIdConnect({ ...options, ...client.credentials })`. */
  readonly credentials: RegisteredCredentials
  /** Seconds since the epoch, after which the provider does not take the client secret any more. Left out: it does not say so. */
  readonly clientSecretExpiresAt?: number | undefined
  /** The token for changes of the registration. Left out: the provider allows none. RFC 7592. */
  readonly registrationAccessToken?: string | undefined
  /** The address for changes of the registration. */
  readonly registrationClientUri?: string | undefined
  /** Everything that is registered, without secrets. RFC 7591 section 2. */
  readonly metadata: ClientMetadata
  /** What the provider has registered otherwise than it was requested. */
  readonly changes: readonly RegistrationChange[]
}

/** What the middleware needs of a registered client. */
export type RegisteredCredentials = Pick<OidcOptions, 'clientAuthentication'> & {
  /** `client_id`. */
  readonly clientId: string
  /** `client_secret`. Left out: the client has none. */
  readonly clientSecret?: string
}

/** What is kept of the client in between. Only a part of it is needed. */
const kept = object({
  issuer: secureUrlText(),
  credentials: object({
    clientId: nonEmptyString,
    clientSecret: secret(nonEmptyString),
    clientAuthentication: rule<unknown>('a method', (_value): _value is unknown => true),
  }),
  clientSecretExpiresAt: rule('a number', value => typeof value === 'number'),
  registrationAccessToken: secret(nonEmptyString),
  registrationClientUri: nonEmptyString,
  metadata: jsonObject,
  changes: rule('a list', value => Array.isArray(value)),
})

/**
 * Reads what a site has kept of a client.
 *
 * @param of - the function that was given it, for the message
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function readKept(of: string, client: unknown, issuer: string): ManagedClient {
  const {
    credentials,
    registrationAccessToken,
    registrationClientUri,
    issuer: own,
  } = kept.read(client, {
    of,
    path: 'client',
  })
  if (own !== issuer) refuse(`${of}: the client is registered at another provider than the options name`)
  const { clientId, clientSecret } = credentials ?? {}
  if (clientId === undefined || registrationAccessToken === undefined || registrationClientUri === undefined)
    refuse(`${of}: the client has no registrationAccessToken and registrationClientUri: its provider allows no changes`)
  return { clientId, clientSecret, registrationAccessToken, registrationClientUri }
}

/** The client as it is now: what a response does not repeat stays as it was. */
export function mergeRegistration(before: ManagedClient, now: Registration): Registration {
  const { clientSecret, registrationAccessToken, registrationClientUri } = before
  return { ...(clientSecret !== undefined && { clientSecret }), registrationAccessToken, registrationClientUri, ...now }
}
