import { createHash } from 'node:crypto'
import { createLocalJWKSet, type JWK, jwtVerify } from 'jose'
import { PATHS, trimSlash } from './hostile-endpoints.js'
import type { AuthorizationRequest, Claims, Faults, RecordedRequest } from './hostile-faults.js'
import { type HostileKeys, type IdTokenKind, leftHalf } from './hostile-keys.js'
import type { ProofChecks } from './hostile-proofs.js'
import { certificateOf, type FapiDemands } from './hostile-requests.js'
import { secret } from './secrets.js'

export interface Grant {
  readonly request: AuthorizationRequest
  readonly signedInAt: number
  /** Access tokens that live, by value. */
  readonly accessTokens: Set<string>
  frontAccessToken?: string
  /** Thumbprint of the key that its tokens are bound to. */
  jkt?: string | undefined
  /** Fingerprint of the certificate that its tokens are bound to. */
  certificate?: string | undefined
  code?: string
  isRedeemed: boolean
  isRevoked: boolean
}

export interface GrantSettings {
  readonly issuer: () => string
  readonly clientId: string
  readonly clientSecret: string
  readonly clientJwks: readonly JWK[]
  readonly alg: string
  readonly now: () => number
  readonly user: Claims & { readonly sub: string }
  readonly idTokenClaims: Claims
  readonly sid: string | undefined
  readonly expiresIn: number | undefined
  readonly refreshTokens: 'always' | 'when asked' | 'never'
  readonly rotatesRefreshTokens: boolean
  readonly frontTokenDiesOnRedeem: boolean
  readonly pkce: 'required' | 'optional' | 'refused'
  readonly keys: HostileKeys
  readonly faults: () => Faults
  readonly proofs: ProofChecks
  readonly demands: FapiDemands | undefined
}

export interface Grants {
  readonly reusedRefreshTokens: readonly string[]
  authorize(request: AuthorizationRequest): Promise<[string, string][]>
  /** A status and a JSON body. */
  exchange(request: RecordedRequest): Promise<{ status: number; body: Claims }>
  isClient(request: RecordedRequest): Promise<boolean>
  /**
   * @param jkt - thumbprint of the key that the request proved to have
   * @param certificate - fingerprint of the certificate of its connection
   */
  userFor(accessToken: string | undefined, jkt: string | undefined, certificate: string | undefined): Claims | undefined
  revoke(token: string): void
  revokeAccessTokens(): void
  revokeAll(): void
}

