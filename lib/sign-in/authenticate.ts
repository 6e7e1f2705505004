import { step } from '../diagnostics/publish.js'
import { OidcError } from '../errors.js'
import { type ActiveTransaction, proofKeyOf } from '../http/transaction-state.js'
import type { Services } from '../options/config.js'
import { issuerNamed } from '../options/tenants.js'
import { checkDetailTypesAsked, readAskedDetails } from '../protocol/authorization-details.js'
import {
  type AuthorizationResponse,
  type CheckedAuthorizationResponse,
  checkAuthorizationResponse,
  checkResponseIssuer,
} from '../protocol/authorization-response.js'
import type { ProofKey } from '../protocol/dpop.js'
import { checkSameIdentity, checkTokenHashes } from '../protocol/id-token.js'
import { returnsAccessToken, returnsCode, returnsIdToken } from '../protocol/response-type.js'
import { mergeIdTokenClaims } from '../protocol/session-expiry.js'
import { checkUserInfoSubject } from '../protocol/user-info.js'
import type { IdTokenClaims, TokenResponse, UserInfo } from '../protocol/wire.js'
import { isTokenRefused } from '../provider/user-info-endpoint.js'
import { refusedSignIn } from './refused-sign-in.js'

/** The data about the user from both channels, after every check. */
export interface AuthenticationResult {
  readonly idTokenClaims: IdTokenClaims
  readonly idToken: string
  readonly tokens: TokenResponse | undefined
  /** The key the tokens are bound to. */
  readonly proofKey?: ProofKey | undefined
  readonly userInfo: UserInfo | undefined
  /** What the authorization response says was granted. */
  readonly frontScope?: string | undefined
  /** The earliest time the provider can have granted this: its clock, seconds since the epoch. */
  readonly grantedAt: number
}

/** The result of the front channel. */
export interface Asserted {
  readonly response: CheckedAuthorizationResponse
  readonly transaction: ActiveTransaction
  /** The claims of the ID Token of the front channel, after every check. */
  readonly front: IdTokenClaims | undefined
}

/**
 * Steps 6 to 8 of a sign-in: everything the provider says, over both channels, believed only as far as it was checked.
 *
 * @param onTokens - told of what the token endpoint has issued, whatever comes of it
 * @throws {OidcError} every code of the ID Token, the token endpoint and userinfo
 */
export async function authenticate(
  services: Services,
  { response, transaction, front }: Asserted,
  onTokens: (tokens: TokenResponse) => void,
): Promise<AuthenticationResult> {
  if (response.code === undefined) {
    if (front === undefined || response.id_token === undefined)
      throw new TypeError('a response without code has an ID Token')
    return authenticateByFrontChannel(services, { front, idToken: response.id_token, response }, onTokens)
  }
  const early = fetchEarlyUserInfo(services, front, response)
  const redeemed = redeem(services, response.code, { transaction, front, onTokens })
  const [{ tokens, proofKey, idToken, claims, redeemedAt }, earlyUserInfo] = await Promise.all([redeemed, early])
  const userInfo = earlyUserInfo ?? (await fetchUserInfo(services, tokens.access_token, proofKey))
  if (userInfo !== undefined)
    step('userInfoSubject', () => checkUserInfoSubject(userInfo, claims.sub, tenantIssuer(services, claims)))
  // Without a front ID Token all that is known is that it was not before the attempt, which is reckoned back on the provider's clock.
  const grantedAt = front?.iat ?? claims.iat - (redeemedAt - transaction.createdAt)
  const { scope: frontScope } = response
  return {
    idTokenClaims: mergeIdTokenClaims(front, claims),
    idToken,
    tokens,
    proofKey,
    userInfo,
    frontScope,
    grantedAt,
  }
}

/** What userinfo is compared with besides `sub`, where the same one may be another user in another tenant. */
function tenantIssuer({ config }: Services, { iss }: IdTokenClaims): string | undefined {
  return config.tenants === undefined ? undefined : iss
}

/** Without a code: the access token, where the response type promises one, is what `at_hash` of the ID Token vouches for. Core section 3.2.2. */
async function authenticateByFrontChannel(
  services: Services,
  { front, idToken, response }: { front: IdTokenClaims; idToken: string; response: CheckedAuthorizationResponse },
  onTokens: (tokens: TokenResponse) => void,
): Promise<AuthenticationResult> {
  const { access_token, expires_in, scope: frontScope } = response
  const known = { idTokenClaims: front, idToken, frontScope, grantedAt: front.iat }
  if (access_token === undefined) return { ...known, tokens: undefined, userInfo: undefined }
  const expiry = expires_in === undefined ? {} : { expires_in: Number(expires_in) }
  const tokens: TokenResponse = { access_token, token_type: 'Bearer', ...expiry }
  onTokens(tokens)
  const userInfo = await fetchUserInfo(services, access_token, undefined)
  if (userInfo !== undefined)
    step('userInfoSubject', () => checkUserInfoSubject(userInfo, front.sub, tenantIssuer(services, front)))
  return { ...known, tokens, userInfo }
}

