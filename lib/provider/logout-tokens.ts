import { OidcError } from '../errors.js'
import { readClaimsUnverified, type VerifiedJwt } from '../protocol/jwt.js'
import { checkLogoutTokenClaims, isLogoutTokenType, type LogoutTokenClaims } from '../protocol/logout-token.js'
import { sanitize } from '../protocol/printable.js'
import { ASYMMETRIC } from '../protocol/signing-algorithms.js'
import { issuerOfTenant, tenantOf } from '../protocol/tenants.js'
import { renameTokenError } from '../protocol/token-codes.js'
import type { ProviderMetadata, SigningAlgorithm } from '../protocol/wire.js'
import { type Budget, createBudget } from './budget.js'
import type { OpenToken } from './decryption.js'
import type { ProviderSettings } from './provider-settings.js'
import type { VerifySignature } from './signatures.js'

interface LogoutTokenSettings {
  readonly issuer: string
  readonly tenants?: ProviderSettings['tenants']
  readonly clientId: string
  /** Seconds. */
  readonly clockTolerance: number
  readonly now: () => Date
  readonly verify: VerifySignature
  /** Opens an encrypted token. */
  readonly open: OpenToken
  readonly metadata: () => Promise<ProviderMetadata>
  /** That of ID Tokens: a logout token is signed like one. OpenID Connect Back-Channel Logout 1.0 section 2.4. */
  readonly algorithm: SigningAlgorithm
}

/** Whether there is a session that a token means, as far as it can be believed before it is verified. */
export type IsLiving = (claims: LogoutTokenClaims) => Promise<boolean>

/** Limits how often tokens that match no session may cause keys to be fetched. Any client can send such tokens. */
const FOR_STRANGERS = { burst: 3, interval: 10 }
/** What the tokens of one session may spend. Who knows its name is the provider, or the user whose session it is. */
const FOR_ONE_SESSION = { burst: 2, interval: 10 }
const MOST_SESSIONS = 1000

/**
 * Algorithms that a logout token may be signed with: that of ID Tokens, and every asymmetric one the provider lists, because many sign
 * logout tokens with their default key whatever the client asked for. A shared secret counts only where ID Tokens are signed with it.
 */
export function logoutTokenAlgorithms(
  { id_token_signing_alg_values_supported: listed = ASYMMETRIC }: ProviderMetadata,
  algorithm: SigningAlgorithm,
): readonly SigningAlgorithm[] {
  // RS256 is what every provider has to offer. OpenID Connect Discovery 1.0 section 3.
  return [...new Set([algorithm, 'RS256' as const, ...ASYMMETRIC.filter(name => listed.includes(name))])]
}

function createBudgets(now: () => Date): { readonly strangers: Budget; of(name: string): Budget } {
  const bySession = new Map<string, Budget>()
  return {
    strangers: createBudget({ ...FOR_STRANGERS, now }),
    of(name) {
      const budget = bySession.get(name) ?? createBudget({ ...FOR_ONE_SESSION, now })
      bySession.delete(name)
      bySession.set(name, budget)
      const [oldest] = bySession.keys()
      if (bySession.size > MOST_SESSIONS && oldest !== undefined) bySession.delete(oldest)
      return budget
    },
  }
}

function translate(error: unknown): never {
  throw renameTokenError('LOGOUT_TOKEN', error)
}

/** The issuer that a logout token of many tenants may have: that of the tenant that it names, by `tid` too where it is there. */
function issuerOfLogout({ iss, tid }: Readonly<Record<string, unknown>>, template: string): string {
  const tenant = tenantOf(iss, template)
  if (tenant !== undefined && (tid ?? tenant) === tenant) return issuerOfTenant(template, tenant)
  throw new OidcError(
    'ERR_OIDC_LOGOUT_TOKEN_ISSUER',
    'logout token: iss is not the issuer of a tenant, or tid names another one',
    {
      cause: { actual: sanitize(iss), expected: template },
    },
  )
}

/** Verifies logout tokens: signature first, then what they say. */
export function createLogoutTokens(settings: LogoutTokenSettings) {
  const { verify, open, metadata, algorithm, now, tenants, ...expected } = settings
  const budgets = createBudgets(now)
  const check = (claims: Readonly<Record<string, unknown>>) =>
    checkLogoutTokenClaims(claims, {
      ...expected,
      ...(tenants && { issuer: issuerOfLogout(claims, tenants.template) }),
      now: now().getTime() / 1000,
    })

  /**
   * What pays for fetching keys: a flood of forged tokens must not spend what a genuine one needs. A token that would be refused in any
   * case, or that names no living session, spends the budget of strangers.
   */
  async function budgetFor(logoutToken: string, isLiving: IsLiving): Promise<Budget> {
    let claims: LogoutTokenClaims
    try {
      claims = check(readClaimsUnverified(logoutToken))
    } catch {
      return budgets.strangers
    }
    return (await isLiving(claims)) ? budgets.of(JSON.stringify([claims.sub, claims.sid])) : budgets.strangers
  }

  const openToken = (token: string) => open(token, false).catch(translate)

  async function verifySignature(logoutToken: string, isLiving: IsLiving): Promise<VerifiedJwt> {
    const algorithms = logoutTokenAlgorithms(await metadata(), algorithm)
    const budget = () => budgetFor(logoutToken, isLiving)
    try {
      return await verify(logoutToken, algorithms, { typ: isLogoutTokenType, budget })
    } catch (error) {
      return translate(error)
    }
  }

  return async function verifyLogoutToken(logoutToken: string, isLiving: IsLiving): Promise<LogoutTokenClaims> {
    const { claims } = await verifySignature(await openToken(logoutToken), isLiving)
    return check(claims)
  }
}
