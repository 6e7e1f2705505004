import type {
  AuthorizationRequest,
  Claims,
  EndpointResponse,
  Faults,
  Fields,
  RecordedRequest,
} from './hostile-faults.js'
import type { Grants } from './hostile-grants.js'
import type { HostileKeys } from './hostile-keys.js'
import type { ProofChecks } from './hostile-proofs.js'
import {
  type AuthorizationRequests,
  certificateOf,
  type FapiDemands,
  metadataOfDemands,
  refuseNonce,
} from './hostile-requests.js'
import { deliver, json } from './hostile-responses.js'

export const PATHS = {
  discovery: '/.well-known/openid-configuration',
  jwks: '/jwks',
  authorize: '/authorize',
  token: '/token',
  userinfo: '/userinfo',
  endSession: '/end_session',
  revocation: '/revocation',
  par: '/par',
  accounts: '/accounts',
} as const

export type Endpoint = keyof typeof PATHS

export interface EndpointSettings {
  readonly issuer: () => string
  readonly clientId: string
  readonly alg: string
  readonly sendsIss: boolean
  readonly metadata: Claims
  readonly pkce: 'required' | 'optional' | 'refused'
  readonly keys: HostileKeys
  readonly grants: Grants
  readonly requests: AuthorizationRequests
  readonly demands: FapiDemands | undefined
  readonly proofs: ProofChecks
  readonly faults: () => Faults
  readonly problems: string[]
  /** Seconds since the epoch. */
  readonly now: () => number
}

type EndpointTable = Record<Endpoint, (request: RecordedRequest) => Promise<EndpointResponse> | EndpointResponse>

