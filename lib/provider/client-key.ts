import { OidcError } from '../errors.js'
import type { AssertionHeader, ClientPrivateKey } from '../protocol/client-assertion.js'
import { withTimeLimit } from '../time.js'

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

/** Says what went wrong with a function that took too long. */
class Late extends Error {}

/**
 * What a function of the site returns. One that does not settle would hold every request that needs it.
 *
 * @param name - the option, for the message
 * @param timeout - milliseconds that the function may take
 * @throws {Error} where the function takes longer; what the function throws
 */
export async function callSite<T>(name: string, call: () => T | Promise<T>, timeout: number): Promise<T> {
  const work = Promise.resolve(call())
  return withTimeLimit(work, timeout, () => {
    throw new Late(`the function ${name} did not finish within timeouts.provider (${timeout} ms)`)
  })
}

/**
 * The same for a secret or a key.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS where the function throws, or takes longer
 */
export async function askSite<T>(name: string, call: () => T | Promise<T>, timeout: number): Promise<T> {
  try {
    return await callSite(name, call, timeout)
  } catch (cause) {
    const message = cause instanceof Late ? cause.message : `the function ${name} throws an error`
    throw new OidcError('ERR_OIDC_OPTIONS', message, { cause })
  }
}
