import { OidcError } from '../errors.js'
import { isSigned } from '../protocol/response-mode.js'
import { issuerOfTenant, issuerTemplate, isTenantId, type TenantPolicy, tenantOf } from '../protocol/tenants.js'
import { callSite } from '../provider/client-key.js'
import { describeValue } from '../validation/describe-value.js'
import { refuse } from '../validation/place.js'
import { timeoutOf } from './client-options.js'
import type { SiteConfig } from './config.js'
import type { ReadOptions } from './option-descriptions.js'

/** Hosts of Entra ID, whose addresses of all tenants are known by heart. */
const ENTRA = /^login\.(?:microsoftonline\.(?:com|us)|partner\.microsoftonline\.cn|microsoft\.com)$/

/** @throws {OidcError} ERR_OIDC_OPTIONS, so that no site takes users of every tenant by accident */
export function checkTenants(options: ReadOptions): void {
  const { issuer, tenants: given, clientAuthentication } = options
  const isGroup = issuerTemplate(issuer) !== undefined
  if (given === undefined) {
    if (isGroup && ENTRA.test(new URL(issuer).hostname))
      refuse(
        'issuer is that of many tenants, whose users could all sign in: set tenants to the ids of those that may, or take the issuer of one tenant',
      )
    return
  }
  if (!isGroup)
    refuse('tenants needs an issuer of many tenants, such as https://login.microsoftonline.com/organizations/v2.0')
  const stray = [
    options.profile !== undefined && 'profile',
    (options.requestObject ?? false) !== false && 'requestObject',
    isSigned(options.responseMode ?? 'form_post') && 'a responseMode with .jwt',
    typeof options.routes?.signals === 'string' && 'routes.signals',
    typeof options.routes?.revocation === 'string' && 'routes.revocation',
  ].find(name => name !== false)
  if (stray !== undefined) refuse(`tenants and ${stray} cannot both be given: they need one issuer`)
  if (typeof clientAuthentication === 'object' && (clientAuthentication.audience ?? 'issuer') === 'issuer')
    refuse(
      'tenants: an assertion cannot be made for many issuers: set clientAuthentication.audience to "token_endpoint"',
    )
}

/** @param options - that have passed {@link checkTenants} */
export function createTenantPolicy(options: ReadOptions): TenantPolicy | undefined {
  const { issuer, tenants: given } = options
  const template = issuerTemplate(issuer)
  if (given === undefined || template === undefined) return undefined
  const ids = typeof given === 'function' ? undefined : given
  const decide = typeof given === 'function' ? given : (tenant: string) => given.includes(tenant)
  return Object.freeze({
    template,
    listed: ids,
    async check(tenant: string) {
      let isAllowed: unknown
      try {
        isAllowed = await callSite('tenants', () => decide(tenant), timeoutOf(options))
      } catch (error) {
        throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the function tenants failed', { cause: error })
      }
      if (isAllowed === true) return
      const found =
        isAllowed === false
          ? ''
          : `: the function tenants must return true or false, but it returned ${describeValue(isAllowed)}`
      throw new OidcError('ERR_OIDC_TENANT_REFUSED', `the tenant of the user may not sign in${found}`, {
        cause: { tenant },
      })
    },
  })
}

type OfProvider = Pick<SiteConfig, 'issuer' | 'tenants'>

/**
 * The issuer that a message may have: the one of the options; of many tenants that of the tenant that it names, unless the options list others. A message
 * that names another one is compared with the issuer of the options, and refused.
 */
export function issuerNamed({ issuer, tenants }: OfProvider, named: string | undefined): string {
  if (tenants === undefined || named === undefined) return issuer
  const tenant = tenantOf(named, tenants.template)
  return tenant !== undefined && (tenants.listed?.includes(tenant) ?? true) ? named : issuer
}

/** Whether a session of this issuer is one of this provider, as it is set up now. */
export function isIssuer(config: OfProvider, issuer: string): boolean {
  return issuerNamed(config, issuer) === issuer && (config.tenants === undefined || issuer !== config.issuer)
}

/** Every issuer that users of the options may have. `undefined`: the site decides about each. */
export function issuersOf({ issuer, tenants }: OfProvider): readonly string[] | undefined {
  if (tenants === undefined) return [issuer]
  return tenants.listed?.map(tenant => issuerOfTenant(tenants.template, tenant))
}

/**
 * The issuer of a user whom the site names by `sub`, which is unique within one tenant only.
 *
 * @param of - the method that was given the name
 * @throws {OidcError} ERR_OIDC_OPTIONS
 */
export function issuerOfUser({ issuer, tenants }: OfProvider, of: string, tenant: string | undefined): string {
  if (tenants === undefined)
    return tenant === undefined ? issuer : refuse(`${of}: tenant must be left out: the provider has one only`)
  if (tenant === undefined) return refuse(`${of}: tenant is missing: the provider has many`)
  if (!isTenantId(tenant)) return refuse(`${of}: tenant must be a GUID in lower case`)
  return issuerOfTenant(tenants.template, tenant)
}
