import { createHash } from 'node:crypto'
import { type AccessTokenRequest, issueAccessToken, readDetails } from './access-token.js'
import type { FakeGrant } from './grant-book.js'
import { type FakeEndpoints, type FakeResponse, RefusedRequest } from './response.js'

/** The token endpoint: codes, refresh tokens and client credentials. RFC 6749 section 3.2. */
export async function respondToTokenRequest(
  provider: FakeEndpoints,
  authorization: string | undefined,
  params: URLSearchParams,
): Promise<FakeResponse> {
  checkClient(provider, authorization, params)
  const grantType = params.get('grant_type')
  if (grantType === 'authorization_code') return tokensFor(provider, redeemCode(provider, params), params)
  if (grantType === 'refresh_token') {
    const grant = provider.book.takeRefreshToken(params.get('refresh_token') ?? '')
    if (grant === undefined)
      throw new RefusedRequest('invalid_grant', 'the refresh token is unknown or was used before')
    return tokensFor(provider, grant, params)
  }
  if (grantType === 'client_credentials') {
    return {
      json: await accessTokenFor(provider, { scope: params.get('scope') ?? '', details: readDetails(params) }, params),
    }
  }
  throw new RefusedRequest('unsupported_grant_type', 'the fake provider does not know this grant_type')
}

function checkClient(
  { clientId, clientSecret }: FakeEndpoints,
  authorization: string | undefined,
  params: URLSearchParams,
): void {
  const basic = /^Basic (\S+)$/i.exec(authorization ?? '')?.[1]
  const [id, secret] =
    basic === undefined
      ? [params.get('client_id'), params.get('client_secret')]
      : Buffer.from(basic, 'base64')
          .toString()
          .split(':')
          .map(part => decodeURIComponent(part.replaceAll('+', ' ')))
  if (id !== clientId || secret !== clientSecret) {
    throw new RefusedRequest('invalid_client', 'client_id or client_secret is wrong', 401)
  }
}

function redeemCode({ book }: FakeEndpoints, params: URLSearchParams): FakeGrant {
  const grant = book.takeCode(params.get('code') ?? '')
  if (grant === undefined) throw new RefusedRequest('invalid_grant', 'the code is unknown or was used before')
  if (grant.redirectUri !== params.get('redirect_uri'))
    throw new RefusedRequest('invalid_grant', 'redirect_uri differs')
  if (!fitsChallenge(grant.codeChallenge, params.get('code_verifier')))
    throw new RefusedRequest('invalid_grant', 'code_verifier does not fit')
  return grant
}

/** A site with `pkce: false` sends neither of the two. RFC 9700 section 4.8.2: a verifier without a challenge is refused. */
function fitsChallenge(challenge: string | undefined, verifier: string | null): boolean {
  if (challenge === undefined || verifier === null) return challenge === undefined && verifier === null
  return createHash('sha256').update(verifier).digest('base64url') === challenge
}

async function tokensFor(provider: FakeEndpoints, grant: FakeGrant, params: URLSearchParams): Promise<FakeResponse> {
  const { book, signer } = provider
  const { scope } = grant
  const token = await accessTokenFor(provider, { grant, scope, details: readDetails(params) ?? grant.details }, params)
  const offline = scope.split(' ').includes('offline_access')
  return {
    json: {
      ...token,
      id_token: await signer.signIdToken(grant, { accessToken: token.access_token }),
      ...(offline && { refresh_token: book.issueRefreshToken(grant) }),
    },
  }
}

/** RFC 9396 section 7: what the token permits is in the response. */
async function accessTokenFor(
  provider: FakeEndpoints,
  request: Omit<AccessTokenRequest, 'resource'>,
  params: URLSearchParams,
) {
  const { scope, details } = request
  return {
    access_token: await issueAccessToken(provider, { ...request, resource: params.get('resource') }),
    token_type: 'Bearer',
    expires_in: provider.expiresIn,
    scope,
    ...(details && { authorization_details: details }),
  }
}
