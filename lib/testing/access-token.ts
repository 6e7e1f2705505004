import { randomBytes } from 'node:crypto'
import type { FakeGrant } from './grant-book.js'
import type { FakeEndpoints } from './response.js'

/** Whom an access token is issued to, and for what. */
export interface AccessTokenRequest {
  /** Left out: the client itself. */
  readonly grant?: FakeGrant
  readonly scope: string
  /** The parameter `resource` of RFC 8707: the audience in place of the default one. */
  readonly resource?: string | null
}

/** Opaque, or a JWT (RFC 9068) where the provider has an audience for it. */
export async function issueAccessToken(
  { book, signer, expiresIn, clientId, audience }: FakeEndpoints,
  { grant, scope, resource }: AccessTokenRequest,
): Promise<string> {
  const claims = { ...grant?.user, sub: grant?.user.sub ?? clientId, client_id: clientId, scope }
  const token =
    audience === undefined
      ? randomBytes(24).toString('base64url')
      : await signer.signAccessToken({ ...claims, aud: resource ?? audience }, expiresIn)
  book.keepAccessToken(token, grant)
  return token
}
