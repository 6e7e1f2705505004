import { createHash } from 'node:crypto'
import type { Request } from 'express'
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose'

/** Seconds that a proof can be used for. */
const lifetime = 60

/** Proofs that were used, until they have expired. DEVELOPMENT ONLY: several processes of an API share them, in Redis for instance. */
const used = new Map<string, number>()

/**
 * Whether a request shows that the caller has the key that its access token is bound to. RFC 9449 section 4.3.
 *
 * @param thumbprint Of the key, as the token says it (`cnf.jkt`).
 * @param address Where the API is, as its callers know it.
 */
export async function hasProof(req: Request, token: string, thumbprint: string, address: string): Promise<boolean> {
  const proof = req.get('dpop') ?? ''
  try {
    const options = {
      typ: 'dpop+jwt',
      algorithms: ['ES256', 'EdDSA', 'Ed25519'],
      maxTokenAge: lifetime,
      clockTolerance: 5,
    }
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, options)
    const ath = createHash('sha256').update(token).digest('base64url')
    const isForThis =
      payload.htm === req.method &&
      payload.htu === new URL(req.originalUrl.replace(/\?.*/s, ''), address).href &&
      payload.ath === ath &&
      (await calculateJwkThumbprint(protectedHeader.jwk as JWK)) === thumbprint
    return isForThis && isFirstUse(payload.jti)
  } catch {
    return false
  }
}

function isFirstUse(jti: string | undefined): boolean {
  const now = Date.now() / 1000
  for (const [known, until] of used) if (until < now) used.delete(known)
  if (jti === undefined || used.has(jti)) return false
  used.set(jti, now + lifetime + 10)
  return true
}
