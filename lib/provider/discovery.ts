import { OidcError } from '../errors.js'
import { isRecord } from '../protocol/json.js'
import { parseProviderMetadata } from '../protocol/metadata.js'
import { isSecureUrl } from '../protocol/url.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import { type CachedStatus, createCached } from './cached.js'
import type { Http } from './http.js'
import { checkStatus } from './response.js'

/** Endpoints that a site names itself, because the provider does not publish them or publishes others. */
export type EndpointOverrides = Readonly<
  Partial<
    Record<
      | 'authorization_endpoint'
      | 'token_endpoint'
      | 'userinfo_endpoint'
      | 'jwks_uri'
      | 'end_session_endpoint'
      | 'revocation_endpoint'
      | 'pushed_authorization_request_endpoint',
      string
    >
  >
>

export interface DiscoverySettings {
  readonly issuer: string
  /** What the metadata have to name as issuer, where it is that of many tenants. */
  readonly tenants?: { readonly template: string } | undefined
  /** Where the metadata is, if not at the place OpenID Connect Discovery 1.0 section 4 gives it. */
  readonly metadataUrl?: string | undefined
  /** The metadata itself. Nothing is fetched then. */
  readonly metadata?: unknown
  readonly overrides?: EndpointOverrides | undefined
  /** Whether `mtls_endpoint_aliases` take the place of the endpoints: this site shows a certificate. RFC 8705 section 5. */
  readonly usesAliases?: boolean
  /** Refuses, by throwing, metadata the site cannot work with. */
  readonly check?: (metadata: ProviderMetadata) => void
  readonly http: Http
  readonly now: () => Date
  /** Seconds after which the metadata is fetched again in the background. Default: 1 hour. */
  readonly refreshAfter?: number
  /** Seconds after which requests wait until the metadata has been fetched again. Default: 24 hours. */
  readonly maxAge?: number
}

/** What the provider says about itself, known without waiting once it was known at all. */
export interface Discovery {
  get(): Promise<ProviderMetadata>
  peek(): ProviderMetadata | undefined
  reload(): Promise<ProviderMetadata>
  status(): CachedStatus
}

const HOUR = 3600

/**
 * If fetching fails, or returns another issuer, the previous metadata stays in use.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for an issuer or `metadataUrl` that is no secure URL; static metadata is checked here too
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
 */
export function createDiscovery(settings: DiscoverySettings): Discovery {
  const {
    issuer,
    metadata,
    overrides,
    usesAliases = false,
    check,
    http,
    now,
    refreshAfter = HOUR,
    maxAge = 24 * HOUR,
  } = settings
  const url = settings.metadataUrl ?? buildMetadataUrl(issuer)
  checkUrl('issuer', issuer)
  checkUrl('metadataUrl', url)

  function accept(json: unknown): ProviderMetadata {
    const accepted = parseProviderMetadata(
      override(usesAliases ? withAliases(json) : json, overrides),
      settings.tenants?.template ?? issuer,
      namesIn(overrides),
    )
    check?.(accepted)
    return accepted
  }

  if (metadata !== undefined) return createStaticDiscovery(accept(metadata))

  return createCached({ load: async () => accept(await fetchMetadata(http, url)), now, refreshAfter, maxAge })
}

/** Discovery 1.0 section 4.1: a terminating slash of the issuer is removed first. */
export function buildMetadataUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
}

async function fetchMetadata(http: Http, url: string): Promise<unknown> {
  const response = await http.getJson(url)
  checkStatus(response, 'its metadata')
  return response.json()
}

/** Endpoints that a client with a certificate finds elsewhere. */
const ALIASED = [
  'token_endpoint',
  'userinfo_endpoint',
  'revocation_endpoint',
  'pushed_authorization_request_endpoint',
] as const

/**
 * The endpoints for clients that show a certificate. One that is no URL is an error: the other endpoint asks for no certificate, and what it
 * issues is bound to none.
 */
function withAliases(json: unknown): unknown {
  if (!isRecord(json) || json.mtls_endpoint_aliases === undefined) return json
  const aliases = json.mtls_endpoint_aliases
  if (!isRecord(aliases)) throw wrongAlias('mtls_endpoint_aliases')
  const named = ALIASED.filter(name => aliases[name] !== undefined)
  for (const name of named) {
    const url = aliases[name]
    if (typeof url !== 'string' || !URL.canParse(url)) throw wrongAlias(`mtls_endpoint_aliases.${name}`)
  }
  return { ...json, ...Object.fromEntries(named.map(name => [name, aliases[name]])) }
}

function wrongAlias(member: string): OidcError {
  return new OidcError('ERR_OIDC_METADATA', `the provider metadata has no usable ${member}`, { cause: { member } })
}

function override(json: unknown, overrides: EndpointOverrides | undefined): unknown {
  if (!isRecord(json)) return json
  return { ...json, ...Object.fromEntries(namesIn(overrides).map(name => [name, overrides?.[name]])) }
}

function namesIn(overrides: EndpointOverrides = {}): (keyof EndpointOverrides)[] {
  const names = Object.keys(overrides) as (keyof EndpointOverrides)[]
  return names.filter(name => String(name) !== 'issuer' && overrides[name] !== undefined)
}

function createStaticDiscovery(metadata: ProviderMetadata): Discovery {
  const get = () => Promise.resolve(metadata)
  return { get, reload: get, peek: () => metadata, status: () => ({}) }
}

function checkUrl(option: string, value: string): void {
  if (URL.canParse(value) && isSecureUrl(new URL(value))) return
  throw new OidcError('ERR_OIDC_OPTIONS', `\`${option}\` must be an https URL, or an http URL of this machine`)
}

/** @throws {OidcError} ERR_OIDC_METADATA where the provider does not name the endpoint */
export function requiredEndpoint(metadata: ProviderMetadata, name: keyof EndpointOverrides): string {
  const endpoint = metadata[name]
  if (endpoint !== undefined) return endpoint
  throw new OidcError('ERR_OIDC_METADATA', `the provider metadata has no ${name}`)
}
