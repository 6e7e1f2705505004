import { longestSignIn } from '../http/transaction-cookie.js'
import { atProvider, type Services } from '../options/config.js'
import type { SignOutReason } from '../store/end-reason.js'
import type { SignInDemand } from '../store/sign-in-demands.js'
import type { EndedSummary, SessionSummary } from '../store/ticket.js'

/** What another party says has ended: `sid` is one session at the provider, `subject` alone every session of the user. */
export interface NamedByProvider {
  readonly issuer: string
  readonly subject?: string | undefined
  readonly sid?: string | undefined
  /** When that was said, in seconds since the epoch. A sign-in that is later than it stays. Left out: none is. */
  readonly issuedAt?: number | undefined
}

/**
 * Ends the sessions that another party names, and sign-ins that are under way. Those who watch them are told the `reason`.
 *
 * @param tell - told of each of them at once, also where it fails after that
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, and then it may be done again
 */
export async function endNamedSessions(
  { store, config }: Pick<Services, 'store' | 'config'>,
  { issuer, subject, sid, issuedAt, reason }: NamedByProvider & { readonly reason: SignOutReason },
  tell: (ended: EndedSummary) => void,
): Promise<readonly EndedSummary[]> {
  const place = { ...atProvider(config), issuer }
  const ended: EndedSummary[] = []
  const meant = {
    reason,
    logout: issuedAt === undefined ? {} : { issuedAt },
    onEnded(summary: EndedSummary) {
      ended.push(summary)
      tell(summary)
    },
  }
  const remembered = { ...meant, remember: longestSignIn }
  // Both have to fit: a token that names the session of another user means neither.
  const isTheirs = (summary: SessionSummary) => summary.subject === subject
  if (sid !== undefined)
    await store.endAll({ ...place, sid }, { ...remembered, ...(subject !== undefined && { only: isTheirs }) })
  else if (subject !== undefined) await store.endAll({ ...place, subject }, remembered)
  // A session whose ID Token named no session at the provider may well be the one that is meant.
  const isNameless = (summary: SessionSummary) => summary.sid === undefined
  if (sid !== undefined && subject !== undefined && ended.length === 0)
    await store.endAll({ ...place, subject }, { ...meant, only: isNameless })
  return ended
}

/**
 * Has the users of the sessions that another party names sign in again before their next guarded page.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, and then it may be done again
 */
export async function demandOfNamedSessions(
  { store, config }: Pick<Services, 'store' | 'config'>,
  demand: SignInDemand,
  { issuer, subject, sid, issuedAt }: NamedByProvider & { readonly issuedAt: number },
): Promise<void> {
  const place = { ...atProvider(config), issuer }
  const isTheirs = (summary: SessionSummary) => subject === undefined || summary.subject === subject
  const isNameless = (summary: SessionSummary) => summary.sid === undefined
  const found =
    sid === undefined ? 0 : await store.demandSignIn({ ...place, sid }, demand, { issuedAt, only: isTheirs })
  if (subject === undefined || found > 0) return
  const only = sid === undefined ? () => true : isNameless
  await store.demandSignIn({ ...place, subject }, demand, { issuedAt, only })
}
