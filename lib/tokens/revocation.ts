import { OidcError } from '../errors.js'
import type { Services } from '../options/config.js'
import type { Tokens } from '../store/ticket.js'
import type { TokenStore } from '../store/token-store.js'

/** Revokes tokens at the provider, so that they cannot be used any more. RFC 7009. */
export interface Revocations {
  /** Revokes what there is, where the provider offers it. No caller waits for it; a failure is logged. */
  inBackground(tokens: Tokens | undefined): void
  /**
   * Revokes the tokens of a session that goes on without them.
   * @throws {OidcError} ERR_OIDC_UNSUPPORTED where the provider does not offer it, and what went wrong
   */
  revoke(tokenStore: TokenStore): Promise<void>
  /** Resolves when nothing is under way in the background any more. */
  whenIdle(): Promise<void>
}

export function createRevocations({ config, provider }: Pick<Services, 'config' | 'provider'>): Revocations {
  const underWay = new Set<Promise<void>>()

  /** The refresh token first: while it lives, new access tokens can be had. */
  async function revoke({ refreshToken, accessToken, others = [] }: Tokens): Promise<void> {
    if (refreshToken !== undefined) await provider.revokeToken(refreshToken, 'refresh_token')
    const accessTokens = [accessToken, ...others.map(other => other.accessToken)].filter(token => token !== undefined)
    for (const token of accessTokens) await provider.revokeToken(token, 'access_token')
  }

  async function tryToRevoke(tokens: Tokens): Promise<void> {
    try {
      await revoke(tokens)
    } catch (error) {
      if (error instanceof OidcError && error.code === 'ERR_OIDC_UNSUPPORTED') return
      config.log(
        `tokens of a session that has ended could not be revoked: ${error instanceof OidcError ? error.code : error}`,
      )
    }
  }

  return {
    inBackground(tokens) {
      if (tokens === undefined) return
      const revoking = tryToRevoke(tokens)
      underWay.add(revoking)
      void revoking.then(() => underWay.delete(revoking))
    },
    async revoke(tokenStore) {
      for (let view = await tokenStore.open(); view?.tokens !== undefined; ) {
        const { idToken, scope } = view.tokens
        await revoke(view.tokens)
        const tokens = { scope, ...(idToken !== undefined && { idToken }) }
        // A refresh that came in between has brought new ones, which go the same way.
        view = (await tokenStore.commit('', view, { tokens })) === 'changed' ? await tokenStore.open() : undefined
      }
    },
    async whenIdle() {
      await Promise.allSettled(underWay)
    },
  }
}
