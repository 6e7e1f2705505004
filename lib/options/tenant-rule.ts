import { isTenantId } from '../protocol/tenants.js'
import { guarded } from '../validation/place.js'
import { callback, list, type Rule, rule } from '../validation/rules.js'
import type { OidcOptions } from './options.js'

type Tenants = NonNullable<OidcOptions['tenants']>

const listed = list('tenant ids', rule('the id of a tenant: a GUID in lower case', isTenantId), { least: 1 })
const decision = callback<Exclude<Tenants, readonly string[]>>('a function that takes the id of a tenant')

export const tenants: Rule<Tenants> = {
  expected: `${listed.expected}, or ${decision.expected}`,
  read: (value, place) =>
    guarded(place, () => (Array.isArray(value) ? listed.read(value, place) : decision.read(value, place))),
}
