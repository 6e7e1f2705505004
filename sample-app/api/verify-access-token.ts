import { createRemoteJWKSet, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'

/** What the API learns from an access token that is good. */
export interface AccessToken {
  readonly subject: string
  readonly clientId: string
  readonly scopes: readonly string[]
  /** Epoch seconds. */
  readonly expiresAt: number
  /** The thumbprint of the key that the token is bound to. RFC 9449 section 6. */
  readonly boundTo: string | undefined
}

export interface VerifierSettings {
  readonly issuer: string
  /** Who access tokens have to be made for: this API. */
  readonly audience: string
  /** The API's own client at the provider. */
  readonly client: { readonly clientId: string; readonly clientSecret: string | undefined }
}

/** Resolves to `undefined` when the token is not good, and rejects when the provider cannot be asked. */
export type VerifyAccessToken = (token: string) => Promise<AccessToken | undefined>

interface Metadata {
  readonly jwks_uri: string
  readonly introspection_endpoint?: string
}

/** Milliseconds for one call to the provider. */
const timeout = 5_000

/** Public-key signatures only: the API shares no secret with the provider. */
const algorithms = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']

/**
 * An access token comes in one of two kinds, and the API takes both. A JWT says everything itself and is verified here. A
 * reference token, which the built-in identity server gives out, says nothing: the provider is asked what it stands for. That
 * costs a call, and in return a token that was revoked at sign-out stops working at once.
 */
export function createAccessTokenVerifier(settings: VerifierSettings): VerifyAccessToken {
  const discover = createDiscovery(settings.issuer)
  return async token => {
    const { metadata, keys } = await discover()
    const isJwt = token.split('.').length === 3
    try {
      return isJwt ? await readJwt(token, keys, settings) : await introspect(token, metadata, keys, settings)
    } catch (error) {
      if (isTokenFault(error)) return undefined
      throw error
    }
  }
}

/** RFC 9068. The audience is what keeps an ID Token, or a token for another API, from being accepted here. */
async function readJwt(
  token: string,
  keys: JWTVerifyGetKey,
  { issuer, audience }: VerifierSettings,
): Promise<AccessToken> {
  const requiredClaims = ['exp', 'sub']
  const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms, requiredClaims })
  return describe(payload)
}

/** RFC 7662, with the signed response of RFC 9701, so that it can be verified like any other token. */
async function introspect(
  token: string,
  { introspection_endpoint: endpoint }: Metadata,
  keys: JWTVerifyGetKey,
  { issuer, client }: VerifierSettings,
): Promise<AccessToken | undefined> {
  if (endpoint === undefined || client.clientSecret === undefined) return undefined
  const credentials = [client.clientId, client.clientSecret].map(encodeURIComponent).join(':')
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
      Accept: 'application/token-introspection+jwt',
    },
    body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
    signal: AbortSignal.timeout(timeout),
  })
  if (!response.ok) throw new Error(`the provider answered the introspection with status ${response.status}`)
  const typ = 'token-introspection+jwt'
  const { payload } = await jwtVerify(await response.text(), keys, {
    issuer,
    audience: client.clientId,
    algorithms,
    typ,
  })
  const found = payload.token_introspection as JWTPayload & { active?: unknown }
  return found.active === true ? describe(found) : undefined
}

function describe({ sub, exp, scope, client_id: clientId, azp, cnf }: JWTPayload): AccessToken {
  return {
    subject: sub ?? '',
    clientId: String(clientId ?? azp ?? ''),
    scopes: typeof scope === 'string' ? scope.split(' ') : [],
    expiresAt: exp ?? 0,
    boundTo: (cnf as { jkt?: string } | undefined)?.jkt,
  }
}

/** Asks for the provider's addresses once, at the first call: the API starts although the provider is still starting. */
function createDiscovery(issuer: string): () => Promise<{ metadata: Metadata; keys: JWTVerifyGetKey }> {
  const fetchMetadata = async () => {
    const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const response = await fetch(address, { signal: AbortSignal.timeout(timeout) })
    if (!response.ok) throw new Error(`the provider answered the discovery with status ${response.status}`)
    const metadata = (await response.json()) as Metadata
    return { metadata, keys: createRemoteJWKSet(new URL(metadata.jwks_uri)) }
  }
  let found: ReturnType<typeof fetchMetadata> | undefined
  return () => {
    found ??= fetchMetadata().catch((error: unknown) => {
      found = undefined
      throw error
    })
    return found
  }
}

/** Errors of jose that are about the token, as opposed to a key set that could not be fetched. */
function isTokenFault(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^ERR_(JWT|JWS)_/.test(code) || code === 'ERR_JOSE_ALG_NOT_ALLOWED' || code === 'ERR_JWKS_NO_MATCHING_KEY'
}
