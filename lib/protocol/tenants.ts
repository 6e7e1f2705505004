import { OidcError } from '../errors.js'
import { sanitize } from './printable.js'

/** How the metadata of Entra ID write the tenant, where they are those of many. */
const PLACEHOLDER = '{tenantid}'

/** A segment in the place of the tenant: any of them, those of organizations, those of private users. */
const GROUP = /\/(?:common|organizations|consumers)(?=\/|$)/g

/** A GUID, in the one spelling that Entra ID uses. */
const TENANT_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The tenants of a provider that has many. */
export interface TenantPolicy {
  /** Their issuer, with a placeholder. */
  readonly template: string
  /** Those that the options list. `undefined`: the site decides about each. */
  readonly listed: readonly string[] | undefined
  /** @throws {OidcError} ERR_OIDC_TENANT_REFUSED; ERR_OIDC_PROVIDER_UNAVAILABLE where the site could not say */
  check(tenant: string): Promise<void>
}

type Claims = Readonly<Record<string, unknown>>

/** Whether this is the id of a tenant: nothing else may become a part of an issuer. */
export function isTenantId(value: unknown): value is string {
  return typeof value === 'string' && TENANT_ID.test(value)
}

/**
 * The issuer of a group of tenants as its metadata have it: `https://login.microsoftonline.com/{tenantid}/v2.0` for
 * `https://login.microsoftonline.com/organizations/v2.0`. `undefined`: the address is that of no group.
 */
export function issuerTemplate(issuer: string): string | undefined {
  return [...issuer.matchAll(GROUP)].length === 1 ? issuer.replace(GROUP, `/${PLACEHOLDER}`) : undefined
}

/** The issuer of one tenant. */
export function issuerOfTenant(template: string, tenant: string): string {
  return template.replace(PLACEHOLDER, () => tenant)
}

/** The tenant whose issuer this is. `undefined`: it is not made after the template. */
export function tenantOf(issuer: unknown, template: string): string | undefined {
  const [before = '', after = ''] = template.split(PLACEHOLDER)
  if (typeof issuer !== 'string' || !issuer.startsWith(before)) return undefined
  const tenant = issuer.slice(before.length, issuer.length - after.length)
  return isTenantId(tenant) && issuer === issuerOfTenant(template, tenant) ? tenant : undefined
}

/**
 * The tenant of an ID Token: `tid`, which has to be the one in its issuer. Whether that tenant may sign in is another question.
 *
 * @throws {OidcError} ERR_OIDC_ID_TOKEN_ISSUER
 */
export function checkTenant({ iss, tid }: Claims, template: string): string {
  if (!isTenantId(tid)) throw wrong('tid is missing, or is not the id of a tenant', tid, 'a GUID in lower case')
  if (iss !== issuerOfTenant(template, tid))
    throw wrong('iss is not the issuer of the tenant that tid names', iss, template)
  return tid
}

function wrong(message: string, actual: unknown, expected: string): OidcError {
  return new OidcError('ERR_OIDC_ID_TOKEN_ISSUER', `ID Token: ${message}`, {
    cause: { actual: sanitize(actual), expected },
  })
}
