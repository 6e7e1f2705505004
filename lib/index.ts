import './express.js'

export type { ApiFetchOptions } from './api/api-fetch.js'
export type { DpopProofOptions } from './api/dpop-proof.js'
export type { ProxyOptions } from './api/proxy-options.js'
export type { ProxyLimits } from './api/proxy-slots.js'
export type { UserInfoOptions } from './api/user-info.js'
export type {
  JwtEncryption,
  JwtEvent,
  KeptFormEvent,
  OidcEvent,
  ProviderCall,
  RedactedFields,
  ResponseReceived,
  SignedOutEvent,
  SignInFinished,
  SignInStarted,
  StepDone,
  StoreCommand,
  StoreTrouble,
  TokenRefresh,
} from './diagnostics/events.js'
export { OidcError, type OidcErrorCode, type OidcErrorOptions, oidcErrorCodes, type ProviderError } from './errors.js'
export type { ClaimValue } from './middleware/guard-rules.js'
export {
  attemptSilentLogin,
  type Guards,
  requiresAuth,
  requiresClaim,
  requiresSameSession,
  requiresScope,
  type ScopeRequirement,
} from './middleware/guards.js'
export type { OidcRequest, OidcUser } from './middleware/request.js'
export type { SessionEnded, WatchOptions } from './middleware/watch.js'
export { type Health, type OpenIdConnect, openIdConnect } from './openid-connect.js'
export type {
  AuditEntry,
  AuditRefreshRefused,
  AuditSessionExpired,
  AuditSignIn,
  AuditSignInRefused,
  AuditSignOut,
} from './options/audit-entries.js'
export type { Routes } from './options/config.js'
export type {
  Hooks,
  KeptFormContext,
  RefreshContext,
  Signal,
  SignalDecision,
  SignedOut,
  SignInContext,
} from './options/hooks.js'
export type { HostFunction, HostOptions } from './options/host-options.js'
export type { Logger, LogMethod } from './options/log.js'
export type {
  ClientAssertionOptions,
  ClientKeyFunction,
  OidcOptions,
  PrivateKeyAuthentication,
  SecretAssertionAuthentication,
  SessionOptions,
  SignalOptions,
} from './options/options.js'
export type {
  ErrorPageContent,
  KeptFormPageContent,
  PageContent,
  PageLanguage,
  PageOptions,
  SignOutPageContent,
  UnsentFormPageContent,
} from './options/pages.js'
export type {
  OneProviderOptions,
  ProviderChoice,
  ProviderOptions,
  SeveralProvidersOptions,
} from './options/provider-options.js'
export type { AuthorizationParams } from './protocol/authorization-request.js'
export type { AssertionAudience, AssertionHeader, ClientPrivateKey } from './protocol/client-assertion.js'
export type {
  ContentEncryptionAlgorithm,
  KeyEncryptionAlgorithm,
  RequestEncryption,
} from './protocol/encryption-algorithms.js'
export type { SignalAction } from './protocol/event-action.js'
export type { DecryptionKey } from './protocol/jwe.js'
export type {
  AuthorizationDetail,
  ClientAuthenticationMethod,
  IdTokenClaims,
  ProviderMetadata,
  ResponseMode,
  ResponseType,
  SigningAlgorithm,
  UserInfo,
} from './protocol/wire.js'
export type { ClientCertificate } from './provider/client-certificate.js'
export type { NamedClientKey } from './provider/client-key.js'
export type { LoginOptions } from './sign-in/login-options.js'
export type { SilentLoginOptions } from './sign-in/silent-login.js'
export type { AuthenticationRequirement } from './sign-in/step-up.js'
export type { LogoutOptions } from './sign-out/logout.js'
export type { RevokeTarget } from './sign-out/session-arguments.js'
export type { OidcSession, OidcSessions } from './sign-out/sessions.js'
export type { NodeRedisClient, NodeRedisClientOptions } from './store/backend/node-redis-client.js'
export type { RedisClient } from './store/backend/redis-client.js'
export type { SessionEndReason, SignOutReason } from './store/end-reason.js'
export type { OtherAccessToken, Tokens } from './store/ticket.js'
export type { AccessToken, AccessTokenOptions } from './tokens/access-tokens.js'
export type { ClientCredentialsOptions } from './tokens/client-tokens.js'
export type { ExchangeOptions } from './tokens/token-exchange.js'
