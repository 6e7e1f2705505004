import { createHash } from 'node:crypto'
import type { Claims, Faults, JwtFault, JwtFaults } from './hostile-faults.js'
import { keepSecret } from './secrets.js'
import { createSigningKey, type KeyMaterial, type SigningKey, signJwt } from './signing-keys.js'

export type IdTokenKind = 'front' | 'back' | 'refreshed'

/** The keys of the hostile provider and everything it signs. */
export interface HostileKeys {
  /** What is published, newest first. */
  published: readonly SigningKey[]
  /** A new key instead of all others. */
  rotate(): Promise<SigningKey>
  /** Signs `claims` and damages the result as told. */
  sign(claims: Claims, fault?: JwtFault, typ?: string): Promise<string>
  signIdToken(kind: IdTokenKind, claims: Claims, faults: Faults): Promise<string>
}

/** @param first - Default: a new one. */
export async function createHostileKeys(alg: string, clientSecret: string, first?: SigningKey): Promise<HostileKeys> {
  const usesSecret = alg.startsWith('HS')
  const keys: HostileKeys = {
    published: [first ?? (await createSigningKey(usesSecret ? 'RS256' : alg))],
    async rotate() {
      const key = await createSigningKey(usesSecret ? 'RS256' : alg)
      keys.published = [key]
      return key
    },
    async sign(claims, fault, typ) {
      const changes: JwtFaults = typeof fault === 'function' ? { claims: fault } : (fault ?? {})
      const actual = changes.alg ?? alg
      const { key, kid } = await findKey(keys, actual, changes.key, clientSecret)
      const header = { alg: actual, ...(kid && { kid }), ...(typ && { typ }) }
      const content = changes.claims ? changes.claims(structuredClone(claims)) : claims
      const signed = signJwt(changes.header?.(header) ?? header, content, actual, key)
      return changes.token?.(resign(signed, changes)) ?? resign(signed, changes)
    },
    async signIdToken(kind, claims, faults) {
      if (faults.rotateBefore === kind || (faults.rotateBefore === 'both' && kind !== 'refreshed')) await keys.rotate()
      const fault = { front: faults.frontIdToken, back: faults.backIdToken, refreshed: faults.refreshedIdToken }[kind]
      const token = await keys.sign(claims, fault)
      return token.length < 16 ? token : keepSecret(`${kind} ID Token`, token)
    },
  }
  return keys
}

function resign(token: string, { signature }: JwtFaults): string {
  if (!signature) return token
  const [header, payload, last = ''] = token.split('.')
  return `${header}.${payload}.${signature(Buffer.from(last, 'base64url')).toString('base64url')}`
}

async function findKey(keys: HostileKeys, alg: string, wanted: JwtFaults['key'], clientSecret: string) {
  if (wanted === 'foreign' && !alg.startsWith('HS')) {
    const { privateKey } = await createSigningKey(alg)
    return { key: privateKey, kid: keys.published[0]?.kid }
  }
  if (wanted !== undefined) return { key: wanted as KeyMaterial, kid: keys.published[0]?.kid }
  if (alg === 'none') return { key: '', kid: undefined }
  if (alg.startsWith('HS')) return { key: clientSecret, kid: undefined }
  const known = keys.published.find(key => key.alg === alg) ?? (await createSigningKey(alg))
  if (!keys.published.includes(known)) keys.published = [...keys.published, known]
  return { key: known.privateKey, kid: known.kid }
}

/** OpenID Connect Core 1.0 section 3.1.3.6. */
export function leftHalf(value: string, alg: string): string {
  const bits = alg.startsWith('Ed') ? '512' : (/\d{3}$/.exec(alg)?.[0] ?? '256')
  const digest = createHash(`sha${bits}`).update(value, 'ascii').digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}
