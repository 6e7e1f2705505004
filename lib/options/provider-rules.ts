import { isPlain } from '../validation/object-rule.js'
import { guarded, nameOf, type Place, placeOf, refuse, refuseValue } from '../validation/place.js'
import { type Rule, string } from '../validation/rules.js'
import { PROVIDER_OPTIONS, type ProviderOptions } from './provider-options.js'

/** It is the end of paths, and so it has one spelling. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/

/** Whether a provider may have this name, which any caller may have sent. */
export function isProviderName(name: string): boolean {
  return NAME.test(name)
}

export const providerName: Rule<string> = string(
  'a name of lower-case letters, digits, "-" and "_" (at most 64) that begins with a letter or a digit',
  NAME,
)

/** Members are read by the rules of the options, together with those of the site. */
export const provider: Rule<ProviderOptions> = {
  expected: 'an object with the options of a provider',
  read: (value, place) =>
    guarded(place, () => {
      if (!isPlain(value)) return refuseValue(value, provider.expected, place)
      for (const name in value) {
        if (!PROVIDER_OPTIONS.some(known => known === name))
          refuse(
            `${nameOf(placeOf(place, name.slice(0, 60)))} is no option of a single provider: it belongs to the site`,
          )
      }
      const members = PROVIDER_OPTIONS.map(name => [name, Reflect.get(value, name) as unknown] as const)
      return Object.freeze(Object.fromEntries(members.filter(([, member]) => member !== undefined)))
    }),
}

export const providers: Rule<Readonly<Record<string, ProviderOptions>>> = {
  expected: 'an object with a provider for each name',
  read: (value, place) =>
    guarded(place, () => {
      if (!isPlain(value)) return refuseValue(value, providers.expected, place)
      const names = Object.keys(value)
      for (const name of names) checkName(name, place)
      const read = names.map(name => [name, provider.read(Reflect.get(value, name), placeOf(place, name))] as const)
      if (read.length === 0) refuse(`${nameOf(place)} must have at least one provider`)
      return Object.freeze(Object.fromEntries(read))
    }),
}

function checkName(name: string, place: Place): void {
  if (isProviderName(name)) return
  refuse(
    `${nameOf(place)}: a provider must have ${providerName.expected}, but there is ${JSON.stringify(name.slice(0, 60))}`,
  )
}