/** Every endpoint as the specifications want it, with the faults that change content. */
export function createEndpoints(settings: EndpointSettings): EndpointTable {
  const { issuer, clientId, alg, sendsIss, metadata, keys, grants, requests, demands, proofs, faults, problems } =
    settings
  const needsChallenge = settings.pkce === 'required'
  /** A response as one JWT, as JARM has it. */
  const signed = async (fields: Fields): Promise<Fields> => {
    const claims = { ...Object.fromEntries(fields), iss: issuer(), aud: clientId, exp: settings.now() + 300 }
    return [['response', await keys.sign(claims, faults().signedResponse)]]
  }
  const complain = (complaint: string): EndpointResponse => {
    problems.push(`authorization request: ${complaint}`)
    return { status: 400, headers: { 'content-type': 'text/plain' }, body: complaint }
  }
  const refuse = (request: RecordedRequest, isApi: boolean) => demands && refuseNonce(request, demands, isApi)
  /** Whose access token a request brings, with what it is bound to. */
  async function ownerOf(request: RecordedRequest): Promise<Claims | undefined> {
    const [scheme, token] = (request.headers.authorization ?? '').split(' ')
    const proof = await proofs.check(request, request.url, token).catch(() => undefined)
    const isFitting = scheme === (proof === undefined ? 'Bearer' : 'DPoP')
    return isFitting ? grants.userFor(token, proof?.jkt, certificateOf(request)) : undefined
  }
  const refusedToken = () => ({ ...json(401, {}), headers: { 'www-authenticate': 'Bearer error="invalid_token"' } })
  return {
    discovery() {
      const own = demands && metadataOfDemands(trimSlash(issuer()), demands)
      const document = { ...buildMetadata(issuer(), alg, sendsIss), ...own, ...metadata }
      return json(200, faults().metadata?.(document) ?? document)
    },
    jwks() {
      const published = keys.published.map(key => key.publicJwk)
      return json(200, { keys: faults().keys?.(published) ?? published })
    },
    async authorize({ method, query, form }) {
      const request = await requests.read(method === 'POST' ? form : query).catch(String)
      if (typeof request === 'string') return complain(request)
      const complaint = examine(request, clientId, needsChallenge)
      if (complaint) return complain(complaint)
      const fields: Fields = [
        ...(await grants.authorize(request)),
        ...(request.state === undefined ? [] : [['state', request.state] as const]),
        ...(sendsIss ? [['iss', issuer()] as const] : []),
      ]
      const sent = request.response_mode?.endsWith('.jwt') ? await signed(fields) : fields
      const changed = faults().response?.(sent, request, fields) ?? sent
      return deliver(request, changed, faults().responseMode)
    },
    async token(request) {
      if (request.method !== 'POST') problems.push(`${request.method} to the token endpoint`)
      const refused = refuse(request, false)
      if (refused) return refused
      const { status, body } = await grants.exchange(request)
      return json(status, body, { 'cache-control': 'no-store' })
    },
    async userinfo(request) {
      if (request.query.access_token) problems.push('access token in the query of the userinfo request')
      const refused = refuse(request, true)
      if (refused) return refused
      const claims = await ownerOf(request)
      if (!claims) return refusedToken()
      const changed = faults().userInfoClaims?.(claims) ?? claims
      const { signedUserInfo } = faults()
      if (!signedUserInfo) return json(200, changed)
      const fault = signedUserInfo === true ? undefined : signedUserInfo
      const body = await keys.sign({ ...(changed as Claims), iss: issuer(), aud: clientId }, fault)
      return { status: 200, headers: { 'content-type': 'application/jwt' }, body }
    },
    endSession({ method, query, form }) {
      const { post_logout_redirect_uri: target, state } = method === 'POST' ? form : query
      if (!target) return { status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Signed out.</p>' }
      const location = new URL(target)
      if (state !== undefined) location.searchParams.set('state', state)
      return { status: 303, headers: { location: location.href }, body: '' }
    },
    async revocation(request) {
      grants.revoke(request.form.token ?? '')
      return { status: 200, headers: {}, body: '' }
    },
    async par(request) {
      const refused = refuse(request, false)
      if (refused) return refused
      if (!(await grants.isClient(request))) return json(401, { error: 'invalid_client' })
      const reference = await requests.push(request.form).catch(error => ({ complaint: String(error) }))
      if (typeof reference !== 'string') return complain(reference.complaint)
      return json(201, { request_uri: reference, expires_in: 60 }, { 'cache-control': 'no-store' })
    },
    async accounts(request) {
      return refuse(request, true) ?? ((await ownerOf(request)) ? json(200, { accounts: [] }) : refusedToken())
    },
  }
}

export function trimSlash(path: string): string {
  return path.replace(/\/$/, '')
}

function buildMetadata(issuer: string, alg: string, sendsIss: boolean): Claims {
  const base = trimSlash(issuer)
  return {
    issuer,
    authorization_endpoint: base + PATHS.authorize,
    token_endpoint: base + PATHS.token,
    userinfo_endpoint: base + PATHS.userinfo,
    jwks_uri: base + PATHS.jwks,
    end_session_endpoint: base + PATHS.endSession,
    revocation_endpoint: base + PATHS.revocation,
    scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
    // The order of words means nothing, and some providers use an odd one.
    response_types_supported: ['code', 'id_token', 'id_token code', 'token code', 'token code id_token'],
    response_modes_supported: ['query', 'fragment', 'form_post', 'query.jwt', 'form_post.jwt'],
    grant_types_supported: ['authorization_code', 'implicit', 'refresh_token', 'client_credentials'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: [alg, 'RS256'],
    token_endpoint_auth_methods_supported: [
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt',
      'none',
    ],
    token_endpoint_auth_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'HS256'],
    code_challenge_methods_supported: ['S256'],
    claims_parameter_supported: true,
    authorization_response_iss_parameter_supported: sendsIss,
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  }
}

/** What is wrong with an authorization request of this package, which always sends state and nonce, and PKCE unless it is switched off. */
function examine(request: AuthorizationRequest, clientId: string, needsChallenge: boolean): string | undefined {
  const words = (request.response_type ?? '').split(' ')
  if (request.client_id !== clientId) return 'another client_id'
  if (!request.redirect_uri) return 'no redirect_uri'
  if (!request.scope?.split(' ').includes('openid')) return 'scope without openid'
  if (!words.every(word => ['code', 'id_token', 'token'].includes(word))) return 'unknown response_type'
  if (!request.state) return 'no state'
  if (!request.nonce) return 'no nonce'
  if (!needsChallenge) return undefined
  if (words.includes('code') && (!request.code_challenge || request.code_challenge_method !== 'S256')) return 'no PKCE'
  return undefined
}
