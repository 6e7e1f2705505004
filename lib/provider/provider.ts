import { OidcError } from '../errors.js'
import type { ProofKey } from '../protocol/dpop.js'
import { chooseListed, type Warn } from '../protocol/listed.js'
import type { LogoutTokenClaims } from '../protocol/logout-token.js'
import { checkProviderSupports, type ExplicitNeed, findDoubt, isUnmetRequirement } from '../protocol/metadata.js'
import type { ProofAlgorithm } from '../protocol/proof-algorithms.js'
import type { PushedAuthorization } from '../protocol/pushed-request.js'
import type { OriginalClaims } from '../protocol/refreshed-id-token.js'
import { returnsCode } from '../protocol/response-type.js'
import type {
  IdTokenClaims,
  ProviderMetadata,
  ResponseMode,
  ResponseType,
  SigningAlgorithm,
  UserInfo,
} from '../protocol/wire.js'
import type { CachedStatus } from './cached.js'
import type { CertificateSource } from './client-certificate.js'
import { type ClientCredentials, selectClientAuthentication } from './client-credentials.js'
import { fixedSecret } from './client-secret.js'
import { watchClock } from './clock-watch.js'
import { createDiscovery, type Discovery, type EndpointOverrides, requiredEndpoint } from './discovery.js'
import { createGrants, type Grants } from './grants.js'
import { createHttp } from './http.js'
import { createIdTokens, type IdTokenExpectedByCaller } from './id-tokens.js'
import { createKeepWarm } from './keep-warm.js'
import { createKeySet } from './key-set.js'
import { createLogoutTokens, type IsLiving } from './logout-tokens.js'
import type { Proofs } from './proofs.js'
import type { PushRequest } from './pushed-request-endpoint.js'
import { watchReachability } from './reachability.js'
import { logRefusals } from './refusal-log.js'
import { createRevocationEndpoint } from './revocation-endpoint.js'
import { createSignatures, isAsymmetric } from './signatures.js'
import { createTokenEndpoint, type TokenEndpointSettings } from './token-endpoint.js'
import { createUserInfoEndpoint } from './user-info-endpoint.js'

export interface ProviderSettings extends ClientCredentials {
  readonly issuer: string
  readonly clientId: string
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
  /** Whether authorization requests are pushed. Default `auto`. */
  readonly pushedAuthorization?: PushedAuthorization | undefined
  /** Which of response type, response mode and ID Token algorithm the site has named: they count for more than a list of the metadata. */
  readonly explicit?: readonly ExplicitNeed[] | undefined
  readonly fetch?: typeof globalThis.fetch | undefined
  /** The certificate that this site shows to the provider and to APIs. The endpoints for it are used then. RFC 8705. */
  readonly certificate?: CertificateSource | undefined
  /** Milliseconds for one exchange with the provider. Default 10 000. */
  readonly timeout?: number | undefined
  readonly now: () => Date
  /** Takes warnings, a line each. */
  readonly log?: ((line: string) => void) | undefined
  /** Unique names for client assertions. */
  readonly random?: (() => string) | undefined
}

/** The provider, as far as a sign-in needs it. Every method throws an {@link OidcError}. */
export interface Provider extends Grants {
  /** Discovered, overridden and found fit for what the site needs. */
  metadata(): Promise<ProviderMetadata>
  /** What is known now, without waiting. */
  peekMetadata(): ProviderMetadata | undefined
  /** Whose userinfo it is, is for the caller to compare. A 401 has the cause `{ status: 401 }`. */
  fetchUserInfo(accessToken: string, proofKey?: ProofKey): Promise<UserInfo>
  /** The certificate for requests to APIs, where the site has one. */
  readonly certificate?: CertificateSource | undefined
  /**
   * Hands an authorization request over before the browser leaves, and returns its `request_uri`. RFC 9126.
   * @throws {OidcError} ERR_OIDC_CLIENT_REJECTED; ERR_OIDC_AUTHORIZATION_FAILED with what the provider said about the request
   */
  pushRequest(params: URLSearchParams, proofKey?: ProofKey): Promise<string>
  /** For requests to APIs with a token that is bound to a key. */
  proofs(): Promise<Proofs>
  verifyIdToken(idToken: string, expected: IdTokenExpectedByCaller): Promise<{ claims: IdTokenClaims; alg: string }>
  /**
   * A logout token of the back channel, with every check but that of its `jti`.
   *
   * @param isLiving - asked only where a token needs keys that are not known: it decides what may be spent on them
   */
  verifyLogoutToken(logoutToken: string, isLiving: IsLiving): Promise<LogoutTokenClaims>
  /** An ID Token that came with refreshed tokens, compared with that of the sign-in and with the access token beside it. */
  verifyRefreshedIdToken(idToken: string, original: OriginalClaims, accessToken: string): Promise<IdTokenClaims>
  /** @throws {OidcError} ERR_OIDC_UNSUPPORTED where the provider takes no tokens back */
  revokeToken(token: string, hint: 'refresh_token' | 'access_token'): Promise<void>
  /** A request to another service than the provider. The response is a stream. */
  callApi(url: URL, init: RequestInit): Promise<Response>
  /** Fetches metadata and keys; throws where that fails now, and goes on trying in the background. */
  warm(): Promise<void>
  health(): ProviderHealth
  /** Ends the work in the background. */
  close(): void
}

