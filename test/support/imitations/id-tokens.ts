import type { Claims } from '../hostile-faults.js'
import { leftHalf } from '../hostile-keys.js'
import { keepSecret, secret } from '../secrets.js'
import { signJwt } from '../signing-keys.js'
import type { Grant } from './book.js'
import { type Setting, secondsOf } from './setting.js'
import { claimsOf, subjectOf } from './users.js'

export interface IdTokenParts {
  readonly kind: 'front' | 'back' | 'refreshed'
  readonly code?: string | undefined
  readonly accessToken?: string | undefined
  /** Claims of the user; only where no access token comes with the sign-in. */
  readonly withUserClaims?: boolean
}

/** ID Tokens live 5 minutes in all of these servers. */
const LIFE = 300

export function createIdToken(setting: Setting, grant: Grant, parts: IdTokenParts): string {
  const { issuer, clientId, idTokenKey, traits } = setting
  const { alg, kid, privateKey } = idTokenKey
  const now = secondsOf(setting)
  const keepsSid = parts.kind !== 'refreshed' || traits.tokens.keepsSidOnRefresh
  const hashesAccessToken = parts.kind !== 'back' || traits.tokens.hashesAccessToken
  const claims: Claims = {
    iss: issuer,
    sub: subjectOf(grant.user),
    aud: clientId,
    nbf: now,
    iat: now,
    exp: now + LIFE,
    auth_time: Math.floor(grant.signedInAt / 1000),
    idp: 'local',
    amr: ['pwd'],
    ...(keepsSid && { sid: grant.sid }),
    ...(grant.nonce !== undefined && parts.kind !== 'refreshed' && { nonce: grant.nonce }),
    ...(parts.code !== undefined && { c_hash: leftHalf(parts.code, alg) }),
    ...(parts.accessToken !== undefined && hashesAccessToken && { at_hash: leftHalf(parts.accessToken, alg) }),
    ...(parts.withUserClaims && claimsOf(grant.user, grant.scope)),
  }
  return keepSecret(`${parts.kind} ID Token`, signJwt({ alg, kid, typ: 'JWT' }, claims, alg, privateKey))
}

/** A JWT, as it is unless reference tokens are chosen. */
export function createAccessToken(setting: Setting, grant: Grant): string {
  const { issuer, clientId, defaultKey, accessTokenLife, book } = setting
  const now = secondsOf(setting)
  const claims: Claims = {
    iss: issuer,
    aud: `${issuer}/resources`,
    client_id: clientId,
    sub: subjectOf(grant.user),
    scope: grant.scope,
    nbf: now,
    iat: now,
    exp: now + accessTokenLife,
    jti: secret('id of an access token'),
  }
  const header = { alg: 'RS256', kid: defaultKey.kid, typ: 'at+jwt' }
  const token = keepSecret('access token', signJwt(header, claims, 'RS256', defaultKey.privateKey))
  book.accessTokens.set(token, grant)
  return token
}
