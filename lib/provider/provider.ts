import type { JWK } from 'jose'
import { OidcError } from '../errors.js'
import type { ProofKey } from '../protocol/dpop.js'
import type { Warn } from '../protocol/listed.js'
import type { LogoutTokenClaims } from '../protocol/logout-token.js'
import { isUnmetRequirement } from '../protocol/metadata.js'
import type { OriginalClaims } from '../protocol/refreshed-id-token.js'
import type { IdTokenClaims, ProviderMetadata, UserInfo } from '../protocol/wire.js'
import type { CachedStatus } from './cached.js'
import type { CertificateSource } from './client-certificate.js'
import { selectClientAuthentication } from './client-credentials.js'
import { watchClock } from './clock-watch.js'
import { createDiscovery, type Discovery, requiredEndpoint } from './discovery.js'
import { createGrants, type Grants } from './grants.js'
import { createHttp } from './http.js'
import type { IdTokenExpectedByCaller } from './id-tokens.js'
import { createKeepWarm } from './keep-warm.js'
import { createKeySet, type KeySet } from './key-set.js'
import type { IsLiving } from './logout-tokens.js'
import { createMetadataCheck } from './metadata-check.js'
import type { Proofs } from './proofs.js'
import type { ProviderSettings } from './provider-settings.js'
import type { PushRequest } from './pushed-request-endpoint.js'
import { watchReachability } from './reachability.js'
import { createReceivedTokens } from './received-tokens.js'
import { logRefusals } from './refusal-log.js'
import { createRevocationEndpoint } from './revocation-endpoint.js'
import { isAsymmetric } from './signatures.js'
import type { SignedResponse } from './signed-responses.js'
import { createTokenEndpoint, type TokenEndpointSettings } from './token-endpoint.js'
import type { VerifySignal } from './transmitter.js'

export type { ProviderSettings } from './provider-settings.js'

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
  /**
   * The request object of an authorization request. RFC 9101.
   * @throws {OidcError} ERR_OIDC_OPTIONS, ERR_OIDC_UNSUPPORTED where the key fits no algorithm of the provider
   */
  signRequest(params: URLSearchParams): Promise<string>
  /**
   * For a pushed request that the provider could not read: fetches the key again that it was encrypted to, and says whether the keys of the
   * provider are others now.
   */
  reloadRequestKeys(): Promise<boolean>
  /** For requests to APIs with a token that is bound to a key. */
  proofs(): Promise<Proofs>
  /** The signed ID Token inside an encrypted one. It comes before every verification. */
  openIdToken(idToken: string): Promise<string>
  /**
   * Opens a signed authorization response (JARM). It is verified by the caller, when it is known that a sign-in of this site has asked for it.
   * @throws {OidcError} ERR_OIDC_RESPONSE_MALFORMED, ERR_OIDC_RESPONSE_ENCRYPTION, ERR_OIDC_RESPONSE_DECRYPTION
   */
  openResponse(response: string): Promise<SignedResponse>
  /** The public halves of the keys of this site. */
  publicKeys(): Promise<readonly JWK[]>
  verifyIdToken(idToken: string, expected: IdTokenExpectedByCaller): Promise<{ claims: IdTokenClaims; alg: string }>
  /**
   * A logout token of the back channel, with every check but that of its `jti`.
   *
   * @param isLiving - asked only where a token needs keys that are not known: it decides what may be spent on them
   */
  verifyLogoutToken(logoutToken: string, isLiving: IsLiving): Promise<LogoutTokenClaims>
  /** The claims of what the transmitter of security events has signed. They are still to be checked. */
  verifySignal: VerifySignal
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
  const { clientId, clientSecret, now, clockTolerance = 30, log = () => {} } = settings
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
  const { clientAssertionAudience: audience, random } = settings
  const clientRequests = { ...common, authentication, clientSecret, audience, random }
  const proofs = createLazyProofs({ now, random })
  const revoke = createRevocationEndpoint(clientRequests)
  const received = createReceivedTokens({ ...settings, ...common, log, keySet, discovery, proofs, algorithms })
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
      return received.fetchUserInfo(await discovery.get(), accessToken, proofKey)
    },
    pushRequest: createLazyPush(discovery.get, { ...clientRequests, proofs }),
    signRequest: createLazyRequestObjects(discovery.get, settings, keySet),
    reloadRequestKeys: async () => settings.requestSigning?.encryption !== undefined && keySet.reload(),
    proofs,
    ...received.verifiers,
    // Loaded where the route is used.
    publicKeys: async () => (await import('./public-keys.js')).listPublicKeys(settings),
    certificate,
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

/** As with proofs: loaded at the first request that is signed. */
function createLazyRequestObjects(
  metadata: () => Promise<ProviderMetadata>,
  { requestSigning: signing, clientId, now, random }: ProviderSettings,
  keySet: KeySet,
): Provider['signRequest'] {
  return async params => {
    if (signing === undefined) throw new TypeError('requests are not signed')
    const { createRequestObjects } = await import('./request-objects.js')
    return createRequestObjects({ clientId, signing, keySet, now, random })(await metadata(), params)
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
