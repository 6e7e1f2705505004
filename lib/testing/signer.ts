import { createHash, randomUUID } from 'node:crypto'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { FakeGrant } from './grant-book.js'

/** What travels beside an ID Token and is bound to it by a hash. */
export interface Companions {
  readonly code?: string | undefined
  readonly accessToken?: string | undefined
}

/** Signs tokens with a key that lives as long as the provider. */
export interface Signer {
  readonly jwks: { readonly keys: readonly JWK[] }
  signIdToken(grant: FakeGrant, companions: Companions): Promise<string>
  /** RFC 9068. */
  signAccessToken(claims: JWTPayload, expiresIn: number): Promise<string>
}

interface SignerSettings {
  readonly issuer: string
  readonly clientId: string
  readonly now: () => Date
}

const kid = 'fake-provider'

export async function createSigner({ issuer, clientId, now }: SignerSettings): Promise<Signer> {
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' }
  return {
    jwks: { keys: [jwk] },
    signIdToken({ user, nonce, sid }, { code, accessToken }) {
      const time = Math.floor(now().getTime() / 1000)
      const claims = {
        auth_time: time,
        sid,
        // A test can set how the user signed in: `acr`, `auth_time`, `sid`.
        ...user,
        iss: issuer,
        aud: clientId,
        iat: time,
        exp: time + 300,
        ...(nonce !== undefined && { nonce }),
        ...(code !== undefined && { c_hash: hash(code) }),
        ...(accessToken !== undefined && { at_hash: hash(accessToken) }),
      }
      return new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid, typ: 'JWT' }).sign(privateKey)
    },
    signAccessToken(claims, expiresIn) {
      const iat = Math.floor(now().getTime() / 1000)
      const all = { ...claims, iss: issuer, iat, exp: iat + expiresIn, jti: randomUUID() }
      return new SignJWT(all).setProtectedHeader({ alg: 'RS256', kid, typ: 'at+jwt' }).sign(privateKey)
    },
  }
}

/** The left half of the SHA-256. OpenID Connect Core 1.0 section 3.3.2.11. */
function hash(text: string): string {
  return createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url')
}
