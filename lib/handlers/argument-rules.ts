import { object, type RulesFor } from '../validation/object-rule.js'
import { boolean, rule } from '../validation/rules.js'
import type { AccessTokenOptions } from './access-tokens.js'
import type { LogoutOptions } from './logout.js'
import type { UserInfoOptions } from './user-info.js'

// What the methods of `req.oidc` are given: a misspelt name must not silently mean the default.

const anything = rule('any value', (_value): _value is unknown => true)

const accessToken = object({
  minValidity: rule('a number of seconds', (value): value is number => typeof value === 'number' && value >= 0),
  scope: anything,
  resource: anything,
  forceRefresh: boolean,
} satisfies Record<keyof AccessTokenOptions, unknown>)

const logout = object({ returnTo: anything, local: boolean, uiLocales: anything } satisfies Record<
  keyof LogoutOptions,
  unknown
>)

const userInfo = object({ refresh: boolean } satisfies RulesFor<UserInfoOptions>)

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function checkArguments(method: 'accessToken' | 'logout' | 'userInfo', given: object): void {
  const place = { of: `req.oidc.${method}`, path: '' }
  if (method === 'accessToken') accessToken.read(given, place)
  else if (method === 'logout') logout.read(given, place)
  else userInfo.read(given, place)
}
