import { randomBytes } from 'node:crypto'
import type { FakeGrant } from './grant-book.js'
import { type FakeEndpoints, RefusedRequest } from './response.js'

/** Whom an access token is issued to, and for what. */
export interface AccessTokenRequest {
  /** Left out: the client itself. */
  readonly grant?: FakeGrant
  readonly scope: string
  /** The parameter `resource` of RFC 8707: the audience in place of the default one. */
  readonly resource?: string | null
  /** What it permits besides the scope. RFC 9396 section 9.1. */
  readonly details?: readonly unknown[] | undefined
}

/**
 * The parameter `authorization_details`; `undefined` where it is missing. RFC 9396 section 2.
 *
 * @throws {RefusedRequest}
 */
export function readDetails(params: URLSearchParams): readonly unknown[] | undefined {
  const text = params.get('authorization_details')
  if (text === null) return undefined
  const details = parse(text)
  if (Array.isArray(details)) return details
  throw new RefusedRequest('invalid_authorization_details', 'authorization_details is not a JSON array')
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Opaque, or a JWT (RFC 9068) where the provider has an audience for it. */
export async function issueAccessToken(
  { book, signer, expiresIn, clientId, audience }: FakeEndpoints,
  { grant, scope, resource, details }: AccessTokenRequest,
): Promise<string> {
  const subject = { ...grant?.user, sub: grant?.user.sub ?? clientId }
  const claims = { ...subject, client_id: clientId, scope, ...(details && { authorization_details: details }) }
  const token =
    audience === undefined
      ? randomBytes(24).toString('base64url')
      : await signer.signAccessToken({ ...claims, aud: resource ?? audience }, expiresIn)
  book.keepAccessToken(token, grant)
  return token
}
