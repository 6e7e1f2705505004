import { createRareLog } from '../diagnostics/rare-log.js'
import { OidcError } from '../errors.js'
import {
  checkIdTokenClaims,
  hasOddSid,
  type IdTokenExpectations,
  type StandingExpectations,
} from '../protocol/id-token.js'
import { isRecord } from '../protocol/json.js'
import type { VerifiedJwt } from '../protocol/jwt.js'
import { checkRefreshedIdTokenClaims, type OriginalClaims } from '../protocol/refreshed-id-token.js'
import { idTokenAlgorithms } from '../protocol/signing-algorithms.js'
import { checkTenant, issuerOfTenant } from '../protocol/tenants.js'
import { checkTokenHashes } from '../protocol/token-hash.js'
import type { IdTokenClaims, SigningAlgorithm } from '../protocol/wire.js'
import type { Discovery } from './discovery.js'
import type { ProviderSettings } from './provider-settings.js'
import type { VerifySignature } from './signatures.js'

interface IdTokenSettings {
  readonly issuer: string
  readonly clientId: string
  readonly tenants?: ProviderSettings['tenants']
  /** Seconds. */
  readonly clockTolerance: number
  readonly now: () => Date
  readonly log: (line: string) => void
  readonly verify: VerifySignature
  readonly discovery: Discovery
  /** The one algorithm that the site has named. */
  readonly named: SigningAlgorithm | undefined
}

/** What the caller of a verification knows. */
export type IdTokenExpectedByCaller = Omit<IdTokenExpectations, keyof StandingExpectations>

/** ID Tokens: signature first, then what they say. */
export interface IdTokens {
  verify(idToken: string, expected: IdTokenExpectedByCaller): Promise<{ claims: IdTokenClaims; alg: string }>
  verifyRefreshed(idToken: string, original: OriginalClaims, accessToken: string): Promise<IdTokenClaims>
  /** What they may be signed with. */
  algorithms(): Promise<readonly SigningAlgorithm[]>
}

export function createIdTokens(settings: IdTokenSettings): IdTokens {
  const { clientId, tenants, clockTolerance, now, verify, discovery, named } = settings
  const rareLog = createRareLog(settings.log)

  /** A `sid` that cannot be one is no reason to refuse an ID Token where logout tokens do not name sessions. */
  function expectations(claims: Readonly<Record<string, unknown>>): StandingExpectations {
    const usesSid = discovery.peek()?.backchannel_logout_session_supported === true
    if (!usesSid && hasOddSid(claims))
      rareLog('sid', 'the sid of the ID Token is not a string; it is left out, so the provider cannot end the session')
    const issuer =
      tenants === undefined ? settings.issuer : issuerOfTenant(tenants.template, checkTenant(claims, tenants.template))
    return { issuer, clientId, clockTolerance, usesSid, now: now().getTime() / 1000 }
  }

  async function algorithms(): Promise<readonly SigningAlgorithm[]> {
    if (named !== undefined) return [named]
    return idTokenAlgorithms(discovery.peek() ?? (await discovery.get()))
  }

  async function verifySignature(idToken: string): Promise<VerifiedJwt> {
    try {
      return await verify(idToken, await algorithms())
    } catch (error) {
      throw nameOption(error)
    }
  }

  return {
    algorithms,
    async verify(idToken, expected) {
      const { header, claims } = await verifySignature(idToken)
      const checked = checkIdTokenClaims(claims, { ...expected, ...expectations(claims) })
      await tenants?.check(String(claims.tid))
      return { claims: checked, alg: header.alg }
    },
    async verifyRefreshed(idToken, original, accessToken) {
      const { header, claims } = await verifySignature(idToken)
      const checked = checkRefreshedIdTokenClaims(claims, original, expectations(claims))
      checkTokenHashes(checked, header.alg, { accessToken }, { codeHash: false, accessTokenHash: false })
      await tenants?.check(String(claims.tid))
      return checked
    },
  }
}

/** An algorithm that is not accepted is often the right one: the message says how to accept it. */
function nameOption(error: unknown): unknown {
  if (!(error instanceof OidcError) || error.code !== 'ERR_OIDC_ID_TOKEN_ALGORITHM' || !isRecord(error.cause))
    return error
  const { actual, expected } = error.cause
  const message = `the ID Token is signed with ${String(actual)}, and ${String(expected)} is accepted: if the provider is meant to sign with it, set idTokenAlgorithm`
  return new OidcError(error.code, message, { cause: error.cause })
}
