import { randomBytes } from 'node:crypto'
import { OidcError } from '../errors.js'
import { describeSession } from '../options/audit-entries.js'
import { epochSeconds, type Services, type SiteConfig } from '../options/config.js'
import type { ProofKey } from '../protocol/dpop.js'
import { judgeRefusedRefresh, type RefreshVerdict } from '../protocol/refused-refresh.js'
import { replacementOf } from '../protocol/token-response.js'
import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import { failureKey } from '../store/refresh-failure.js'
import type { StoredTokens, TokenStore } from '../store/token-store.js'
import { COUNTING_PAUSES, withTimeLimit } from '../time.js'
import { keepClaims } from './refresh-claims.js'
import { type Lease, type Leases, SLACK } from './refresh-lease.js'
import {
  buildRefreshChange,
  checkGranted,
  keepRefreshToken,
  type RefreshPurpose,
  verifyRefresh,
} from './refresh-response.js'
import { logRefusal } from './refusal-log.js'
import type { Revocations } from './revocation.js'
import { isUsable } from './token-freshness.js'

/** One refresh of the tokens of a session. */
export interface Refresh extends RefreshPurpose {
  readonly resource?: string
  readonly tokenStore: TokenStore
  /** Names the session. */
  readonly handle: string
  readonly view: StoredTokens
  /** The access token that an API has refused. */
  readonly refused?: string
  isUpToDate(view: StoredTokens): boolean
}

/** What a refresh needs besides the tokens. */
export interface RefreshServices extends Services {
  readonly leases: Leases
  readonly revocations: Revocations
}

/** What a session holds after a refresh. */
interface Outcome {
  readonly kept: StoredTokens
  /** Whether this process brought it, and not another one meanwhile. */
  readonly isOurs: boolean
  /** Of the refreshed ID Token. */
  readonly idTokenClaims?: IdTokenClaims | undefined
}

/** Milliseconds. The keys are fetched ahead of time; where they are missing, the lease must not expire while they are waited for. */
const VERIFY_PATIENCE = 2_000

/** Refreshes the tokens of a session: acquires the lease, and then requests, verifies and commits. The site's hook comes last. */
export async function refreshTokens(services: RefreshServices, refresh: Refresh): Promise<StoredTokens> {
  const { config, provider, leases } = services
  const { tokenStore, view, isUpToDate, purpose } = refresh
  // The metadata has to be known before the lease is acquired: the lease covers one exchange.
  await provider.metadata()
  const token = failureKey(purpose)
  const judge = (error: OidcError) => judgeFailure(services, refresh, error)
  const lease = await leases.acquire({ tokenStore, view, isUpToDate, token, judge })
  if (!lease.isAcquired) return lease.view
  const { kept, isOurs, idTokenClaims } = await lease.complete(
    exchange(services, refresh, lease).catch(error => {
      auditRefusal(services, refresh, error)
      throw error
    }),
  )
  if (isOurs && config.hooks.refresh !== undefined) {
    const current = await tokenStore.open()
    if (current !== undefined) await keepClaims(services, tokenStore, current, { idTokenClaims, userInfo: undefined })
  }
  return kept
}

/** The provider's word on a refresh that is not a matter of trying again. */
const REFUSED: readonly string[] = ['ERR_OIDC_REFRESH_REJECTED', 'ERR_OIDC_TOKEN_DENIED']

function auditRefusal({ config }: Services, { view: { ticket }, handle }: Refresh, error: unknown): void {
  if (ticket === undefined || !(error instanceof OidcError) || !REFUSED.includes(error.code)) return
  const { code } = error
  const endsSession = code === 'ERR_OIDC_REFRESH_REJECTED'
  config.audit?.({ type: 'refresh-refused', code, endsSession, ...describeSession(ticket, handle) })
}

