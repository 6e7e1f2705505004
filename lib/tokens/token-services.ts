import type { Services } from '../options/config.js'
import { type AccessTokens, createAccessTokens } from './access-tokens.js'
import { type ClientTokens, createClientTokens } from './client-tokens.js'
import { createLeases } from './refresh-lease.js'
import { createRequestLimiter } from './request-limiter.js'
import { createRevocations, type Revocations } from './revocation.js'
import { createTokenExchanges, type TokenExchanges } from './token-exchange.js'

/** Everything that gets, refreshes and revokes tokens after the sign-in. */
export interface TokenServices {
  readonly accessTokens: AccessTokens
  readonly clientTokens: ClientTokens
  readonly exchanges: TokenExchanges
  readonly revocations: Revocations
  /** Resolves when nothing is under way any more: a response of the provider must not be lost. */
  whenIdle(): Promise<void>
}

export function createTokenServices(services: Services): TokenServices {
  const { config } = services
  const limiter = createRequestLimiter(config.now)
  const leases = createLeases(config, limiter)
  const revocations = createRevocations(services)
  const accessTokens = createAccessTokens({ ...services, leases, revocations })
  const clientTokens = createClientTokens(services, leases)
  return {
    accessTokens,
    clientTokens,
    revocations,
    exchanges: createTokenExchanges(services),
    async whenIdle() {
      await Promise.all([accessTokens.whenIdle(), clientTokens.whenIdle()])
      await Promise.all([leases.whenIdle(), revocations.whenIdle()])
    },
  }
}