/** Checks that the response comes from the provider and has everything that the response type requires. RFC 9207, OpenID Connect Core 1.0 section 3.1.2.6. */
export async function checkedResponse(
  { config, provider }: Services,
  response: AuthorizationResponse,
  transaction: ActiveTransaction,
): Promise<CheckedAuthorizationResponse> {
  const metadata = await provider.metadata()
  // RFC 9207 section 2.4 lets a provider that sends an ID Token along say `iss` there and nowhere else.
  const promised = config.requiresResponseIssuer || metadata.authorization_response_iss_parameter_supported === true
  const issRequired = promised && !returnsIdToken(config.responseType)
  if (response.kind === 'success') {
    const { responseType } = config
    const issuer = issuerNamed(config, response.iss)
    const checked = checkAuthorizationResponse(response, { responseType, issuer, issRequired })
    if (checked.id_token === undefined) return checked
    return { ...checked, id_token: await provider.openIdToken(checked.id_token) }
  }
  checkResponseIssuer(response, { issuer: issuerNamed(config, response.iss), issRequired: false })
  throw refusedSignIn(config, response.providerError, transaction)
}

/** Step 5. `undefined`: the response type promises none. */
export async function verifyFrontIdToken(
  { config, provider }: Services,
  response: CheckedAuthorizationResponse,
  transaction: ActiveTransaction,
): Promise<IdTokenClaims | undefined> {
  if (!returnsIdToken(config.responseType) || response.id_token === undefined) return undefined
  const { code, access_token: accessToken, id_token: idToken } = response
  return step('frontIdToken', async () => {
    const { claims, alg } = await provider.verifyIdToken(idToken, transaction)
    checkTokenHashes(
      claims,
      alg,
      { code, accessToken, state: transaction.state },
      { codeHash: returnsCode(config.responseType), accessTokenHash: returnsAccessToken(config.responseType) },
    )
    return claims
  })
}

/**
 * Step 6, right half: with an access token from the front channel that a verified ID Token vouches for, userinfo need not wait for the
 * code. `undefined` when it has to wait after all; a provider that has dropped that token (401) is asked again with the newer one.
 */
async function fetchEarlyUserInfo(
  services: Services,
  front: IdTokenClaims | undefined,
  response: CheckedAuthorizationResponse,
): Promise<UserInfo | undefined> {
  const { access_token: accessToken } = response
  const { config, provider } = services
  if (config.userInfo !== 'front-channel' || front === undefined || accessToken === undefined) return undefined
  if (!(await hasUserInfo(services))) return undefined
  try {
    return await step('userInfo', () => provider.fetchUserInfo(accessToken))
  } catch (error) {
    if (isTokenRefused(error)) return undefined
    throw error
  }
}

/** Steps 6, left half, and 7. */
async function redeem(
  { config, provider }: Services,
  code: string,
  { transaction, front, onTokens }: Omit<Asserted, 'response'> & { onTokens: (tokens: TokenResponse) => void },
) {
  const { codeVerifier, redirectUri, pkce } = transaction
  const proofKey = await proofKeyOf(transaction)
  // What was not asked for is not kept, so that nothing is shown as granted that the site did not mean.
  const params = { ...config.authorizationParams, ...transaction.params }
  const details = readAskedDetails(params.authorization_details)
  const grant = { code, redirectUri, ...(pkce && { codeVerifier }), proofKey, usesDetails: details !== undefined }
  const tokens = await step('code', async () => {
    const issued = await provider.redeemCode(grant)
    onTokens(issued)
    checkDetailTypesAsked(issued.authorization_details, details)
    return issued
  })
  const redeemedAt = config.now().getTime() / 1000
  if (tokens.id_token === undefined)
    throw new OidcError('ERR_OIDC_TOKEN_RESPONSE', 'the token response has no ID Token')
  const received = tokens.id_token
  const { idToken, claims } = await step('idToken', async () => {
    const idToken = await provider.openIdToken(received)
    const { claims: second, alg } = await provider.verifyIdToken(idToken, transaction)
    checkTokenHashes(second, alg, { accessToken: tokens.access_token }, { codeHash: false, accessTokenHash: false })
    if (front !== undefined) checkSameIdentity(front, second)
    return { idToken, claims: second }
  })
  return { tokens, proofKey, idToken, claims, redeemedAt }
}

async function fetchUserInfo(
  services: Services,
  accessToken: string,
  proofKey: ProofKey | undefined,
): Promise<UserInfo | undefined> {
  const { config, provider } = services
  if (config.userInfo === 'off' || !(await hasUserInfo(services))) return undefined
  return step('userInfo', () => provider.fetchUserInfo(accessToken, proofKey))
}

/** A provider need not have userinfo: the claims are those of the ID Token then. OpenID Connect Discovery 1.0 section 3. */
async function hasUserInfo({ provider }: Services): Promise<boolean> {
  return (await provider.metadata()).userinfo_endpoint !== undefined
}
