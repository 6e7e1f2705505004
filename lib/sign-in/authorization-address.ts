import { OidcError } from '../errors.js'
import { type ActiveTransaction, proofKeyOf } from '../http/transaction-state.js'
import type { Services } from '../options/config.js'
import {
  type AuthorizationParams,
  addToEndpoint,
  buildAuthorizationParams,
  buildCodeChallenge,
} from '../protocol/authorization-request.js'
import { isPushed } from '../protocol/pushed-request.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import { prepareRequest } from '../provider/authorization-request.js'
import { describeRefusal } from './refused-sign-in.js'

/** Where the browser goes, and what was asked of the provider, whichever way it went there. */
export interface AuthorizationAddress {
  readonly location: string
  readonly asked: URLSearchParams
  /** Whether the request was pushed. */
  readonly pushed: boolean
}

/**
 * Asks the provider for a sign-in: in the address itself, or by a request that is pushed before the browser leaves.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for parameters that replace protocol ones; where the request is pushed, ERR_OIDC_CLIENT_REJECTED,
 *   ERR_OIDC_PROVIDER_UNAVAILABLE and the codes of a refused sign-in
 */
export async function requestAuthorization(
  services: Pick<Services, 'config' | 'provider'>,
  metadata: ProviderMetadata,
  transaction: ActiveTransaction,
  params: AuthorizationParams,
): Promise<AuthorizationAddress> {
  const { config, provider } = services
  const proofKey = await proofKeyOf(transaction)
  const asked = buildAuthorizationParams({
    clientId: config.clientId,
    redirectUri: transaction.redirectUri,
    responseType: config.responseType,
    responseMode: config.responseMode,
    scope: transaction.scope,
    state: transaction.state,
    nonce: transaction.nonce,
    ...(config.pkce && { codeChallenge: buildCodeChallenge(transaction.codeVerifier) }),
    ...(proofKey && { proofKeyThumbprint: (await import('../protocol/dpop.js')).proofKeyThumbprint(proofKey) }),
    params,
  })
  const endpoint = metadata.authorization_endpoint
  const sent = await prepareRequest(provider, metadata, asked, { settings: config, proofKey }).catch(
    (error: unknown) => {
      const isRefused = error instanceof OidcError && error.code === 'ERR_OIDC_AUTHORIZATION_FAILED'
      throw isRefused && error.providerError ? describeRefusal(config, error.providerError, transaction) : error
    },
  )
  return { location: addToEndpoint(endpoint, sent), asked, pushed: isPushed(metadata, config.pushedAuthorization) }
}
