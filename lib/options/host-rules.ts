import { describe, isPlain, object, type RulesFor } from '../validation/object-rule.js'
import { guarded, type Place, refuseValue } from '../validation/place.js'
import { callback, list, type Rule } from '../validation/rules.js'
import { secureUrl } from '../validation/url-rule.js'
import type { HostFunction, HostOptions } from './host-options.js'
import { providerName } from './provider-rules.js'

/** Origin and path, without a slash at the end. */
const address: Rule<string> = {
  expected: secureUrl().expected,
  read: (value, place) => secureUrl().read(value, place).href.replace(/\/+$/, ''),
}

const members = object({
  url: describe(address, { text: 'where browsers reach the site', required: true }),
  provider: providerName,
} satisfies RulesFor<HostOptions>)

/** One host, as the site lists it or its function returns it. */
export const hostResult: Rule<HostOptions> = {
  expected: `${address.expected}, or an object with url and provider`,
  read: (value, place) =>
    guarded(place, () => {
      if (typeof value === 'string') return Object.freeze({ url: address.read(value, place) })
      return isPlain(value) ? members.read(value, place) : refuseValue(value, hostResult.expected, place)
    }),
}

const addresses = list('addresses', hostResult, { least: 1 })
const hostFunction = callback<HostFunction>('a function that takes a host')

/** One address, several, or a function. What was read can be read again. */
export const baseUrl: Rule<string | readonly HostOptions[] | HostFunction> = {
  expected: `${address.expected}, a list of them, or a function`,
  read: (value: unknown, place: Place) =>
    guarded(place, () => {
      if (typeof value === 'function') return hostFunction.read(value, place)
      if (Array.isArray(value)) return addresses.read(value, place)
      return typeof value === 'string' ? address.read(value, place) : refuseValue(value, baseUrl.expected, place)
    }),
}