export interface ProviderHealth {
  readonly reachable: boolean
  /** Code of the last failure. */
  readonly error?: string
}

/** @throws {OidcError} ERR_OIDC_OPTIONS, and for static metadata what is wrong with it */
export function createProvider(settings: ProviderSettings): Provider {
  const { issuer, clientId, clientSecret, now, clockTolerance = 30, log = () => {} } = settings
  const { fetch, timeout, certificate, idTokenAlgorithm = 'RS256', userInfoAlgorithm } = settings
  const algorithms = [idTokenAlgorithm, userInfoAlgorithm ?? idTokenAlgorithm] as const
  const reachability = watchReachability(createHttp({ fetch, timeout, certificate }), now)
  const http = watchClock(logRefusals(reachability.http, { now, log }), { now, clockTolerance, log })
  const common = { http, now, clientId, clockTolerance }
  const authentication = (metadata: ProviderMetadata, warn?: Warn) =>
    selectClientAuthentication(settings, metadata, warn)
  const check = createMetadataCheck(settings, idTokenAlgorithm, authentication)
  const discovery = createDiscovery({
    ...settings,
    ...common,
    overrides: settings.endpoints,
    usesAliases: certificate !== undefined,
    check,
  })
  const keySet = createKeySet({ ...common, jwksUri: createJwksUri(discovery, () => keySet.status()) })
  const verify = createSignatures({ keySet, clientSecret: fixedSecret(clientSecret), algorithms })
  const { clientAssertionAudience: audience, random } = settings
  const clientRequests = { ...common, authentication, clientSecret, audience, random }
  const proofs = createLazyProofs({ now, random })
  const revoke = createRevocationEndpoint(clientRequests)
  const named = settings.idTokenAlgorithm
  const idTokens = createIdTokens({ ...common, issuer, log, verify, discovery, named })
  const verifySigned = async (token: string) => verify(token, userInfoAlgorithm ?? (await idTokens.algorithms()))
  const requestUserInfo = createUserInfoEndpoint({ ...common, proofs, signedWith: userInfoAlgorithm, verifySigned })
  const keepWarm = createKeepWarm(warmUp)

  async function warmUp(): Promise<void> {
    await (discovery.peek() === undefined ? discovery.reload() : metadataToSignIn())
    if (algorithms.some(isAsymmetric)) await keySet.warm()
  }

  /** Old metadata goes on being used when new metadata is faulty, but not when the provider says that such a sign-in can no longer succeed. */
  async function metadataToSignIn(): Promise<ProviderMetadata> {
    const metadata = await discovery.get()
    const { error } = discovery.status()
    if (isUnmetRequirement(error)) throw error
    return metadata
  }

  return {
    async metadata() {
      const metadata = await metadataToSignIn()
      // A sign-in starts: the keys are fetched while the user is at the provider.
      warmUp().catch(() => undefined)
      return metadata
    },
    peekMetadata: discovery.peek,
    ...createGrants(discovery.get, createTokenEndpoint({ ...clientRequests, proofs })),
    async fetchUserInfo(accessToken, proofKey) {
      return requestUserInfo(await discovery.get(), accessToken, proofKey)
    },
    pushRequest: createLazyPush(discovery.get, { ...clientRequests, proofs }),
    proofs,
    verifyIdToken: idTokens.verify,
    certificate,
    verifyLogoutToken: createLogoutTokens({
      ...common,
      issuer,
      verify,
      metadata: async () => discovery.peek() ?? discovery.get(),
      algorithm: idTokenAlgorithm,
    }),
    verifyRefreshedIdToken: idTokens.verifyRefreshed,
    async revokeToken(token, hint) {
      await revoke(await discovery.get(), token, hint)
    },
    callApi: http.stream,
    warm: keepWarm.start,
    health: () =>
      buildHealth(discovery.peek() !== undefined, [discovery.status(), keySet.status(), reachability.status()]),
    close: keepWarm.stop,
  }
}

