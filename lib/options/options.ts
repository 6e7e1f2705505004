import type { IncomingMessage } from 'node:http'
import type { AuthorizationParams } from '../protocol/authorization-request.js'
import type { AssertionAudience, AssertionHeader, ClientPrivateKey } from '../protocol/client-assertion.js'
import type { RequestEncryption } from '../protocol/encryption-algorithms.js'
import type { DecryptionKey } from '../protocol/jwe.js'
import type { ProofAlgorithm } from '../protocol/proof-algorithms.js'
import type { ClientAuthenticationMethod, ResponseMode, SigningAlgorithm } from '../protocol/wire.js'
import type { ClientCertificate } from '../provider/client-certificate.js'
import type { NamedClientKey } from '../provider/client-key.js'
import type { NodeRedisClient } from '../store/backend/node-redis-client.js'
import type { RedisClient } from '../store/backend/redis-client.js'
import type { Routes } from './config.js'
import type { Hooks } from './hooks.js'
import type { HostFunction, HostOptions } from './host-options.js'
import type { Logger } from './log.js'
import type { PageOptions } from './pages.js'

/** How the session behaves. */
export interface SessionOptions {
  /** Cookie name, without the `__Host-` prefix that https adds. Default `sid`. */
  readonly name?: string | undefined
  /** Seconds without a request after which a session ends. Default 24 hours. */
  readonly idle?: number | undefined
  /** Seconds after which a sign-in ends, even if it is in use. Default 7 days. */
  readonly absolute?: number | undefined
  /** Whether the cookie outlives the browser, for `absolute` seconds. Default `false`. */
  readonly persistent?: boolean | undefined
  /** Top-level keys of an anonymous `req.session` that survive a sign-in, such as `['cart']`. Default none. */
  readonly keep?: readonly string[] | undefined
  /** Tells requests that must not extend the session: polling, keep-alive pings. Default: none are. */
  readonly isPolling?: ((req: IncomingMessage) => boolean) | undefined
  /**
   * Binds sessions to a key in the hardware of the user's device, so that a copied cookie is worth nothing elsewhere: Device Bound Session Credentials
   * (draft, experimental). `when-possible`: browsers that cannot do it go on as before. `required`: a session that no key was registered for
   * ends to count half a minute after its sign-in. Default `false`.
   */
  readonly deviceBound?: false | 'when-possible' | 'required' | undefined
  /** Seconds for which a browser that has proved its key need not prove it again: what all copied cookies together are worth at most. Default 600. */
  readonly deviceProofLifetime?: number | undefined
}

/** What a client assertion says besides who the client is. RFC 7523, RFC 10070. */
export interface ClientAssertionOptions {
  /**
   * For whom assertions are made: `issuer`, `token_endpoint`, `endpoint` (the one that is called), a URL, or a list of these.
   * Default `issuer`.
   */
  readonly audience?: AssertionAudience | undefined
  /** Members of the JOSE header. Default: `typ` is `client-authentication+jwt`, and `kid` that of a JWK. */
  readonly header?: AssertionHeader | undefined
}

/** An assertion signed with the client secret: `client_secret_jwt`. OpenID Connect Core 1.0 section 9. */
export interface SecretAssertionAuthentication extends ClientAssertionOptions {
  /** The one method that signs with the secret. */
  readonly method: 'client_secret_jwt'
  /** What assertions are signed with. Default: the first of these that the provider lists and the secret is long enough for. */
  readonly algorithm?: 'HS256' | 'HS384' | 'HS512' | undefined
}

/** Returns the private key of now, or that key with the members of the header that change with it. */
export type ClientKeyFunction = () => ClientPrivateKey | NamedClientKey | Promise<ClientPrivateKey | NamedClientKey>

