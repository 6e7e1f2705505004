import { OidcError } from '../errors.js'
import { epochSeconds, type Services } from '../options/config.js'
import { fingerprintOfDetails } from '../protocol/authorization-details.js'
import { checkScopeGranted, grantedScope, scopeKey } from '../protocol/granted-scope.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import type { AuthorizationDetail, TokenResponse } from '../protocol/wire.js'
import type { Tokens } from '../store/ticket.js'
import type { StoredTokens } from '../store/token-store.js'
import { accessTokenFields } from './access-token-fields.js'
import type { AccessToken } from './access-tokens.js'
import { failureError, pauseOf } from './back-off.js'
import { grantedDetails } from './granted-details.js'
import type { Lease, Leases } from './refresh-lease.js'
import { isStoreAway } from './refresh-save.js'
import { createSingleFlight } from './single-flight.js'
import { createTokenCache } from './token-cache.js'
import { isDue, isFresh, isUsable } from './token-freshness.js'

/** What a token for this site itself is for. */
export interface ClientCredentialsOptions {
  /** The name of the provider, on a site with several. Default: the option `defaultProvider`. */
  readonly provider?: string
  /** Space-separated. Default: whatever the provider gives this client. */
  readonly scope?: string
  /** The API the token is for. RFC 8707. */
  readonly resource?: string
  /** What the token is to allow, in more than words of a scope. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

/** Tokens for this site itself, shared by all its processes and fetched again before they expire. RFC 6749 section 4.4. */
export interface ClientTokens {
  /** @throws {OidcError} ERR_OIDC_TOKEN_DENIED, ERR_OIDC_CLIENT_REJECTED, and those of the provider while no token is at hand */
  get(options?: ClientCredentialsOptions): Promise<AccessToken>
  whenIdle(): Promise<void>
}

type ClientToken = Tokens & { readonly accessToken: string }

const MIN_VALIDITY = 60
const MOST_CACHED = 100

export function createClientTokens(services: Services, leases: Leases): ClientTokens {
  const { config, provider, store } = services
  const flights = createSingleFlight<ClientToken>()
  const cache = createTokenCache<ClientToken>(MOST_CACHED)

  async function get(options: ClientCredentialsOptions = {}): Promise<AccessToken> {
    const purpose = purposeOf(services, options)
    const now = epochSeconds(config)
    const known = cache.get(purpose)
    if (known !== undefined && isFresh(known, MIN_VALIDITY, now)) {
      // What differs is the process: they need not all come at the same time.
      if (isDue(known, MIN_VALIDITY, now, `${process.pid} ${purpose}`)) fetchOnce(purpose, options).catch(() => {})
      return toAccessToken(known)
    }
    try {
      return toAccessToken(await fetchOnce(purpose, options))
    } catch (error) {
      if (known !== undefined && isUsable(known, now)) return toAccessToken(known)
      throw error
    }
  }

  function fetchOnce(purpose: string, options: ClientCredentialsOptions): Promise<ClientToken> {
    return flights.run(purpose, async () => {
      const token = await fetchShared(purpose, options).catch(async (error: unknown) => {
        // A token for ourselves can be had without Redis, too.
        if (!isStoreAway(error)) throw error
        return build(await provider.requestClientTokens(options), options)
      })
      cache.set(purpose, token)
      return token
    })
  }

  async function fetchShared(purpose: string, options: ClientCredentialsOptions): Promise<ClientToken> {
    const tokenStore = store.clientTokenStore(purpose)
    const view = await tokenStore.open()
    if (view === undefined) throw new TypeError('the token store of the client always exists')
    const own = cache.get(purpose)
    const isUpToDate = ({ tokens }: StoredTokens) =>
      isComplete(tokens) &&
      isFresh(tokens, MIN_VALIDITY, epochSeconds(config)) &&
      tokens.accessToken !== own?.accessToken
    if (isUpToDate(view) && isComplete(view.tokens)) return view.tokens
    const pause = pauseOf(view, undefined, config.now())
    if (pause !== undefined) throw failureError(pause, config.now())
    const lease = await leases.acquire({ tokenStore, view, isUpToDate, judge: judgeFailure })
    const { tokens } = lease.isAcquired ? await lease.complete(exchange(lease, options)) : lease.view
    if (!isComplete(tokens)) throw new OidcError('ERR_OIDC_TOKEN_RESPONSE', 'there is no token')
    return tokens
  }

  /** What happens under the lease: one request, one commit. */
  async function exchange(lease: Lease, options: ClientCredentialsOptions): Promise<StoredTokens> {
    let tokens: ClientToken
    try {
      tokens = build(await provider.requestClientTokens(options), options)
    } catch (error) {
      return lease.fail(error)
    }
    return lease.commit({ change: () => ({ tokens }), discard() {} })
  }

  function build(response: TokenResponse, { scope = '', authorizationDetails }: ClientCredentialsOptions): ClientToken {
    const granted = grantedScope({ asked: scope, response: response.scope })
    checkScopeGranted(scope, granted)
    return accessTokenFields(config, response, granted, grantedDetails(response, authorizationDetails))
  }

  return { get, whenIdle: flights.whenIdle }
}

function judgeFailure(error: OidcError): RefreshVerdict {
  return { error, endsSession: false, pauses: 'session', isLogged: false }
}

function isComplete(tokens: Tokens | undefined): tokens is ClientToken {
  return tokens?.accessToken !== undefined
}

function purposeOf(
  { config }: Services,
  { scope, resource, authorizationDetails: details }: ClientCredentialsOptions,
): string {
  const provider = config.providerName === undefined ? [] : [{ provider: config.providerName }]
  const named = details === undefined ? [] : [{ details: fingerprintOfDetails(details) }]
  return JSON.stringify([config.issuer, config.clientId, resource ?? null, ...scopeKey(scope), ...named, ...provider])
}

function toAccessToken({
  accessToken,
  tokenType = 'Bearer',
  scope,
  expiresAt,
  authorizationDetails,
}: ClientToken): AccessToken {
  const granted = authorizationDetails !== undefined && { authorizationDetails }
  return { value: accessToken, type: tokenType, scope, expiresAt, ...granted }
}
