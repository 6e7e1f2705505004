import type { RequestContext } from '../http/request-context.js'
import type { SiteConfig } from '../options/config.js'
import type { Ticket } from '../store/ticket.js'
import { refuse } from '../validation/place.js'

// What a guard needs of the options of the site.

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function checkDevicesAreBound({ session }: SiteConfig): void {
  if (session === false || session.device === undefined)
    refuse('requiresAuth: deviceBound needs sessions that are bound to devices: set session.deviceBound')
}

/**
 * Whether the key of a device decides about the request, and not the guard: the session is one of another device, or one without a key where a
 * key is required.
 */
export function isDeviceMissing(
  { services: { sessionBinding, site }, req }: RequestContext,
  ticket: Ticket | undefined,
  needsProof: boolean,
) {
  if (needsProof) checkDevicesAreBound(site)
  const status = sessionBinding.deviceStatusOf(req)
  return ticket === undefined ? status === 'unproved' || status === 'unbound' : needsProof && status !== 'proved'
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function checkFormsAreKept({ routes }: SiteConfig): void {
  if (routes.keptForm === false)
    refuse('requiresAuth: keepForm needs a page that sends the form after the sign-in: set routes.keptForm')
}
