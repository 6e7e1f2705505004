import { createHash } from 'node:crypto'
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose'
import type { EndpointResponse, RecordedRequest } from './hostile-faults.js'

/** The key that a request proved to have. `undefined`: it had no proof. */
export interface Proven {
  readonly jkt: string
  readonly nonce: string | undefined
  readonly alg: string
}

/** Checks DPoP proofs as RFC 9449 section 4.3 wants it. */
export interface ProofChecks {
  /** Every proof that has passed. */
  readonly seen: readonly Proven[]
  /** @throws what is wrong with a proof */
  check(
    request: Pick<RecordedRequest, 'method' | 'headers'>,
    url: string,
    accessToken?: string,
  ): Promise<Proven | undefined>
}

export function createProofChecks(now: () => number): ProofChecks {
  const names = new Set<string>()
  const seen: Proven[] = []
  return {
    seen,
    async check({ method, headers }, url, accessToken) {
      const { dpop } = headers
      if (dpop === undefined) return undefined
      if (typeof dpop !== 'string') throw new Error('several proofs')
      const options = { typ: 'dpop+jwt', currentDate: new Date(now() * 1000), maxTokenAge: 60, clockTolerance: 5 }
      const { payload, protectedHeader } = await jwtVerify(dpop, EmbeddedJWK, options)
      const jwk = protectedHeader.jwk as JWK
      if ('d' in jwk) throw new Error('the proof has the private key')
      if (payload.htm !== method) throw new Error(`htm is ${payload.htm}`)
      if (payload.htu !== url) throw new Error(`htu is ${payload.htu}`)
      const ath = accessToken && createHash('sha256').update(accessToken).digest('base64url')
      if (payload.ath !== ath) throw new Error('ath does not fit')
      if (typeof payload.jti !== 'string' || names.has(payload.jti)) throw new Error('jti came before')
      names.add(payload.jti)
      const proven = {
        jkt: await calculateJwkThumbprint(jwk),
        nonce: payload.nonce as string | undefined,
        alg: protectedHeader.alg,
      }
      seen.push(proven)
      return proven
    },
  }
}

/** A refusal that asks for a nonce: RFC 9449 section 8 at the token endpoint, section 9 elsewhere. */
export function demandNonce(nonce: string, { isApi = false, scheme = 'DPoP' } = {}): EndpointResponse {
  const headers = { 'dpop-nonce': nonce, 'content-type': 'application/json', 'cache-control': 'no-store' }
  const body = JSON.stringify({ error: 'use_dpop_nonce' })
  if (!isApi) return { status: 400, headers, body }
  return { status: 401, headers: { ...headers, 'www-authenticate': `${scheme} error="use_dpop_nonce"` }, body: '{}' }
}
