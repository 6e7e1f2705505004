import { OidcError } from '../errors.js'

/** A client secret, or a function that returns the one of now: some providers take a JWT that expires after a while. */
export type ClientSecret = string | (() => string | Promise<string>)

/** Any printable character, so that it fits in a header and in a form. RFC 6749 appendix A.2. */
export const SECRET_CHARACTERS = /^\P{Cc}+$/u

/** Stands for a secret that is known only when it is needed, where a way to send one is chosen. */
const UNKNOWN = '0'.repeat(32)

/** What is known of a secret before it is needed. */
export function secretInAdvance(given: ClientSecret | undefined): string | undefined {
  return typeof given === 'function' ? UNKNOWN : given
}

/** What the provider signs with a secret needs one that does not change: a token may be older than the secret of now. */
export function fixedSecret(given: ClientSecret | undefined): string | undefined {
  return typeof given === 'string' ? given : undefined
}

/**
 * Asks the function for the secret, for every request that needs it.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS where the function returns anything but a secret
 */
export async function readSecret(given: ClientSecret): Promise<string> {
  if (typeof given === 'string') return given
  const secret: unknown = await given()
  if (typeof secret === 'string' && secret.trim() === secret && SECRET_CHARACTERS.test(secret)) return secret
  const message =
    'the function clientSecret must return a string that is not empty, without line breaks and without spaces at its ends'
  throw new OidcError('ERR_OIDC_OPTIONS', message)
}