/** Sign-in with a key instead of a secret: `private_key_jwt`, RFC 7523. */
export interface PrivateKeyAuthentication extends ClientAssertionOptions {
  /** The one method that goes with a key. OpenID Connect Core 1.0 section 9. */
  readonly method: 'private_key_jwt'
  /**
   * The private key: a `CryptoKey`, a `KeyObject` or a JWK. The `kid` of a JWK goes into the assertion's header. A function is asked
   * for the key of each assertion, once for all that are made at the same time: a new key is used without a restart. It returns the key, or
   * `{ key, header }` where members of the header change with it.
   */
  readonly key: ClientPrivateKey | ClientKeyFunction
  /** What assertions are signed with. Default: one that fits the key, and that the provider lists. */
  readonly algorithm?: SigningAlgorithm | undefined
}

/** Who may send security events (RFC 8935) and global revocations. */
export interface SignalOptions {
  /** `iss` of what the transmitter signs, byte for byte. Default: `issuer`. */
  readonly issuer?: string | undefined
  /** Where the public keys of the transmitter are. Needed where it is not the provider. Default: the keys of the provider. */
  readonly jwksUri?: string | undefined
  /** What `aud` of a security event token has to contain. Default: `clientId`. */
  readonly audience?: string | undefined
  /** The whole `Authorization` header that was agreed with the transmitter for pushed events, such as `Bearer …`. Default: none is expected. */
  readonly authorization?: string | undefined
}

/**
 * Options of {@link openIdConnect}. Where an environment variable is named, it stands in for an option that is left out.
 */
