import { type AccessTokens, createAccessTokens } from './access-tokens.js'
import { type ClientTokens, createClientTokens } from './client-tokens.js'
import { createRenewals } from './renewal.js'
import { createRevocations, type Revocations } from './revocation.js'
import type { Services } from './site.js'
import { createTokenExchanges, type TokenExchanges } from './token-exchange.js'
import { createTokenGate } from './token-gate.js'

/** Everything that gets, renews and gives back tokens after the sign-in. */
export interface TokenServices {
  readonly accessTokens: AccessTokens
  readonly clientTokens: ClientTokens
  readonly exchanges: TokenExchanges
  readonly revocations: Revocations
  /** Resolves when nothing is under way any more: what the provider has answered must not be lost. */
  settled(): Promise<void>
}

export function createTokenServices(services: Services): TokenServices {
  const { site } = services
  const gate = createTokenGate(site.now)
  const renewals = createRenewals(site, gate)
  const revocations = createRevocations(services)
  const accessTokens = createAccessTokens(services, renewals, revocations)
  const clientTokens = createClientTokens(services, renewals)
  return {
    accessTokens,
    clientTokens,
    revocations,
    exchanges: createTokenExchanges(services),
    async settled() {
      await Promise.all([accessTokens.settled(), clientTokens.settled()])
      await Promise.all([renewals.settled(), revocations.settled()])
    },
  }
}
