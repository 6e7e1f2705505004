import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import { type Config, epochSeconds, type Services } from '../options/config.js'
import type { ProofKey } from '../protocol/dpop.js'
import { judgeRefusedRefresh, type RefreshVerdict } from '../protocol/refused-refresh.js'
import { replacementOf } from '../protocol/token-response.js'
import type { IdTokenClaims, TokenResponse } from '../protocol/wire.js'
import { failureKey } from '../store/refresh-failure.js'
import type { StoredTokens, TokenStore } from '../store/token-store.js'
import { keepClaims } from './refresh-claims.js'
import { type Refreshes, SLACK } from './refresh-lease.js'
import {
  buildRefreshChange,
  checkOtherScope,
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
  readonly view: StoredTokens
  /** The access token that an API has refused. */
  readonly refused?: string
  isSettled(view: StoredTokens): boolean
}

/** Trades the refresh token, checks what comes back, keeps it, and tells the site. */
export async function refreshTokens(
  services: Services,
  revocations: Revocations,
  refreshes: Refreshes,
  refresh: Refresh,
): Promise<StoredTokens> {
  const { config } = services
  const { tokenStore, view, isSettled, purpose, scope, resource } = refresh
  // What the provider is, has to be known before the right to refresh is claimed: the claim covers one exchange.
  await services.provider.metadata()
  // The caller gets an error earlier. The request goes on within two leases, of which the end is for verifying and saving.
  const latest = 2 * config.timeouts.provider + SLACK - VERIFY_PATIENCE
  let answer: { readonly response: TokenResponse; readonly idTokenClaims: IdTokenClaims | undefined } | undefined

  const kept = await refreshes.refresh({
    tokenStore,
    view,
    isSettled,
    token: failureKey(purpose),
    judge: error => judge(services, refresh, error),
    async request(current) {
      const refreshToken = current.tokens?.refreshToken
      if (refreshToken === undefined) throw new OidcError('ERR_OIDC_ACCESS_TOKEN_EXPIRED', 'the refresh token is gone')
      const proofKey = await proofKeyFor(config, current)
      const grant = {
        refreshToken,
        ...(scope !== undefined && { scope }),
        ...(resource !== undefined && { resource }),
        proofKey,
      }
      const received = await services.provider
        .refreshTokens(grant, latest)
        .catch(error => readUnusable(error, proofKey))
      if ('error' in received) return received
      const response = received
      // Nobody is left to give these tokens to: they go back. Where the provider sent no new refresh token, ours goes.
      const discard = () => revocations.inBackground({ scope: '', refreshToken, ...granted(response) })
      try {
        const idTokenClaims = await inTime(verifyRefresh(services, response, current))
        checkOtherScope({ purpose, ...(scope !== undefined && { scope }) }, response, current)
        answer = { response, idTokenClaims }
        const wanted = { purpose, ...(scope !== undefined && { scope }), sid: idTokenClaims?.sid, proofKey }
        return { change: now => buildRefreshChange(config, response, wanted, now), discard }
      } catch (error) {
        if (error instanceof OidcError && error.code === 'ERR_OIDC_REFRESH_REJECTED') {
          discard()
          throw error
        }
        // What was sent is not used, but it came for our refresh token, which is spent: the new one takes its place.
        return { change: now => keepRefreshToken(response.refresh_token, proofKey, now), discard, error }
      }
    },
  })
  if (answer === undefined || config.hooks.refresh === undefined) return kept
  const safe = await tokenStore.open()
  if (safe !== undefined) {
    await keepClaims(services, tokenStore, safe, { idTokenClaims: answer.idTokenClaims, userInfo: undefined })
  }
  return kept
}

/** The key the tokens are bound to. A session that began before the option was set gets one with its next refresh. */
async function proofKeyFor(
  { proofAlgorithm }: Pick<Config, 'proofAlgorithm'>,
  { tokens }: StoredTokens,
): Promise<ProofKey | undefined> {
  if (tokens?.proofKey !== undefined || proofAlgorithm === undefined) return tokens?.proofKey
  const { deriveProofKey } = await import('../protocol/dpop.js')
  return deriveProofKey(proofAlgorithm, randomBytes(64))
}

/** An answer that cannot be used may still bring the refresh token that takes the place of ours. */
function readUnusable(error: unknown, proofKey: ProofKey | undefined) {
  const refreshToken = replacementOf(error)
  if (!(error instanceof OidcError) || refreshToken === undefined) throw error
  return { change: (now: StoredTokens) => keepRefreshToken(refreshToken, proofKey, now), discard() {}, error }
}

/** What a failed refresh means, told to the operator where it is not a matter of course. */
function judge({ config }: Services, { purpose, view, refused }: Refresh, failure: OidcError): RefreshVerdict {
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

/** Milliseconds. The keys are fetched ahead of time; where they are not there, the claim must not run out while they are waited for. */
const VERIFY_PATIENCE = 2_000

async function inTime<T>(verifying: Promise<T>): Promise<T> {
  const late = new AbortController()
  const timeout = wait(VERIFY_PATIENCE, undefined, { signal: late.signal }).then(() => {
    throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the keys of the provider could not be fetched in time')
  })
  try {
    return await Promise.race([verifying, timeout])
  } finally {
    late.abort()
    timeout.catch(() => {})
  }
}