export interface OidcOptions {
  /** Issuer identifier, byte for byte as the provider spells it; a trailing slash counts. `OIDC_ISSUER`. */
  readonly issuer?: string | undefined
  /**
   * Holds the site to a whole profile: `fapi2` is the FAPI 2.0 Security Profile. It sets the options that the profile decides, and refuses at the
   * start what the site has set against it. Default: none.
   */
  readonly profile?: 'fapi2' | 'fapi2-message-signing' | undefined
  /** The name the provider knows this site by. `OIDC_CLIENT_ID`. */
  readonly clientId?: string | undefined
  /**
   * Left out for a public client, or with a private key. A function is called for every request to the provider that needs the secret: for one
   * that expires, such as the JWT that Apple takes. `OIDC_CLIENT_SECRET`.
   */
  readonly clientSecret?: string | (() => string | Promise<string>) | undefined
  /** How this site proves itself at the token endpoint. Default: chosen from the metadata, `client_secret_basic` first. */
  readonly clientAuthentication?:
    | ClientAuthenticationMethod
    | PrivateKeyAuthentication
    | SecretAssertionAuthentication
    | undefined
  /**
   * Where this site is, as browsers see it. https, or http on a loopback host. Nothing in a request changes it. Several addresses, one for each host, or a
   * function that finds them: the `Host` of a request says which of them it is for, and a request with another one is refused. `OIDC_BASE_URL`.
   */
  readonly baseUrl?: string | readonly (string | HostOptions)[] | HostFunction | undefined
  /** `code`, `code id_token`, `code token`, `code id_token token`, `id_token` or `id_token token`, in any word order. Default `code id_token`. */
  readonly responseType?: string | undefined
  /** How the response is returned. Default `form_post`; `query` is possible for `code` only. */
  readonly responseMode?: ResponseMode | undefined
  /**
   * Whether the code is protected by PKCE, RFC 7636. Default `true`. `false` is for a provider that refuses `code_verifier`, and for a client
   * with a secret or a key only: the nonce of the ID Token from the token endpoint, and `c_hash`, then stop a stolen code. RFC 9700 section 2.1.1.
   */
  readonly pkce?: boolean | undefined
  /**
   * Binds the tokens of each session to a key of its own, so that a stolen token opens nothing: DPoP, RFC 9449. The provider has to offer it.
   * The algorithm is `ES256` by default; `EdDSA` and `Ed25519` are two names of another one. Default `false`.
   */
  readonly dpop?:
    | boolean
    | {
        /** What proofs are signed with. Default `ES256`. */
        readonly algorithm?: ProofAlgorithm | undefined
      }
    | undefined
  /**
   * The certificate that this site shows to the provider and to APIs, RFC 8705, or a function that returns the one of today. Tokens are then
   * asked for at the provider's `mtls_endpoint_aliases`, and a provider that binds them binds them to it. Default: none.
   */
  readonly mtls?: ClientCertificate | (() => ClientCertificate | Promise<ClientCertificate>) | undefined
  /**
   * Whether authorization requests are sent to the provider before the browser leaves, so that they cannot be read or changed on the way: PAR,
   * RFC 9126. `auto`: where the provider requires it (`require_pushed_authorization_requests`); many offer it to every client, and it costs a
   * request per sign-in. `false`: never, and a provider that requires it is refused. Default `auto`.
   */
  readonly pushedAuthorization?: 'auto' | boolean | undefined
  /**
   * Whether authorization requests are signed (JAR, RFC 9101): `true` signs with the key of `private_key_jwt`, an object may name a key and an
   * algorithm of its own. A function is asked for the key of each request. Signed requests are pushed where `pushedAuthorization` says so. Default `false`.
   */
  readonly requestObject?:
    | boolean
    | {
        /** Default: the key of `clientAuthentication`. */
        readonly key?: ClientPrivateKey | ClientKeyFunction | undefined
        /** Default: one that fits the key, and that the provider lists. */
        readonly algorithm?: SigningAlgorithm | undefined
        /** Members of the JOSE header. Default: those of `clientAuthentication`, but for `typ`, which says that it is a request. */
        readonly header?: Omit<AssertionHeader, 'typ'> | undefined
        /**
         * Whether they are encrypted as well, to a key that the provider publishes for that (`use: "enc"`), so that nothing of them can be read on
         * the way. RFC 9101 section 6.1. `true`: with what fits the key and what the provider lists. Default `false`.
         */
        readonly encryption?: boolean | RequestEncryption | undefined
      }
    | undefined
  /** The scopes to request, space-separated; `openid` is always added. Default `openid profile email`. */
  readonly scope?: string | undefined
  /** More parameters for every authorization request, with their names on the wire. */
  readonly authorizationParams?: AuthorizationParams | undefined
  /** Seals cookies and sessions. At least 32 characters. Several: the first writes, all read, so that secrets can be rotated. `SESSION_SECRET` (comma-separated). */
  readonly secret?: string | readonly string[] | undefined
  /**
   * An ioredis client, Sentinel client or cluster, a client of node-redis 5 or 6, or a URL. Left out: process memory, refused in production. `REDIS_URL`.
   */
  readonly redis?: RedisClient | NodeRedisClient | string | undefined
  /** Prefix of every key in Redis. Default `oidc:`. */
  readonly redisPrefix?: string | undefined
  /** How sessions and their cookie behave. `false`: the site mounts express-session itself, before this middleware. */
  readonly session?: SessionOptions | false | undefined
  /** Paths relative to where the middleware is mounted; `false` leaves one out. */
  readonly routes?: Partial<Routes> | undefined
  /**
   * Whether userinfo is fetched at sign-in, and with which access token: that of the front channel where there is one, in parallel with
   * the code, or always that of the token endpoint, after it. Default `true`, the front channel's.
   */
  readonly userInfo?:
    | boolean
    | {
        /** Which access token. Default `front-channel`. */
        readonly token?: 'front-channel' | 'token-endpoint'
        /** The response must be signed with this algorithm. Default: it may be unsigned. OpenID Connect Core 1.0 section 5.3.2. */
        readonly algorithm?: SigningAlgorithm
      }
  /** Claims that are not shown to the site. Default: iss, aud, nbf, exp, iat, nonce, c_hash, at_hash, s_hash, azp. */
  readonly protocolClaims?: readonly string[] | undefined
  /** Who sends security events to `routes.signals` and global revocations to `routes.revocation`. Default: the provider. */
  readonly signals?: SignalOptions | undefined
  /** Places where the site takes part. Default: none. */
  readonly hooks?: Readonly<Hooks> | undefined
  /** Keeps the `User-Agent` of each sign-in for `oidc.sessions.list`. Default `false`. */
  readonly rememberUserAgent?: boolean | undefined
  /**
   * Sends `Clear-Site-Data` at a sign-out and where another user signs in than the last one of this browser, so that no page of the earlier user is shown from a cache of the
   * browser. Default `true`.
   */
  readonly clearSiteData?: boolean | undefined
  /**
   * Which tenants of Entra ID may sign in, where `issuer` is that of many (`https://login.microsoftonline.com/organizations/v2.0`, or `common`): their ids, or a function
   * that is given the `tid` of each ID Token, after its checks. Required there. Default: none, and `issuer` is that of one tenant.
   */
  readonly tenants?: readonly string[] | ((tid: string) => boolean | Promise<boolean>) | undefined
  /** The language and the look of the pages that this package shows by itself. Default: plain pages in English. */
  readonly pages?: PageOptions | undefined
  /** The one algorithm ID Tokens are accepted with. Default `RS256`, and every other asymmetric one that the provider lists. */
  readonly idTokenAlgorithm?: SigningAlgorithm | undefined
  /**
   * The private keys that ID Tokens, userinfo and logout tokens for this site are encrypted to: JWE with RSA-OAEP-256 or ECDH-ES, and a signed token
   * inside. RFC 7516. Default: none, and an encrypted token is refused.
   */
  readonly decryption?:
    | {
        /** Several while one is replaced. A function is asked for them with each encrypted token. */
        readonly keys: readonly DecryptionKey[] | (() => readonly DecryptionKey[] | Promise<readonly DecryptionKey[]>)
        /** Whether an ID Token that is not encrypted is refused. Default `false`. */
        readonly idToken?: boolean | undefined
        /** Whether userinfo that is not encrypted is refused. Default `false`. */
        readonly userInfo?: boolean | undefined
        /** Whether a signed authorization response that is not encrypted is refused. It needs a `responseMode` with `.jwt`. Default `false`. */
        readonly response?: boolean | undefined
      }
    | undefined
  /** The provider's metadata, so that nothing is discovered. */
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
  /** Where the metadata is, if not below the issuer: an internal address, for instance. */
  readonly metadataUrl?: string | undefined
  /** Endpoints that replace published ones, by their metadata names (`token_endpoint`, …). */
  readonly endpoints?: Readonly<Record<string, string>> | undefined
  /** Used for every call to the provider and by `req.oidc.fetch`. Default: Node's own HTTP client, and the platform's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** The clock. Default: the system's. */
  readonly now?: (() => Date) | undefined
  /** Seconds by which clocks may differ. Default 30. */
  readonly clockTolerance?: number | undefined
  /** Milliseconds to wait for a response of the provider. */
  readonly timeouts?:
    | {
        /** One whole exchange with the provider. Default 10 000. */
        readonly provider?: number | undefined
        /** One command to Redis. Default 800. */
        readonly redis?: number | undefined
      }
    | undefined
  /** Origins of the APIs that `req.oidc.fetch` may send the access token to, such as `['https://api.example.com']`. Default none. */
  readonly apis?: readonly string[] | undefined
  /** Whether a sign-out gives refresh and access token back to the provider, in the background, where it offers that. Default `true`. */
  readonly revokeTokens?: boolean | undefined
  /**
   * Whether a sign-out sends the ID Token to the provider as `id_token_hint`. Default `true`. `false` for a provider that refuses it
   * (login.gov); most others ask the user a question without it, or respond with an error. OpenID Connect RP-Initiated Logout 1.0 section 2.
   */
  readonly idTokenHint?: boolean | undefined
  /**
   * Takes warnings and failures, never with a secret in it: a function gets a line, a logger (pino, winston, `console`) a line and fields at its level.
   * Default: standard error.
   */
  readonly log?: ((line: string) => void) | Logger | undefined
}
