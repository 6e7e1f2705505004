import { IncomingMessage } from 'node:http'
import { scopeWords } from '../protocol/granted-scope.js'
import type { SilentLoginOptions } from '../sign-in/silent-login.js'
import type { AuthenticationRequirement } from '../sign-in/step-up.js'
import { object } from '../validation/object-rule.js'
import { guarded, type Place, refuse, refuseValue } from '../validation/place.js'
import { boolean, nonEmptyString, oneOrSeveral, rule, wholeNumber } from '../validation/rules.js'

// What guards are made with. A value that was not understood must never open a guard, so it stops the site at the start.

const requirement = object({
  provider: nonEmptyString,
  acr: oneOrSeveral('authentication contexts', nonEmptyString),
  maxAge: wholeNumber('seconds', 0, Number.MAX_SAFE_INTEGER),
  deviceBound: boolean,
  keepForm: boolean,
})

const silentLogin = object({ provider: nonEmptyString })

const scopeRequirement = object({ ask: boolean })

/** What a claim is compared with. */
export type ClaimValue = string | number | boolean

const claimValue = oneOrSeveral(
  'such values',
  rule(
    'a string that is not empty, a finite number, true or false',
    (value): value is ClaimValue =>
      (typeof value === 'string' && value !== '') || Number.isFinite(value) || typeof value === 'boolean',
  ),
)

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function readRequirement(value: unknown): AuthenticationRequirement {
  const place = placeIn('requiresAuth', value, '')
  checkNoneUndefined(value, place)
  return requirement.read(value, place)
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function readSilentLogin(value: unknown, hasDefault: boolean): SilentLoginOptions {
  const place = placeIn('attemptSilentLogin', value, '')
  checkNoneUndefined(value, place)
  const options = silentLogin.read(value, place)
  if (options.provider === undefined && !hasDefault)
    refuse('attemptSilentLogin: name the provider, or set the option defaultProvider')
  return options
}

/** @throws {OidcError} ERR_OIDC_OPTIONS where the function was mounted itself */
export function checkSameSession(given: unknown): void {
  placeIn('requiresSameSession', given, '')
}

/**
 * @param more - further arguments, which would be ignored
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function readClaim(
  name: unknown,
  value: unknown,
  more: readonly unknown[],
): { name: string; values: readonly ClaimValue[] } {
  const claim = nonEmptyString.read(name, placeIn('requiresClaim', name, 'name'))
  if (more.length > 0) refuse('requiresClaim takes a name and a value: write a list for several values, [a, b]')
  const values = claimValue.read(value, { of: 'requiresClaim', path: 'value' })
  return { name: claim, values: typeof values === 'object' ? values : [values] }
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function readScope(scope: unknown, options: unknown): { words: readonly string[]; ask: boolean } {
  const place = placeIn('requiresScope', scope, 'scope')
  const expected = 'a string of scopes, separated by spaces'
  const words = typeof scope === 'string' ? scopeWords(scope) : []
  if (words.length === 0) refuseValue(scope, expected, place)
  if (words.some(word => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(word))) refuseValue(scope, `${expected} (RFC 6749)`, place)
  checkNoneUndefined(options, { of: 'requiresScope', path: '' })
  return { words, ask: scopeRequirement.read(options, { of: 'requiresScope', path: '' }).ask ?? false }
}

/** `app.get('/x', requiresAuth, …)`: Express calls the function with the request, and passes what it throws to the error handlers. */
function placeIn(of: string, first: unknown, path: string): Place {
  if (first instanceof IncomingMessage)
    refuse(`${of} returns a guard and is not one itself: write ${of}(…), with parentheses, where you mount it`)
  return { of, path }
}

/** A requirement that is `undefined` is one that got lost: a misspelt member of a configuration, for instance. */
function checkNoneUndefined(value: unknown, place: Place): void {
  guarded(place, () => {
    if (typeof value !== 'object' || value === null) return
    const lost = Object.keys(value).find(name => Reflect.get(value, name) === undefined)
    if (lost !== undefined) refuse(`${place.of}: ${lost} must not be undefined; leave it out if it is not required`)
  })
}
