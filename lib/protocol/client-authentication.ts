import type { KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import { OidcError } from '../errors.js'
import type { ClientAuthenticationMethod, SigningAlgorithm } from './wire.js'

/** A private key in any form `jose` takes. A JWK may name itself (`kid`). */
export type ClientPrivateKey = CryptoKey | KeyObject | JWK

/** How this client proves to the token endpoint who it is. OpenID Connect Core 1.0 section 9. */
export type ClientAuthentication =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly clientSecret: string }
  | { readonly method: 'client_secret_jwt'; readonly clientSecret: string; readonly algorithm: SigningAlgorithm }
  | {
      readonly method: 'private_key_jwt'
      readonly key: ClientPrivateKey
      readonly algorithm: SigningAlgorithm
      /** Names the key to a provider that knows several of ours. */
      readonly kid?: string
    }
  | { readonly method: 'none' }

export interface ClientCredentialsAtHand {
  readonly hasSecret: boolean
  readonly hasKey: boolean
}

export interface ClientAssertionContext {
  readonly clientId: string
  /** The issuer. Another name for the provider could be one an attacker's provider shares. */
  readonly audience: string
  /** Seconds since the epoch. */
  readonly now: number
  /** Never the same twice. */
  readonly jti: string
}

/** What goes into the token request: header fields and form fields. */
export interface ClientAuthenticationParts {
  readonly headers: Record<string, string>
  readonly body: Record<string, string>
}

/** Seconds an assertion can be used for. */
const ASSERTION_LIFETIME = 60

/**
 * Decides on one method; a second one is never tried, because a refused attempt may count against the client.
 * OpenID Connect Discovery 1.0 section 3, RFC 6749 section 2.3.
 *
 * @param supported - `token_endpoint_auth_methods_supported`; where it is not published, it is `client_secret_basic`
 * @throws {OidcError} ERR_OIDC_OPTIONS for a method whose credential is not configured, ERR_OIDC_UNSUPPORTED where nothing fits
 */
export function selectClientAuthenticationMethod(
  configured: ClientAuthenticationMethod | undefined,
  atHand: ClientCredentialsAtHand,
  supported: readonly string[] | undefined,
): ClientAuthenticationMethod {
  if (configured !== undefined && !isPossible(configured, atHand)) {
    throw new OidcError('ERR_OIDC_OPTIONS', `clientAuthentication "${configured}" needs a credential that is not there`)
  }
  const candidates = configured === undefined ? preferredMethods(atHand) : [configured]
  const offered = supported ?? [configured ?? 'client_secret_basic']
  // Some providers take clients without a secret and do not publish `none`.
  const method = candidates.find(candidate => candidate === 'none' || offered.includes(candidate))
  if (method === undefined) {
    throw new OidcError('ERR_OIDC_UNSUPPORTED', 'the provider offers no way to use the credentials of this client')
  }
  return method
}

function preferredMethods(atHand: ClientCredentialsAtHand): readonly ClientAuthenticationMethod[] {
  if (!atHand.hasKey && !atHand.hasSecret) return ['none']
  const preferred = ['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const
  return preferred.filter(method => isPossible(method, atHand))
}

function isPossible(method: ClientAuthenticationMethod, { hasSecret, hasKey }: ClientCredentialsAtHand): boolean {
  if (method === 'none') return true
  return method === 'private_key_jwt' ? hasKey : hasSecret
}

/**
 * Builds the proof for one token request.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a key that does not fit its algorithm
 */
export async function buildClientAuthentication(
  auth: ClientAuthentication,
  context: ClientAssertionContext,
): Promise<ClientAuthenticationParts> {
  const { clientId } = context
  switch (auth.method) {
    case 'client_secret_basic':
      return { headers: { authorization: buildBasicCredentials(clientId, auth.clientSecret) }, body: {} }
    case 'client_secret_post':
      return { headers: {}, body: { client_id: clientId, client_secret: auth.clientSecret } }
    case 'client_secret_jwt':
      return withAssertion(clientId, await signAssertion(Buffer.from(auth.clientSecret), auth, context))
    case 'private_key_jwt':
      return withAssertion(clientId, await signAssertion(auth.key, auth, context))
    case 'none':
      return { headers: {}, body: { client_id: clientId } }
  }
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first, so that a colon in the client id separates nothing. */
function buildBasicCredentials(clientId: string, clientSecret: string): string {
  return `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64')}`
}

/** RFC 6749 appendix B. */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

function withAssertion(clientId: string, assertion: string): ClientAuthenticationParts {
  const body = {
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  }
  return { headers: {}, body }
}

/** RFC 7523 section 3. */
async function signAssertion(
  key: ClientPrivateKey | Uint8Array,
  { algorithm, kid }: { readonly algorithm: SigningAlgorithm; readonly kid?: string },
  { clientId, audience, now, jti }: ClientAssertionContext,
): Promise<string> {
  const claims = { iss: clientId, sub: clientId, aud: audience, jti, iat: now, exp: now + ASSERTION_LIFETIME }
  // Few clients sign, and every site would wait for the library when it starts.
  const { SignJWT } = await import('jose/jwt/sign')
  try {
    return await new SignJWT(claims).setProtectedHeader({ alg: algorithm, ...(kid !== undefined && { kid }) }).sign(key)
  } catch (cause) {
    throw new OidcError('ERR_OIDC_OPTIONS', 'the key of this client cannot sign with the configured algorithm', {
      cause,
    })
  }
}
