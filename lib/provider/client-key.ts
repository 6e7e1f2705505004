import { OidcError } from '../errors.js'
import type { AssertionHeader, ClientPrivateKey } from '../protocol/client-assertion.js'

/** A key with the members of the JOSE header that change together with it, such as `kid` and `x5t#S256`. */
export interface NamedClientKey {
  /** The private key. */
  readonly key: ClientPrivateKey
  /** They win over those of the option `header`. */
  readonly header?: AssertionHeader | undefined
}

/** Returns the private key of now, so that a new one is used without a restart. */
export type ClientKeySource = () => Promise<NamedClientKey>

/**
 * One call for all that ask at the same time, so that a slow key service is not asked once per request. A result is not kept: the function
 * decides how long its own is good for. A failure is not kept either.
 */
export function shareCalls<T>(call: () => Promise<T>): () => Promise<T> {
  let underWay: Promise<T> | undefined
  return () => {
    underWay ??= call().finally(() => {
      underWay = undefined
    })
    return underWay
  }
}

/**
 * Asks a function of the site for what it returns now.
 *
 * @param name - the option, for the message
 * @throws {OidcError} ERR_OIDC_OPTIONS where the function throws
 */
export async function askSite<T>(name: string, call: () => T | Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (cause) {
    throw new OidcError('ERR_OIDC_OPTIONS', `the function ${name} throws an error`, { cause })
  }
}
