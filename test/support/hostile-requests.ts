import { createLocalJWKSet, decodeJwt, type JWK, jwtVerify } from 'jose'
import type { AuthorizationRequest, Claims, EndpointResponse, RecordedRequest } from './hostile-faults.js'
import { demandNonce } from './hostile-proofs.js'

/** What a provider demands of clients that it holds to FAPI. */
export interface FapiDemands {
  /** Authorization requests are pushed, and the browser brings the reference alone. */
  readonly pushed?: boolean
  /** Authorization requests are signed by a key of the client. */
  readonly signed?: boolean
  /** DPoP proofs have a nonce: one for the provider, another for its APIs. */
  readonly proofNonces?: boolean
  /** How the APIs spell the scheme when they ask for a nonce. Default `DPoP`. */
  readonly scheme?: string
  /** Access tokens are bound to the certificate of the connection. */
  readonly bindsToCertificate?: boolean
  /** Fingerprint of the certificate that the client authenticates with. Left out: it authenticates with a key. */
  readonly certificate?: string
}

/** The header by which the TLS server in front says which certificate it was shown. */
export const CERTIFICATE_HEADER = 'x-client-certificate'

export function certificateOf({ headers }: Pick<RecordedRequest, 'headers'>): string | undefined {
  const shown = headers[CERTIFICATE_HEADER]
  return typeof shown === 'string' ? shown : undefined
}

/** What a provider with these demands says about itself. */
export function metadataOfDemands(base: string, demands: FapiDemands): Claims {
  const algorithms = ['PS256', 'ES256', 'EdDSA']
  return {
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth'],
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    ...(demands.pushed && {
      pushed_authorization_request_endpoint: `${base}/par`,
      require_pushed_authorization_requests: true,
    }),
    ...(demands.signed && {
      request_object_signing_alg_values_supported: algorithms,
      require_signed_request_object: true,
    }),
    ...(demands.bindsToCertificate
      ? { tls_client_certificate_bound_access_tokens: true }
      : { dpop_signing_alg_values_supported: algorithms }),
  }
}

/** The refusal of a proof without the nonce of the provider, or of its APIs. RFC 9449 sections 8 and 9. */
export function refuseNonce(
  { headers }: RecordedRequest,
  { proofNonces = false, scheme }: FapiDemands,
  isApi: boolean,
): EndpointResponse | undefined {
  if (!proofNonces || typeof headers.dpop !== 'string') return undefined
  const wanted = isApi ? 'nonce-of-the-api' : 'nonce-of-the-provider'
  return decodeJwt(headers.dpop).nonce === wanted
    ? undefined
    : demandNonce(wanted, { isApi, ...(scheme && { scheme }) })
}

interface RequestSettings {
  readonly issuer: () => string
  readonly clientId: string
  readonly clientJwks: readonly JWK[]
  readonly demands: FapiDemands
  /** Seconds since the epoch. */
  readonly now: () => number
}

/** Authorization requests as they come: plain, signed, or pushed. They throw what is wrong with one. */
export interface AuthorizationRequests {
  /** RFC 9126 section 2. @returns a `request_uri`, for one use */
  push(form: Readonly<Record<string, string>>): Promise<string>
  /** The request that an address stands for. */
  read(query: Readonly<Record<string, string>>): Promise<AuthorizationRequest>
}

export function createAuthorizationRequests(settings: RequestSettings): AuthorizationRequests {
  const { demands } = settings
  const pushed = new Map<string, AuthorizationRequest>()
  let count = 0

  async function open(params: Readonly<Record<string, string>>): Promise<AuthorizationRequest> {
    if (params.request_uri !== undefined) throw new Error('request_uri inside a request')
    if (params.request !== undefined) return verify(params.request, params.client_id, settings)
    if (demands.signed) throw new Error('the request is not signed')
    return params
  }

  return {
    async push(form) {
      const request = await open(form)
      count += 1
      const reference = `urn:ietf:params:oauth:request_uri:${count}`
      pushed.set(reference, request)
      return reference
    },
    async read(query) {
      if (!demands.pushed) return open(query)
      const names = Object.keys(query).sort().join()
      if (names !== 'client_id,request_uri') throw new Error(`the browser brought ${names}`)
      const request = pushed.get(query.request_uri ?? '')
      pushed.delete(query.request_uri ?? '')
      if (request === undefined || request.client_id !== query.client_id)
        throw new Error('another request_uri, or one that was used')
      return request
    },
  }
}

/** RFC 9101 section 6, FAPI 2.0 Message Signing section 5.3.1. */
async function verify(
  object: string,
  outside: string | undefined,
  { issuer, clientId, clientJwks, now }: RequestSettings,
): Promise<AuthorizationRequest> {
  const { payload } = await jwtVerify(object, createLocalJWKSet({ keys: [...clientJwks] }), {
    issuer: clientId,
    audience: issuer(),
    algorithms: ['PS256', 'ES256', 'EdDSA'],
    typ: 'oauth-authz-req+jwt',
    requiredClaims: ['exp', 'nbf', 'jti'],
    currentDate: new Date(now() * 1000),
  })
  const { exp = 0, nbf = 0, client_id: inside } = payload
  if (exp - nbf > 3600) throw new Error('the request can be used for more than an hour')
  if (inside !== outside) throw new Error('another client_id outside of the request')
  if ('request' in payload || 'request_uri' in payload) throw new Error('a request inside a request')
  return Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, String(value)]))
}