/** Few sites bind tokens to keys, so that the others do not load what it takes. */
function createLazyProofs(settings: Parameters<typeof import('./proofs.js').createProofs>[0]): () => Promise<Proofs> {
  let loaded: Promise<Proofs> | undefined
  return () => {
    loaded ??= import('./proofs.js').then(({ createProofs }) => createProofs(settings))
    return loaded
  }
}

/** As with proofs: loaded at the first request that is pushed. */
function createLazyPush(
  metadata: () => Promise<ProviderMetadata>,
  settings: TokenEndpointSettings,
): Provider['pushRequest'] {
  let loaded: Promise<PushRequest> | undefined
  return async (params, proofKey) => {
    loaded ??= import('./pushed-request-endpoint.js').then(module => module.createPushedRequestEndpoint(settings))
    const push = await loaded
    return push(await metadata(), params, proofKey)
  }
}

/** What the site needs of the provider is asked once per metadata, not once per sign-in. */
function createMetadataCheck(
  { responseType, responseMode, proofAlgorithm, explicit, pushedAuthorization, log = () => {} }: ProviderSettings,
  signingAlgorithm: SigningAlgorithm,
  authentication: (metadata: ProviderMetadata, warn: Warn) => unknown,
): (metadata: ProviderMetadata) => void {
  let said: readonly string[] = []
  return function checkUsable(metadata) {
    const doubts: string[] = []
    const warn: Warn = doubt => doubts.push(doubt)
    const needs = { responseType, responseMode, signingAlgorithm, explicit, pushedAuthorization }
    checkProviderSupports(metadata, needs, warn)
    if (returnsCode(responseType)) authentication(metadata, warn)
    if (proofAlgorithm !== undefined) checkProofAlgorithm(metadata, proofAlgorithm, warn)
    const doubt = findDoubt(metadata, { responseMode })
    if (doubt !== undefined) warn(doubt)
    for (const line of doubts.filter(each => !said.includes(each))) log(line)
    said = doubts
  }
}

/** A provider that lists no algorithm may offer it all the same: it shows in the token response. RFC 9449 section 5.1. */
function checkProofAlgorithm(metadata: ProviderMetadata, algorithm: ProofAlgorithm, warn: Warn): void {
  const wish = {
    what: 'algorithm of DPoP proofs',
    candidates: [algorithm],
    isExplicit: false,
    advice: 'set dpop.algorithm',
  }
  chooseListed(wish, metadata.dpop_signing_alg_values_supported, warn)
}

/** Keys that are not at the published address: the provider may have moved them, so the metadata is fetched again. */
function createJwksUri(discovery: Discovery, status: () => CachedStatus): () => Promise<string> {
  return async function jwksUri() {
    const { error } = status()
    const isMisplaced = error instanceof OidcError && error.code === 'ERR_OIDC_PROVIDER_RESPONSE'
    const metadata = await (isMisplaced ? discovery.reload().catch(discovery.get) : discovery.get())
    return requiredEndpoint(metadata, 'jwks_uri')
  }
}

function buildHealth(isKnown: boolean, parts: readonly CachedStatus[]): ProviderHealth {
  const failed = parts.find(part => part.error !== undefined)
  return {
    reachable: isKnown && failed === undefined,
    ...(failed === undefined ? {} : { error: failed.error instanceof OidcError ? failed.error.code : 'unknown' }),
  }
}
