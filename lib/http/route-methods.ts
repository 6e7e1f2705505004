import { OidcError } from '../errors.js'
import type { SiteConfig } from '../options/config.js'
import { isPosted } from '../protocol/response-mode.js'

/** How one of our own routes is asked. */
export interface RouteMethods {
  /** Every other method gets 405. HEAD is not among them: a route that acts must not act for a request that only looks. */
  readonly methods: readonly string[]
  /** What an operator can do about a wrong method. */
  readonly advice?: string
}

/** A provider that ignores `form_post` sends the code in the address. */
export function callbackMethods(responseMode: SiteConfig['responseMode']): RouteMethods {
  if (!isPosted(responseMode)) return { methods: ['GET'] }
  const advice = "if the provider itself sends users there with GET, set responseType: 'code' and responseMode: 'query'"
  return { methods: ['POST'], advice }
}

export function wrongMethod({ methods, advice }: RouteMethods): OidcError {
  const allow = methods.join(', ')
  const message = `this route accepts only ${allow}${advice === undefined ? '' : `; ${advice}`}`
  return new OidcError('ERR_OIDC_REQUEST_METHOD', message, { cause: { allow } })
}