/** What happens under the lease: one request, the checks of its response, one commit. */
async function exchange(services: RefreshServices, refresh: Refresh, lease: Lease): Promise<Outcome> {
  const { config, revocations } = services
  let response: TokenResponse
  let proofKey: ProofKey | undefined
  try {
    proofKey = await proofKeyFor(config, lease.view)
    response = await request(services, refresh, lease.view, proofKey)
  } catch (error) {
    const replacement = replacementOf(error)
    if (replacement === undefined) return { kept: await lease.fail(error), isOurs: false }
    // The response cannot be used, but its refresh token takes the place of ours.
    const change = (now: StoredTokens) => keepRefreshToken(replacement, proofKey, now)
    return { kept: await lease.commit({ change, discard() {} }, error), isOurs: false }
  }
  // Where the session has ended meanwhile, the new tokens are revoked. Where the provider sent no new refresh token, ours is.
  const { refreshToken } = lease.view.tokens ?? {}
  const sent = { scope: '', ...(refreshToken !== undefined && { refreshToken }) }
  const discard = () => revocations.inBackground({ ...sent, ...granted(response) })

  let idTokenClaims: IdTokenClaims | undefined
  try {
    const late = () => {
      throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the keys of the provider could not be fetched in time')
    }
    const verifying = verifyRefresh(services, response, lease.view)
    const verified = await withTimeLimit(verifying, VERIFY_PATIENCE, late, COUNTING_PAUSES)
    idTokenClaims = verified.claims
    response = verified.response
    checkGranted(refresh, response, lease.view)
  } catch (error) {
    if (error instanceof OidcError && error.code === 'ERR_OIDC_REFRESH_REJECTED') {
      discard()
      return { kept: await lease.fail(error), isOurs: false }
    }
    // The response is not used, but it spent our refresh token: the new one takes its place.
    const change = (now: StoredTokens) => keepRefreshToken(response.refresh_token, proofKey, now)
    return { kept: await lease.commit({ change, discard }, error), isOurs: false }
  }

  const wanted = { ...refresh, idTokenClaims, proofKey }
  const change = (now: StoredTokens) => buildRefreshChange(config, response, wanted, now)
  return { kept: await lease.commit({ change, discard }), isOurs: true, idTokenClaims }
}

/** The request to the token endpoint. RFC 6749 section 6. @throws {OidcError} what its response amounts to */
async function request(
  { config, provider }: RefreshServices,
  { scope, resource, authorizationDetails }: Refresh,
  { tokens }: StoredTokens,
  proofKey: ProofKey | undefined,
): Promise<TokenResponse> {
  const refreshToken = tokens?.refreshToken
  if (refreshToken === undefined) throw new OidcError('ERR_OIDC_ACCESS_TOKEN_EXPIRED', 'the refresh token is gone')
  const optional = {
    ...(scope !== undefined && { scope }),
    ...(resource !== undefined && { resource }),
    ...(authorizationDetails !== undefined && { authorizationDetails }),
  }
  const usesDetails = authorizationDetails !== undefined || tokens?.authorizationDetails !== undefined
  const grant = { refreshToken, ...optional, proofKey, usesDetails }
  // The caller gets an error earlier. The request goes on within two leases, of which the end is for verifying and saving.
  return provider.refreshTokens(grant, 2 * config.timeouts.provider + SLACK - VERIFY_PATIENCE)
}

/** The key the tokens are bound to. A session that began before the option was set gets one with its next refresh. */
async function proofKeyFor(
  { proofAlgorithm }: Pick<SiteConfig, 'proofAlgorithm'>,
  { tokens }: StoredTokens,
): Promise<ProofKey | undefined> {
  if (tokens?.proofKey !== undefined || proofAlgorithm === undefined) return tokens?.proofKey
  const { deriveProofKey } = await import('../protocol/dpop.js')
  return deriveProofKey(proofAlgorithm, randomBytes(64))
}

/** What a failed refresh means, told to the operator where it is not a matter of course. */
function judgeFailure({ config }: Services, { purpose, view, refused }: Refresh, failure: OidcError): RefreshVerdict {
  const { tokens } = view
  const isExpired =
    tokens?.accessToken === undefined || tokens.accessToken === refused || !isUsable(tokens, epochSeconds(config))
  const verdict = judgeRefusedRefresh(failure, { isMain: purpose === '', isExpired })
  if (verdict.isLogged) logRefusal(config, purpose, failure, verdict)
  return verdict
}

function granted({ access_token, refresh_token }: TokenResponse) {
  return { accessToken: access_token, ...(refresh_token !== undefined && { refreshToken: refresh_token }) }
}
