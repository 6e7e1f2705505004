import { jsonObject } from '../validation/json-rule.js'
import { object, type RulesFor } from '../validation/object-rule.js'
import { callback, nonEmptyString, secret, string } from '../validation/rules.js'
import type { RegisteredClient } from './registered-client.js'

/** What a request about a registered client may need. */
export interface ClientOptions {
  /** Which of several providers: its name in `providers`, or for `resolveProvider`. Default: `defaultProvider`, or the only one. */
  readonly provider?: string | undefined
  /**
   * Keeps the client. It is called before the promise resolves, also where a read or an update has brought another secret or token, and may take as long as
   * `timeouts.provider`. Where it fails, the promise is rejected with ERR_OIDC_OPTIONS, and a client that was registered just now is deleted again.
   */
  readonly save?: ((client: RegisteredClient) => void | Promise<void>) | undefined
}

/** What a change of a registered client may need. */
export interface UpdateOptions extends ClientOptions {
  /**
   * More members, with the names of RFC 7591 section 2: `client_name`, `logo_uri`, `contacts`. They win over those that follow from the options; `null` leaves
   * one out.
   */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  /** A statement about this client that an authority has signed; it is passed on as it is. RFC 7591 section 2.3. */
  readonly softwareStatement?: string | undefined
}

/** What the registration of a client may need. */
export interface RegisterOptions extends UpdateOptions {
  /** The token that the provider wants to see before it registers clients. RFC 7591 section 3. */
  readonly initialAccessToken?: string | undefined
}

const token = secret(string('a token: printable ASCII characters without spaces', /^[\x21-\x7e]+$/))

const common = {
  provider: nonEmptyString,
  save: callback<NonNullable<ClientOptions['save']>>('a function that takes the client'),
}
const forClient = object(common satisfies RulesFor<ClientOptions>)
const change = { ...common, metadata: jsonObject, softwareStatement: token }
const forUpdate = object(change satisfies RulesFor<UpdateOptions>)
const forRegistration = object({ ...change, initialAccessToken: token } satisfies RulesFor<RegisterOptions>)

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export const readRegisterOptions = (given: unknown = {}) =>
  forRegistration.read(given, { of: 'registerClient', path: '' })

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export const readUpdateOptions = (given: unknown = {}) => forUpdate.read(given, { of: 'updateClient', path: '' })

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export const readClientOptions = (of: string, given: unknown = {}) => forClient.read(given, { of, path: '' })
