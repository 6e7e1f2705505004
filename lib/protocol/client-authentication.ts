import { OidcError } from '../errors.js'
import {
  type AssertionHeader,
  type ClientAssertionContext,
  type ClientPrivateKey,
  signAssertion,
} from './client-assertion.js'
import { chooseListed, type Warn } from './listed.js'
import type { ClientAuthenticationMethod, SigningAlgorithm } from './wire.js'

/** How this client proves to the token endpoint who it is. OpenID Connect Core 1.0 section 9. */
export type ClientAuthentication =
  | { readonly method: 'client_secret_basic' | 'client_secret_post'; readonly clientSecret: string }
  | {
      readonly method: 'client_secret_jwt'
      readonly clientSecret: string
      readonly algorithm: SigningAlgorithm
      readonly header?: AssertionHeader
    }
  | {
      readonly method: 'private_key_jwt'
      readonly key: ClientPrivateKey
      readonly algorithm: SigningAlgorithm
      readonly header?: AssertionHeader
    }
  | { readonly method: 'tls_client_auth' | 'self_signed_tls_client_auth' | 'none' }

export interface ClientCredentialsAtHand {
  readonly hasSecret: boolean
  readonly hasKey: boolean
  /** Whether the form encoding of RFC 6749 section 2.3.1 changes the client id or the secret. */
  readonly isChangedByEncoding?: boolean
}

/** What goes into the token request: header fields and form fields. */
export interface ClientAuthenticationParts {
  readonly headers: Record<string, string>
  readonly body: Record<string, string>
}

/**
 * Decides on one method; a second one is never tried, because a refused attempt may count against the client.
 * OpenID Connect Discovery 1.0 section 3, RFC 6749 section 2.3.
 *
 * @param supported - `token_endpoint_auth_methods_supported`; where it is not published, it is `client_secret_basic`
 * @param warn - told where the configured method is not listed; it is used all the same
 * @throws {OidcError} ERR_OIDC_OPTIONS for a method whose credential is not configured, ERR_OIDC_UNSUPPORTED where nothing fits
 */
export function selectClientAuthenticationMethod(
  configured: ClientAuthenticationMethod | undefined,
  atHand: ClientCredentialsAtHand,
  supported: readonly string[] | undefined,
  warn?: Warn,
): ClientAuthenticationMethod {
  if (configured !== undefined && !isPossible(configured, atHand)) {
    throw new OidcError('ERR_OIDC_OPTIONS', `clientAuthentication "${configured}" needs a credential that is not there`)
  }
  const candidates = configured === undefined ? preferredMethods(atHand) : [configured]
  const isPublished = supported !== undefined && supported.length > 0
  return chooseListed(
    {
      what: 'client authentication',
      candidates,
      isExplicit: configured !== undefined,
      advice: 'set clientAuthentication, and the credential for it',
      // Some providers take clients without a secret and do not publish `none`.
      isListed: (listed, candidate) => candidate === 'none' || listed.includes(candidate),
    },
    isPublished ? supported : [configured ?? 'client_secret_basic'],
    warn,
  )
}

/** RFC 8705 section 2. */
export function isByCertificate(method: unknown): method is 'tls_client_auth' | 'self_signed_tls_client_auth' {
  return method === 'tls_client_auth' || method === 'self_signed_tls_client_auth'
}

/** Some providers do not undo the encoding of Basic credentials. What it changes is safer in the body. */
function preferredMethods(atHand: ClientCredentialsAtHand): readonly ClientAuthenticationMethod[] {
  if (!atHand.hasKey && !atHand.hasSecret) return ['none']
  const plain = ['client_secret_basic', 'client_secret_post'] as const
  const bySecret = atHand.isChangedByEncoding ? plain.toReversed() : plain
  return (['private_key_jwt', ...bySecret, 'client_secret_jwt'] as const).filter(method => isPossible(method, atHand))
}

function isPossible(method: ClientAuthenticationMethod, { hasSecret, hasKey }: ClientCredentialsAtHand): boolean {
  // The certificate is shown by the transport: this one, or that of the site.
  if (method === 'none' || isByCertificate(method)) return true
  return method === 'private_key_jwt' ? hasKey : hasSecret
}

/**
 * Builds the client authentication of one token request.
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
      return withAssertion(clientId, await signAssertion({ ...auth, key: Buffer.from(auth.clientSecret) }, context))
    case 'private_key_jwt':
      return withAssertion(clientId, await signAssertion(auth, context))
    // RFC 8705 section 2: the certificate says who it is, and the id which client that is.
    case 'tls_client_auth':
    case 'self_signed_tls_client_auth':
    case 'none':
      return { headers: {}, body: { client_id: clientId } }
  }
}

/** RFC 6749 section 2.3.1: both parts are form-encoded first, so that a colon in the client id separates nothing. */
function buildBasicCredentials(clientId: string, clientSecret: string): string {
  return `Basic ${Buffer.from(`${formEncode(clientId)}:${formEncode(clientSecret)}`).toString('base64')}`
}

/** RFC 6749 appendix B. */
export function formEncode(text: string): string {
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
