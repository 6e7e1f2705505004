import { isPlain, type ObjectRule, object } from '../validation/object-rule.js'
import { guarded, type Place, refuse, refuseValue } from '../validation/place.js'
import { type Rule, rule } from '../validation/rules.js'

// What `oidc.sessions` is given. A name or a value that was not understood must never end, or show, the sessions of other users.

/** Which sessions end: all of a user except one, all that belong to one session at the provider, or a single one. */
export type RevokeTarget =
  | {
      /** All sessions of this user. */
      readonly sub: string
      /** But not the one with this handle. */
      readonly except?: string | undefined
      /** The name of the user's provider. Required on a site with several, for `sid` as well. */
      readonly provider?: string
      /** The id of the user's tenant. Required where the provider has many. */
      readonly tenant?: string
    }
  | {
      /** All sessions that hang on this one at the provider. */
      readonly sid: string
      /** The name of the provider. */
      readonly provider?: string
      /** The id of the user's tenant. Required where the provider has many. */
      readonly tenant?: string
    }
  | {
      /** The one session with this handle. */
      readonly handle: string
      /** Only if it belongs to this user. */
      readonly sub?: string
      /** Only if that user has signed in at this provider. Required with `sub` on a site with several. */
      readonly provider?: string
      /** The id of the user's tenant. Required where the provider has many. */
      readonly tenant?: string
    }

/** As the provider or this package gave it: nothing is cut off at its ends. */
const identifier: Rule<string> = rule(
  'a string that is not empty',
  (value): value is string => typeof value === 'string' && value !== '',
)

const bySub = object({
  sub: { ...identifier, required: true },
  except: identifier,
  provider: identifier,
  tenant: identifier,
})
const bySid = object({ sid: { ...identifier, required: true }, provider: identifier, tenant: identifier })
const byHandle = object({
  handle: { ...identifier, required: true },
  sub: identifier,
  provider: identifier,
  tenant: identifier,
})
const user = object({ sub: { ...identifier, required: true }, provider: identifier, tenant: identifier })

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function readUser(given: unknown): {
  readonly sub: string
  readonly provider?: string
  readonly tenant?: string
} {
  return user.read(given, { of: 'oidc.sessions.list', path: '' })
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function readRevokeTarget(given: unknown): RevokeTarget {
  const place = { of: 'oidc.sessions.revoke', path: '' }
  return guarded(place, () => {
    if (!isPlain(given)) return refuseValue(given, 'an object with sub, sid or handle', place)
    // `handle` with a `sub` that got lost would end a session of any user.
    if ('handle' in given) return readWhole(byHandle, given, place, ['handle', 'sub'])
    if ('sid' in given) return readWhole(bySid, given, place, ['sid'])
    return readWhole(bySub, given, place, ['sub'])
  })
}

/** @param present - members that must not be `undefined` where they are named */
function readWhole<T>(target: ObjectRule<T>, given: object, place: Place, present: readonly string[]): T {
  const lost = present.find(name => name in given && Reflect.get(given, name) === undefined)
  if (lost !== undefined) return refuse(`${place.of}: ${lost} must be a string that is not empty, but it is undefined`)
  return target.read(given, place)
}
