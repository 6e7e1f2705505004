import { type Claims, type HostileProvider, type JwtFault, startHostileProvider } from './hostile-provider.js'

/** Tenants of the imitation. */
export const CONTOSO = 'aaaaaaaa-0000-4000-8000-000000000001'
export const FABRIKAM = 'bbbbbbbb-0000-4000-8000-000000000002'

/** Entra ID as it is at `organizations`: its metadata have a placeholder as issuer, and each tenant signs in under an issuer of its own, with keys of all. */
export interface EntraId {
  readonly provider: HostileProvider
  /** As the metadata have it. */
  readonly template: string
  issuerOf(tenant: string): string
  /** Users of this tenant sign in from now on; `more` is added to each ID Token. */
  signsIn(tenant: string, more?: Claims): void
  /** What the key set says of whose tokens each key signs. `undefined`: nothing. */
  keysAreOf(issuer: string | undefined): void
}

export async function startEntraId(group = 'organizations'): Promise<EntraId> {
  const provider = await startHostileProvider({
    issuerPath: `/${group}/v2.0`,
    sendsIss: false,
    sid: 'sid-1',
    refreshTokens: 'always',
  })
  const template = provider.issuer.replace(group, '{tenantid}')
  const issuerOf = (tenant: string) => template.replace('{tenantid}', tenant)
  const signsIn = (tenant: string, more: Claims = {}) => {
    const asTenant: JwtFault = claims => ({ ...claims, iss: issuerOf(tenant), tid: tenant, ...more })
    provider.break({ frontIdToken: asTenant, backIdToken: asTenant, refreshedIdToken: asTenant })
  }
  const keysAreOf = (issuer: string | undefined) =>
    provider.break({ keys: keys => keys.map(key => ({ ...key, ...(issuer !== undefined && { issuer }) })) })
  provider.break({ metadata: document => ({ ...document, issuer: template }) })
  keysAreOf(template)
  signsIn(CONTOSO)
  return { provider, template, issuerOf, signsIn, keysAreOf }
}
