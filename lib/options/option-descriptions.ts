import { describe, object, type RulesFor } from '../validation/object-rule.js'
import { authorizationParams } from '../validation/parameter-rules.js'
import { boolean, callback, list, nonEmptyString, oneOf, wholeNumber } from '../validation/rules.js'
import { secureUrlText } from '../validation/url-rule.js'
import { clientAuthentication, clientCertificate, decryption, requestObjectOrBoolean } from './credential-rules.js'
import { baseUrl } from './host-rules.js'
import * as nested from './nested-options.js'
import * as rules from './option-rules.js'
import type { OidcOptions } from './options.js'
import type { ProviderChoice } from './provider-options.js'
import { providerName, providers } from './provider-rules.js'
import { tenants } from './tenant-rule.js'

/*
 * The one description of all options. The check at the start, the table of docs/options.md and its defaults follow from it.
 *
 * To add an option: declare it in options.ts, give it an entry here (the compiler asks for it), and read it in configuration.ts. Then
 * run `npx tsx test/tools/option-tables.ts`, which writes the table. A rule is one of validation/rules.ts or option-rules.ts. What an
 * option may not be together with another one stands in option-conflicts.ts.
 */

/** All options, in the order of the documentation. */
export const optionsRule = object({
  issuer: describe(secureUrlText(), {
    text: 'issuer identifier, exactly as the provider spells it; a trailing slash counts',
    variable: 'OIDC_ISSUER',
    required: true,
  }),
  providers: describe(providers, {
    text: 'several providers by their names, instead of `issuer` and `clientId`: see [Several providers](several-providers.md)',
    default: 'none',
  }),
  resolveProvider: describe(callback<NonNullable<ProviderChoice['resolveProvider']>>('a function that takes a name'), {
    text: 'finds one of many providers by its name',
    default: 'none',
  }),
  defaultProvider: describe(providerName, {
    text: 'the provider for sign-ins that name none',
    default: 'none',
  }),
  chooseProvider: describe(rules.path, {
    text: 'the page of the site on which the user chooses a provider',
    default: 'none',
  }),
  profile: describe(rules.profile, {
    text: 'applies the FAPI 2.0 Security Profile, or also FAPI 2.0 Message Signing: see [High-assurance profiles](high-assurance.md)',
    default: 'none',
  }),
  clientId: describe(nonEmptyString, {
    text: 'the client id of this site at the provider',
    variable: 'OIDC_CLIENT_ID',
    required: true,
  }),
  clientSecret: describe(rules.clientSecret, {
    text: 'leave it out for a public client or with a private key; give a function for a secret that expires',
    variable: 'OIDC_CLIENT_SECRET',
  }),
  clientAuthentication: describe(clientAuthentication, {
    text: "`client_secret_basic`, `client_secret_post`, `client_secret_jwt`, `tls_client_auth`, `self_signed_tls_client_auth`, `none`, or `{ method: 'private_key_jwt', key }`",
    default: 'from the metadata',
  }),
  baseUrl: describe(baseUrl, {
    text: 'public URL of this site; it is never taken from a request. A list, or a function, for [several hosts](several-hosts.md)',
    variable: 'OIDC_BASE_URL',
    parseVariable: (text: string) => (text.includes(',') ? text.split(',') : text),
    required: true,
  }),
  responseType: describe(rules.responseType, {
    text: 'also `code`, `code token`, `code id_token token`, `id_token`, `id_token token`, in any word order',
    default: '`code id_token`',
  }),
  responseMode: describe(oneOf('form_post', 'query', 'form_post.jwt', 'query.jwt'), {
    text: '`query` and `query.jwt` are possible for `code` only; with `.jwt` the response is signed (JARM)',
    default: '`form_post`',
  }),
  pkce: describe(boolean, {
    text: '`false` for a provider that refuses `code_verifier`; needs a secret or a key',
    default: '`true`',
  }),
  dpop: describe(nested.dpopOrBoolean, {
    text: 'binds the tokens of each session to a key of that session (RFC 9449); needs `code` or `code id_token`',
    default: '`false`',
  }),
  mtls: describe(clientCertificate, {
    text: 'the TLS client certificate of this site (RFC 8705), `{ cert, key, ca?, passphrase? }`, or a function that returns it',
    default: 'none',
  }),
  pushedAuthorization: describe(rules.pushedAuthorization, {
    text: '`true` sends authorization requests directly to the provider (PAR, RFC 9126); `auto` does so if the provider requires it',
    default: '`auto`',
  }),
  requestObject: describe(requestObjectOrBoolean, {
    text: '`true` signs authorization requests (JAR, RFC 9101) with the key of `private_key_jwt`; an object gives another key',
    default: '`false`',
  }),
  scope: describe(rules.scope, {
    text: 'scopes, separated by spaces; `openid` is added',
    default: '`openid profile email`',
  }),
  authorizationParams: describe(authorizationParams, {
    text: 'further parameters for every authorization request, with their names in the protocol',
    default: 'none',
  }),
  secret: describe(rules.secrets, {
    text: 'at least 32 characters; of several secrets the first encrypts, and all of them decrypt',
    variable: 'SESSION_SECRET',
    parseVariable: (text: string) => (text.includes(',') ? text.split(',') : text),
    required: rules.secretAdvice,
  }),
  redis: describe(rules.redis, {
    text: 'URL, ioredis client or cluster, or node-redis client; without it sessions are kept in process memory, which is refused in production',
    variable: 'REDIS_URL',
  }),
  redisPrefix: describe(rules.redisPrefix, { text: 'prefix of every key in Redis', default: '`oidc:`' }),
  session: describe(nested.sessionOrFalse, {
    text: 'settings of the session and its cookie; with `false` the site mounts express-session itself',
  }),
  routes: describe(nested.routes, {
    text: 'paths, relative to where the middleware is mounted; `false` switches a route off',
  }),
  userInfo: describe(nested.userInfoOrBoolean, {
    text: "whether userinfo is fetched at sign-in; `{ token: 'token-endpoint' }` redeems the code first",
    default: '`true`',
  }),
  protocolClaims: describe(list('claim names', nonEmptyString), {
    text: 'claims that `req.oidc.user` does not contain',
    default: '`iss`, `aud`, `nbf`, `exp`, `iat`, `nonce`, `c_hash`, `at_hash`, `s_hash`, `azp`',
  }),
  signals: describe(nested.signals, {
    text: 'who may send security events and global revocations: see [signals](signals.md)',
    default: 'the provider',
  }),
  hooks: describe(nested.hooks, {
    text: 'functions of the site that are called at sign-in, refresh and sign-out',
    default: 'none',
  }),
  rememberUserAgent: describe(boolean, {
    text: 'keeps the `User-Agent` of each sign-in for `oidc.sessions.list`',
    default: '`false`',
  }),
  clearSiteData: describe(boolean, {
    text: 'makes browsers delete cached pages of this site at a sign-out and when another user signs in',
    default: '`true`',
  }),
  tenants: describe(tenants, {
    text: 'which tenants of Entra ID may sign in, for an issuer of many: see [Entra ID](providers/entra-id.md#many-tenants)',
    default: 'none',
  }),
  pages: describe(nested.pages, {
    text: 'the pages that the middleware shows by itself: their languages, and functions that make them ([pages](recipes.md#the-pages-of-the-middleware))',
  }),
  idTokenAlgorithm: describe(rules.signingAlgorithm, {
    text: 'the only algorithm that ID Tokens may be signed with; if it is not set, every asymmetric algorithm that the provider lists',
    default: '`RS256`',
  }),
  decryption: describe(decryption, {
    text: 'the private keys that decrypt ID Tokens, userinfo, logout tokens and signed responses (JWE)',
    default: 'none',
  }),
  metadata: describe(rules.metadata, { text: "the provider's metadata", default: 'discovered' }),
  metadataUrl: describe(secureUrlText({ mayHaveQuery: true }), {
    text: 'where the metadata is',
    default: '`/.well-known/openid-configuration` below the issuer',
  }),
  endpoints: describe(nested.endpoints, {
    text: 'single endpoints that replace those of the metadata',
    default: 'none',
  }),
  fetch: describe(callback<typeof globalThis.fetch>('a function with the signature of fetch'), {
    text: 'for an outgoing proxy, a client certificate, a test',
    default: "Node's own HTTP client",
  }),
  now: describe(callback<() => Date>('a function (not async) that returns a Date', { isSync: true }), {
    text: 'the clock, for tests',
    default: 'the system clock',
  }),
  clockTolerance: describe(wholeNumber('seconds', 0, 300), {
    text: "seconds by which the provider's clock and the clock of this site may differ",
    default: '`30`',
  }),
  timeouts: describe(nested.timeouts, { text: 'milliseconds to wait for the provider and for Redis' }),
  apis: describe(list('origins', rules.origin), {
    text: 'origins that `req.oidc.fetch` may send the access token to',
    default: 'none',
  }),
  revokeTokens: describe(boolean, {
    text: 'whether `/logout` revokes the tokens at the provider',
    default: '`true`',
  }),
  idTokenHint: describe(boolean, {
    text: 'whether `/logout` sends the ID Token to the provider as `id_token_hint`',
    default: '`true`',
  }),
  log: describe(rules.log, {
    text: 'receives warnings and failures',
    default: 'standard error',
  }),
} satisfies RulesFor<OidcOptions & ProviderChoice>)

/** The options after their rules have read them. */
export type ReadOptions = ReturnType<typeof optionsRule.read>
