import type { Log } from '../diagnostics/log.js'
import type { ExplicitNeed } from '../protocol/metadata.js'
import type { ProofAlgorithm } from '../protocol/proof-algorithms.js'
import type { PushedAuthorization } from '../protocol/pushed-request.js'
import type { TenantPolicy } from '../protocol/tenants.js'
import type { AuthorizationDetail, ResponseMode, ResponseType, SigningAlgorithm } from '../protocol/wire.js'
import type { CertificateSource } from './client-certificate.js'
import type { ClientCredentials } from './client-credentials.js'
import type { Decryption } from './decryption.js'
import type { EndpointOverrides } from './discovery.js'
import type { RequestSigning } from './request-objects.js'

export interface ProviderSettings extends ClientCredentials {
  readonly issuer: string
  readonly clientId: string
  /** Where the issuer is that of many tenants: theirs, with a placeholder, and who may sign in. */
  readonly tenants?: Pick<TenantPolicy, 'template' | 'check'> | undefined
  /** Where the metadata is, if not at its usual place. */
  readonly metadataUrl?: string | undefined
  /** The metadata itself; nothing is discovered then. */
  readonly metadata?: unknown
  /** Endpoints that replace published ones. */
  readonly endpoints?: EndpointOverrides | undefined
  /** The one algorithm ID Tokens are accepted with. Default: every asymmetric one that the provider lists, or `RS256`. */
  readonly idTokenAlgorithm?: SigningAlgorithm | undefined
  /** Set if the provider signs userinfo. Otherwise a signed response is accepted with `idTokenAlgorithm`. */
  readonly userInfoAlgorithm?: SigningAlgorithm | undefined
  /** Seconds. Default 30. */
  readonly clockTolerance?: number | undefined
  readonly responseType: ResponseType
  readonly responseMode: ResponseMode
  /** What binds tokens to a key. Left out: they are bearer tokens. */
  readonly proofAlgorithm?: ProofAlgorithm | undefined
  /** Whether a provider that does not say that it binds tokens to certificates is refused. Default `false`. */
  readonly needsCertificateBinding?: boolean | undefined
  /** What the options ask for in every authorization request. RFC 9396. */
  readonly authorizationDetails?: readonly AuthorizationDetail[] | undefined
  /** Whether authorization requests are pushed. Default `auto`. */
  readonly pushedAuthorization?: PushedAuthorization | undefined
  /** What authorization requests are signed with. Left out: they are not signed. */
  readonly requestSigning?: RequestSigning | undefined
  /** Which of response type, response mode and ID Token algorithm the site has named: they count for more than a list of the metadata. */
  readonly explicit?: readonly ExplicitNeed[] | undefined
  /** Where the keys of the transmitter of security events are. Left out: the provider is the transmitter. */
  readonly transmitterKeys?: string | undefined
  readonly fetch?: typeof globalThis.fetch | undefined
  /** The certificate that this site shows to the provider and to APIs. The endpoints for it are used then. RFC 8705. */
  readonly certificate?: CertificateSource | undefined
  /** What tokens for this site are encrypted to. */
  readonly decryption?: Decryption | undefined
  /** Milliseconds for one exchange with the provider. Default 10 000. */
  readonly timeout?: number | undefined
  readonly now: () => Date
  /** Takes warnings, a line each. */
  readonly log?: Log | undefined
  /** Unique names for client assertions. */
  readonly random?: (() => string) | undefined
}
