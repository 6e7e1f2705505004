import './express.js'

export { OidcError, type OidcErrorCode, oidcErrorCodes } from './errors.js'
export { requiresAuth, requiresClaim, requiresScope } from './handlers/guards.js'
export type { Hooks, SignInContext } from './handlers/hooks.js'
export type { LoginOptions } from './handlers/login.js'
export type { LogoutOptions } from './handlers/logout.js'
export type { AccessToken, OidcRequestContext, OidcUser } from './handlers/request-context.js'
export type { Routes } from './handlers/site.js'
export { type Health, type OpenIdConnect, openIdConnect } from './openid-connect.js'
export type { OidcOptions, PrivateKeyAuthentication, SessionOptions } from './options.js'
export type { AuthorizationParams } from './protocol/authorization-request.js'
export type {
  ClientAuthenticationMethod,
  IdTokenClaims,
  ProviderMetadata,
  ResponseMode,
  ResponseType,
  SigningAlgorithm,
  UserInfo,
} from './protocol/wire.js'
export type { RedisClient } from './state/redis-client.js'
export type { Tokens } from './state/ticket.js'
