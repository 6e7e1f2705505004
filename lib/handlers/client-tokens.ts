import { OidcError } from '../errors.js'
import { checkScopeGranted, grantedScope, scopeKey } from '../protocol/granted-scope.js'
import type { TokenResponse } from '../protocol/wire.js'
import type { Tokens } from '../state/ticket.js'
import type { VaultView } from '../state/token-vault.js'
import type { AccessToken } from './access-tokens.js'
import { failureError, pauseOf } from './back-off.js'
import type { Renewals } from './renewal.js'
import { isStoreAway } from './renewal-save.js'
import { createSingleFlight } from './single-flight.js'
import { epochSeconds, type Services } from './site.js'
import { accessTokenFields } from './ticket.js'
import { createTokenCache } from './token-cache.js'
import { isDue, isFresh, isUsable } from './token-freshness.js'

/** What a token for this site itself is for. */
export interface ClientCredentialsOptions {
  /** Space-separated. Default: whatever the provider gives this client. */
  readonly scope?: string
  /** The API the token is for. RFC 8707. */
  readonly resource?: string
}

/** Tokens for this site itself, shared by all its processes and renewed before they expire. RFC 6749 section 4.4. */
export interface ClientTokens {
  /** @throws {OidcError} ERR_OIDC_TOKEN_DENIED, ERR_OIDC_CLIENT_REJECTED, and those of the provider while no token is at hand */
  get(options?: ClientCredentialsOptions): Promise<AccessToken>
  settled(): Promise<void>
}

type ClientToken = Tokens & { readonly accessToken: string }

const MIN_VALIDITY = 60
const MOST_CACHED = 100

export function createClientTokens(services: Services, renewals: Renewals): ClientTokens {
  const { site, provider, state } = services
  const flights = createSingleFlight<ClientToken>()
  const cache = createTokenCache<ClientToken>(MOST_CACHED)

  async function get(options: ClientCredentialsOptions = {}): Promise<AccessToken> {
    const purpose = purposeOf(services, options)
    const now = epochSeconds(site)
    const known = cache.get(purpose)
    if (known !== undefined && isFresh(known, MIN_VALIDITY, now)) {
      // What differs is the process: they need not all come at the same moment.
      if (isDue(known, MIN_VALIDITY, now, `${process.pid} ${purpose}`)) renew(purpose, options).catch(() => {})
      return toAccessToken(known)
    }
    try {
      return toAccessToken(await renew(purpose, options))
    } catch (error) {
      if (known !== undefined && isUsable(known, now)) return toAccessToken(known)
      throw error
    }
  }

  function renew(purpose: string, options: ClientCredentialsOptions): Promise<ClientToken> {
    return flights.run(purpose, async () => {
      const token = await renewShared(purpose, options).catch(async (error: unknown) => {
        // A token for ourselves can be had without Redis, too.
        if (!isStoreAway(error)) throw error
        return build(await provider.requestClientTokens(options), options)
      })
      cache.set(purpose, token)
      return token
    })
  }

  async function renewShared(purpose: string, options: ClientCredentialsOptions): Promise<ClientToken> {
    const vault = state.clientVault(purpose)
    const view = await vault.open()
    if (view === undefined) throw new TypeError('a vault of the client is always there')
    const own = cache.get(purpose)
    const isSettled = ({ tokens }: VaultView) =>
      isComplete(tokens) && isFresh(tokens, MIN_VALIDITY, epochSeconds(site)) && tokens.accessToken !== own?.accessToken
    if (isSettled(view) && isComplete(view.tokens)) return view.tokens
    const pause = pauseOf(view, undefined, site.now())
    if (pause !== undefined) throw failureError(pause, site.now())
    const renewed = await renewals.renew({
      vault,
      view,
      isSettled,
      judge: error => ({ error, endsSession: false, pauses: 'session', isLogged: false }),
      async request() {
        const tokens = build(await provider.requestClientTokens(options), options)
        return { change: () => ({ tokens }), discard() {} }
      },
    })
    if (!isComplete(renewed.tokens)) throw new OidcError('ERR_OIDC_TOKEN_RESPONSE', 'there is no token')
    return renewed.tokens
  }

  function build(response: TokenResponse, { scope = '' }: ClientCredentialsOptions): ClientToken {
    const granted = grantedScope({ asked: scope, answer: response.scope })
    checkScopeGranted(scope, granted)
    return accessTokenFields(site, response, granted)
  }

  return { get, settled: flights.settled }
}

function isComplete(tokens: Tokens | undefined): tokens is ClientToken {
  return tokens?.accessToken !== undefined
}

function purposeOf({ site }: Services, { scope, resource }: ClientCredentialsOptions): string {
  return JSON.stringify([site.issuer, site.clientId, resource ?? null, ...scopeKey(scope)])
}

function toAccessToken({ accessToken, tokenType = 'Bearer', scope, expiresAt }: ClientToken): AccessToken {
  return { value: accessToken, type: tokenType, scope, expiresAt }
}