/** The part of the hostile provider that does everything right: codes, tokens, and who may have them. */
export function createGrants(settings: GrantSettings): Grants {
  const codes = new Map<string, Grant>()
  const refreshTokens = new Map<string, { grant: Grant; isUsed: boolean }>()
  const clientTokens = new Set<string>()
  const all: Grant[] = []
  const reusedRefreshTokens: string[] = []
  const assertions = new Set<string>()
  const { keys, faults, now, demands } = settings
  const error = (name: string, status = 400) => ({ status, body: { error: name } })

  function issueAccessToken(grant: Grant, label: string): string {
    const token = secret(label)
    grant.accessTokens.add(token)
    return token
  }

  function issueRefreshToken(grant: Grant): string {
    const token = secret('refresh token')
    refreshTokens.set(token, { grant, isUsed: false })
    return token
  }

  function idTokenFor(kind: IdTokenKind, grant: Grant, code?: string, accessToken?: string): Promise<string> {
    return keys.signIdToken(kind, buildIdTokenClaims(settings, grant, code, accessToken), faults())
  }

  async function tokensFor(grant: Grant, kind: 'back' | 'refreshed', refreshToken: string | undefined) {
    const accessToken = issueAccessToken(grant, 'access token')
    const body: Claims = {
      access_token: accessToken,
      token_type: grant.jkt === undefined ? 'Bearer' : 'DPoP',
      ...(settings.expiresIn !== undefined && { expires_in: settings.expiresIn }),
      scope: grant.request.scope,
      id_token: await idTokenFor(kind, grant, undefined, accessToken),
      ...(refreshToken && { refresh_token: refreshToken }),
    }
    return { status: 200, body: (faults().tokenResponse?.(body) ?? body) as Claims }
  }

  async function redeemCode({ form, ...request }: RecordedRequest, jkt: string | undefined) {
    const grant = codes.get(form.code ?? '')
    if (!grant || grant.isRedeemed || grant.isRevoked) return error('invalid_grant')
    if (grant.request.dpop_jkt !== undefined && grant.request.dpop_jkt !== jkt) return error('invalid_dpop_proof')
    grant.jkt = jkt
    if (demands?.bindsToCertificate) grant.certificate = certificateOf(request)
    if (demands?.bindsToCertificate && grant.certificate === undefined) return error('invalid_request')
    if (
      grant.request.redirect_uri !== form.redirect_uri ||
      !fitsChallenge(settings, grant.request, form.code_verifier)
    ) {
      return error('invalid_grant')
    }
    grant.isRedeemed = true
    if (settings.frontTokenDiesOnRedeem && grant.frontAccessToken) grant.accessTokens.delete(grant.frontAccessToken)
    const asked = grant.request.scope?.split(' ').includes('offline_access')
    const gets = settings.refreshTokens === 'always' || (settings.refreshTokens === 'when asked' && asked)
    return tokensFor(grant, 'back', gets ? issueRefreshToken(grant) : undefined)
  }

  async function refresh({ form, ...request }: RecordedRequest, jkt: string | undefined) {
    const entry = refreshTokens.get(form.refresh_token ?? '')
    if (!entry || entry.grant.isRevoked) return error('invalid_grant')
    if (entry.isUsed) {
      reusedRefreshTokens.push(form.refresh_token ?? '')
      entry.grant.isRevoked = true
      return error('invalid_grant')
    }
    if (entry.grant.jkt !== undefined && entry.grant.jkt !== jkt) return error('invalid_grant')
    entry.grant.jkt = jkt
    if (demands?.bindsToCertificate) entry.grant.certificate = certificateOf(request)
    entry.isUsed = settings.rotatesRefreshTokens
    return tokensFor(
      entry.grant,
      'refreshed',
      settings.rotatesRefreshTokens ? issueRefreshToken(entry.grant) : undefined,
    )
  }

  function clientCredentials({ scope }: Readonly<Record<string, string>>) {
    const token = secret('client access token')
    clientTokens.add(token)
    const body: Claims = { access_token: token, token_type: 'Bearer', expires_in: settings.expiresIn, scope }
    return { status: 200, body: (faults().tokenResponse?.(body) ?? body) as Claims }
  }

  return {
    reusedRefreshTokens,
    async authorize(request) {
      const words = new Set((request.response_type ?? '').split(' '))
      const grant: Grant = { request, signedInAt: now(), accessTokens: new Set(), isRedeemed: false, isRevoked: false }
      all.push(grant)
      const fields: [string, string][] = []
      if (words.has('code')) {
        grant.code = secret('code')
        codes.set(grant.code, grant)
        fields.push(['code', grant.code])
      }
      if (words.has('token')) {
        grant.frontAccessToken = issueAccessToken(grant, 'front access token')
        fields.push(['access_token', grant.frontAccessToken], ['token_type', 'Bearer'])
        if (settings.expiresIn !== undefined) fields.push(['expires_in', `${settings.expiresIn}`])
      }
      if (words.has('id_token')) {
        fields.push(['id_token', await idTokenFor('front', grant, grant.code, grant.frontAccessToken)])
      }
      return fields
    },
    async exchange(request) {
      if (!(await isClient(request, settings, assertions))) return error('invalid_client', 401)
      const proof = await settings.proofs.check(request, request.url).catch(() => 'bad' as const)
      if (proof === 'bad') return error('invalid_dpop_proof')
      if (request.form.grant_type === 'authorization_code') return redeemCode(request, proof?.jkt)
      if (request.form.grant_type === 'refresh_token') return refresh(request, proof?.jkt)
      if (request.form.grant_type === 'client_credentials') return clientCredentials(request.form)
      return error('unsupported_grant_type')
    },
    isClient: request => isClient(request, settings, assertions),
    userFor(accessToken, jkt, certificate) {
      const owner = all.find(grant => !grant.isRevoked && grant.accessTokens.has(accessToken ?? ''))
      const isBound = owner?.certificate === undefined || owner.certificate === certificate
      return owner && owner.jkt === jkt && isBound ? { ...settings.user } : undefined
    },
    revoke(token) {
      const entry = refreshTokens.get(token)
      if (entry) entry.grant.isRevoked = true
      for (const grant of all) grant.accessTokens.delete(token)
    },
    revokeAccessTokens() {
      for (const grant of all) grant.accessTokens.clear()
      clientTokens.clear()
    },
    revokeAll() {
      for (const grant of all) grant.isRevoked = true
    },
  }
}

