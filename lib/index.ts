import './express.js'

export type {
  AnswerReceived,
  OidcEvent,
  ProviderCall,
  ShownFields,
  SignedOutEvent,
  SignInFinished,
  SignInStarted,
  StepDone,
  StoreCommand,
  StoreTrouble,
  TokenRefresh,
} from './diagnostics/events.js'
export { OidcError, type OidcErrorCode, type OidcErrorOptions, oidcErrorCodes, type ProviderError } from './errors.js'
export type { AccessToken, AccessTokenOptions } from './handlers/access-tokens.js'
export type { ApiFetchOptions } from './handlers/api-fetch.js'
export type { LoginOptions } from './handlers/asked-params.js'
export type { ClientCredentialsOptions } from './handlers/client-tokens.js'
export type { ClaimValue } from './handlers/guard-rules.js'
export { type Guards, requiresAuth, requiresClaim, requiresScope, type ScopeRequirement } from './handlers/guards.js'
export type { Hooks, RefreshContext, SignedOut, SignInContext, SignOutReason } from './handlers/hooks.js'
export type { LogoutOptions } from './handlers/logout.js'
export type { ProxyOptions } from './handlers/proxy-options.js'
export type { ProxyLimits } from './handlers/proxy-slots.js'
export type { OidcRequestContext, OidcUser } from './handlers/request-context.js'
export type { Routes } from './handlers/site.js'
export type { AuthenticationRequirement } from './handlers/step-up.js'
export type { ExchangeOptions } from './handlers/token-exchange.js'
export type { UserInfoOptions } from './handlers/user-info.js'
export { type Health, type OpenIdConnect, openIdConnect } from './openid-connect.js'
export type {
  ClientAssertionOptions,
  OidcOptions,
  PrivateKeyAuthentication,
  SecretAssertionAuthentication,
  SessionOptions,
} from './options.js'
export type { AuthorizationParams } from './protocol/authorization-request.js'
export type { AssertionAudience, AssertionHeader, ClientPrivateKey } from './protocol/client-assertion.js'
export type {
  ClientAuthenticationMethod,
  IdTokenClaims,
  ProviderMetadata,
  ResponseMode,
  ResponseType,
  SigningAlgorithm,
  UserInfo,
} from './protocol/wire.js'
export type { RevokeTarget } from './session-arguments.js'
export type { OidcSession, OidcSessions } from './sessions.js'
export type { RedisClient } from './state/redis-client.js'
export type { OtherAccessToken, Tokens } from './state/ticket.js'
