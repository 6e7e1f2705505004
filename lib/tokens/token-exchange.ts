import { hash } from 'node:crypto'
import { epochSeconds, type Services } from '../options/config.js'
import { checkScopeGranted, grantedScope } from '../protocol/granted-scope.js'
import type { AuthorizationDetail } from '../protocol/wire.js'
import { accessTokenFields } from './access-token-fields.js'
import type { AccessToken } from './access-tokens.js'
import { bindToken, keyOfToken } from './bound-token.js'
import { grantedDetails } from './granted-details.js'
import { createSingleFlight } from './single-flight.js'
import { createTokenCache } from './token-cache.js'
import { isFresh, type TokenTimes } from './token-freshness.js'

/** Which service the person's token is exchanged for. At least one of `audience` and `resource`. */
export interface ExchangeOptions {
  /** Its logical name. */
  readonly audience?: string
  /** Its address. */
  readonly resource?: string
  /** Space-separated. Default: whatever the provider gives for that service. */
  readonly scope?: string
  /** What the token is to allow, in more than words of a scope. RFC 9396 section 6. */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

/** Tokens to call the next service with, on behalf of the person. RFC 8693. */
export interface TokenExchanges {
  /**
   * @param subject - the person's access token. Where it is bound to a key, so is what it is exchanged for.
   * @throws {OidcError} ERR_OIDC_TOKEN_DENIED, ERR_OIDC_UNSUPPORTED, and those of the provider
   */
  exchange(subject: AccessToken, options: ExchangeOptions): Promise<AccessToken>
}

type Exchanged = AccessToken & TokenTimes

const MIN_VALIDITY = 60
const MOST_CACHED = 1000

export function createTokenExchanges({ config, provider }: Services): TokenExchanges {
  const flights = createSingleFlight<Exchanged>()
  const cache = createTokenCache<Exchanged>(MOST_CACHED)

  async function ask(subject: AccessToken, options: ExchangeOptions): Promise<Exchanged> {
    const proofKey = keyOfToken(subject)
    const response = await provider.exchangeToken({ subjectToken: subject.value, ...options, proofKey })
    const granted = grantedScope({ asked: options.scope ?? '', response: response.scope })
    checkScopeGranted(options.scope, granted)
    const details = grantedDetails(response, options.authorizationDetails)
    const { accessToken: value, tokenType: type, ...fields } = accessTokenFields(config, response, granted, details)
    return { value, type, ...fields } as Exchanged
  }

  return {
    async exchange(subject, options) {
      const { audience, resource, scope, authorizationDetails } = options
      const key = hash('sha256', JSON.stringify([subject.value, audience, resource, scope, authorizationDetails]))
      const known = cache.get(key)
      // Without a known end it is not kept: its end would go unnoticed.
      if (known?.expiresAt !== undefined && isFresh(known, MIN_VALIDITY, epochSeconds(config)))
        return publicPart(known, subject)
      const exchanged = await flights.run(key, () => ask(subject, options))
      cache.set(key, exchanged)
      return publicPart(exchanged, subject)
    },
  }
}

function publicPart(
  { value, type, scope, expiresAt, authorizationDetails }: Exchanged,
  subject: AccessToken,
): AccessToken {
  const granted = authorizationDetails !== undefined && { authorizationDetails }
  return bindToken({ value, type, scope, expiresAt, ...granted }, keyOfToken(subject))
}