function buildIdTokenClaims(settings: GrantSettings, grant: Grant, code?: string, accessToken?: string): Claims {
  const { request, signedInAt } = grant
  const { alg, now, user, sid, idTokenClaims, demands } = settings
  const isAlone = request.response_type === 'id_token'
  return {
    iss: settings.issuer(),
    sub: user.sub,
    aud: settings.clientId,
    exp: now() + 300,
    iat: now(),
    ...(request.nonce !== undefined && { nonce: request.nonce }),
    ...(request.max_age !== undefined && { auth_time: signedInAt }),
    ...(request.acr_values !== undefined && { acr: request.acr_values.split(' ')[0] }),
    ...(sid !== undefined && { sid }),
    ...(code !== undefined && { c_hash: leftHalf(code, alg) }),
    ...(code !== undefined && demands && { s_hash: leftHalf(request.state ?? '', alg) }),
    ...(accessToken !== undefined && { at_hash: leftHalf(accessToken, alg) }),
    ...(isAlone && user),
    ...idTokenClaims,
  }
}

function fitsChallenge(
  { pkce }: GrantSettings,
  { code_challenge: challenge }: AuthorizationRequest,
  verifier: string | undefined,
): boolean {
  if (pkce === 'refused') return verifier === undefined
  if (challenge === undefined) return verifier === undefined
  return verifier !== undefined && createHash('sha256').update(verifier).digest('base64url') === challenge
}

async function isClient(request: RecordedRequest, settings: GrantSettings, assertions: Set<string>): Promise<boolean> {
  const { headers, form } = request
  const { clientId, clientSecret, demands } = settings
  if (demands?.certificate !== undefined)
    return form.client_id === clientId && certificateOf(request) === demands.certificate
  if (demands !== undefined && form.client_assertion === undefined) return false
  if (headers.authorization?.startsWith('Basic ')) {
    const [id, password] = Buffer.from(headers.authorization.slice(6), 'base64').toString().split(':').map(decodeForm)
    return form.client_secret === undefined && id === clientId && password === clientSecret
  }
  if (form.client_assertion !== undefined) return isGoodAssertion(form.client_assertion, settings, assertions)
  return form.client_id === clientId && form.client_secret === clientSecret
}

/** RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined. */
function decodeForm(text: string): string {
  return new URLSearchParams(`v=${text}`).get('v') ?? ''
}

async function isGoodAssertion(
  assertion: string,
  { issuer, clientId, clientSecret, clientJwks, demands }: GrantSettings,
  known: Set<string>,
) {
  const options = {
    issuer: clientId,
    subject: clientId,
    audience: [issuer(), `${trimSlash(issuer())}${PATHS.token}`],
    requiredClaims: ['exp', 'jti'],
  }
  const header = JSON.parse(Buffer.from(assertion.split('.')[0] ?? '', 'base64url').toString()) as { alg: string }
  const check = header.alg.startsWith('HS')
    ? jwtVerify(assertion, new TextEncoder().encode(clientSecret), options)
    : jwtVerify(assertion, createLocalJWKSet({ keys: [...clientJwks] }), options)
  return check.then(
    ({ payload: { aud, jti = '' } }) => {
      const isNew = !known.has(jti)
      known.add(jti)
      // FAPI 2.0 Security Profile section 5.3.2.1: the issuer, as a string.
      return isNew && (demands === undefined || aud === issuer())
    },
    () => false,
  )
}
