import { decodeJwt, decodeProtectedHeader } from 'jose'

/** What may be said about a token without showing it. */
export interface TokenDescription {
  readonly name: string
  readonly use: string
  readonly format: string
  readonly expires: string
  /** For `<time datetime>`. */
  readonly expiresIso: string
}

export function describeAccessToken({
  value,
  type,
  expiresAt,
}: {
  value: string
  type: string
  expiresAt?: number | undefined
}) {
  return describe(`Access token (${type})`, 'opens the API and userinfo', value, expiresAt)
}

export function describeIdToken(value: string): TokenDescription {
  return describe('ID token', 'proof of the sign-in', value, expiryOf(value))
}

function describe(name: string, use: string, value: string, expiresAt: number | undefined): TokenDescription {
  const expiresIso = expiresAt === undefined ? '' : new Date(expiresAt * 1000).toISOString()
  return { name, use, format: formatOf(value), expires: expiresIso === '' ? 'not said' : spell(expiresIso), expiresIso }
}

/** An access token is the provider's and the API's business; a site should never depend on what is inside. */
function formatOf(token: string): string {
  try {
    return `JWT, signed with ${decodeProtectedHeader(token).alg}`
  } catch {
    return 'reference (a random text)'
  }
}

function expiryOf(token: string): number | undefined {
  try {
    return decodeJwt(token).exp
  } catch {
    return undefined
  }
}

function spell(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}
