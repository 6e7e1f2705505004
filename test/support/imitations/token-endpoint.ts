import { createHash } from 'node:crypto'
import type { EndpointResponse, RecordedRequest } from '../hostile-faults.js'
import { json } from '../hostile-responses.js'
import type { Grant } from './book.js'
import { isClient } from './client-proof.js'
import { createAccessToken, createIdToken } from './id-tokens.js'
import { type Setting, wordsOf } from './setting.js'

type Form = RecordedRequest['form']

export async function answerTokenRequest(setting: Setting, request: RecordedRequest): Promise<EndpointResponse> {
  const { form } = request
  if (!(await isClient(setting, request))) return json(setting.traits.clients.refusal, { error: 'invalid_client' })
  if (form.grant_type === 'authorization_code') return redeem(setting, form)
  if (form.grant_type === 'refresh_token') return refresh(setting, form)
  return json(400, { error: 'unsupported_grant_type' })
}

function refuse({ log }: Setting, error: string, reason: string): EndpointResponse {
  log.push(reason)
  return json(400, { error })
}

function redeem(setting: Setting, form: Form): EndpointResponse {
  const { traits, book } = setting
  const grant = book.codes.get(form.code ?? '')
  if (grant === undefined) return refuse(setting, 'invalid_grant', 'Invalid authorization code')
  book.codes.delete(form.code ?? '')
  const verifierFault = findVerifierFault(setting, grant, form.code_verifier)
  if (verifierFault !== undefined) return refuse(setting, 'invalid_grant', verifierFault)
  if (form.redirect_uri !== grant.redirectUri)
    return refuse(setting, traits.tokens.wrongRedirectUri, 'Invalid redirect_uri')
  if (book.disabledUsers.has(grant.user)) return refuse(setting, traits.tokens.disabledUser, 'User has been disabled')
  const isOffline = grant.scope.includes('offline_access')
  return tokensFor(setting, grant, 'back', isOffline ? book.issueRefreshToken(grant) : undefined)
}

function findVerifierFault({ traits }: Setting, { codeChallenge }: Grant, verifier: string | undefined) {
  if (traits.pkce === 'ignored') return verifier === undefined ? undefined : `Unexpected code_verifier: ${traits.name}`
  if (codeChallenge === undefined) return verifier === undefined ? undefined : 'Unexpected code_verifier'
  if (verifier === undefined) return 'Missing code_verifier'
  const isRight = createHash('sha256').update(verifier).digest('base64url') === codeChallenge
  return isRight ? undefined : 'Transformed code verifier does not match code challenge'
}

function refresh(setting: Setting, form: Form): EndpointResponse {
  const { traits, book, refreshTokens } = setting
  const entry = book.refreshTokens.get(form.refresh_token ?? '')
  if (entry === undefined || entry.grant.isRevoked) return refuse(setting, 'invalid_grant', 'Refresh token is unknown')
  const { grant } = entry
  if (entry.usedAt !== undefined && setting.now() > entry.usedAt + traits.tokens.leeway * 1000)
    return refuse(setting, 'invalid_grant', 'Refresh token was used before')
  const { scopeTaken, disabledUser, scopeOnRefresh } = traits.tokens
  if (scopeTaken !== undefined && grant.scope.some(word => book.takenScopes.has(word)))
    return refuse(setting, scopeTaken, 'Client does not have access to a requested scope anymore')
  if (book.disabledUsers.has(grant.user)) return refuse(setting, disabledUser, 'User has been disabled')
  const asked = scopeOnRefresh === 'honoured' && form.scope !== undefined ? wordsOf(form.scope) : grant.scope
  if (asked.some(word => !grant.scope.includes(word)))
    return refuse(setting, 'invalid_grant', 'The scope was not granted')
  if (refreshTokens === 'reusable')
    return tokensFor(setting, { ...grant, scope: asked }, 'refreshed', form.refresh_token)
  entry.usedAt ??= setting.now()
  return tokensFor(setting, { ...grant, scope: asked }, 'refreshed', book.issueRefreshToken(grant))
}

function tokensFor(
  setting: Setting,
  grant: Grant,
  kind: 'back' | 'refreshed',
  refreshToken: string | undefined,
): EndpointResponse {
  const accessToken = createAccessToken(setting, grant)
  const body = {
    id_token: createIdToken(setting, grant, { kind, accessToken }),
    access_token: accessToken,
    expires_in: setting.accessTokenLife,
    token_type: 'Bearer',
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
    ...(setting.traits.tokens.saysScope && { scope: grant.scope.join(' ') }),
  }
  return json(200, body, { 'cache-control': 'no-store' })
}
