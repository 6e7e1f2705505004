import { OidcError } from '../errors.js'
import { type FormField, readFormFields } from '../http/form-body.js'
import type { RequestContext } from '../http/request-context.js'
import { longestSignIn } from '../http/transaction-cookie.js'
import type { Services } from '../options/config.js'
import type { LogoutTokenClaims } from '../protocol/logout-token.js'
import { ifThereIsRoom } from '../store/backend/unavailable.js'
import type { SessionSummary } from '../store/ticket.js'
import { announceSignOut } from './announce-sign-out.js'
import { respondToProvider } from './provider-response.js'

/** Seconds for which the `jti` of a token is remembered: longer than any token is taken. */
const tokensRemembered = 3600

/**
 * `POST /logout/backchannel`: the provider reports that a user signed out. 200 means that the sessions have ended; anything else that it was
 * not, and that the same token may come again. OpenID Connect Back-Channel Logout 1.0 sections 2.5 to 2.8.
 */
export async function logoutBackchannel(context: RequestContext): Promise<void> {
  await endByLogoutToken(context)
  respondToProvider(context.res, 200)
}

async function endByLogoutToken({ req, services }: RequestContext): Promise<void> {
  const { config, provider, store } = services
  const token = findLogoutToken(await readFormFields(req))
  const claims = await provider.verifyLogoutToken(token, claims => isLiving(services, claims))
  const name = JSON.stringify([claims.iss, claims.jti])
  // The token was processed before; the provider may not have received the response.
  if (await store.isConsumed('logout token', name)) return
  const ended = await endSessions(services, claims)
  // Marked after the effect: what failed half-way can be done again with the same token.
  // Where Redis is full it is not marked: a token that comes again ends nothing that is later than the token.
  await ifThereIsRoom(() => store.consume('logout token', name, tokensRemembered))
  await announceSignOut(config, 'back-channel', ended)
}

/** Whether the session that a token names, or one of the user it names, is here. */
async function isLiving({ store }: Services, { iss: issuer, sub: subject, sid }: LogoutTokenClaims): Promise<boolean> {
  if (sid !== undefined && (await store.list({ issuer, sid })).length > 0) return true
  return subject !== undefined && (await store.list({ issuer, subject })).length > 0
}

function findLogoutToken(fields: readonly FormField[]): string {
  const [token, ...more] = fields.filter(([name]) => name === 'logout_token').map(([, value]) => value)
  if (token !== undefined && more.length === 0) return token
  throw new OidcError('ERR_OIDC_LOGOUT_TOKEN_MALFORMED', 'the body does not have exactly one logout_token')
}

/** `sid` ends that session, `sub` alone every session of the user; never one of a sign-in that is later than the token. */
async function endSessions({ store }: Services, claims: LogoutTokenClaims): Promise<readonly SessionSummary[]> {
  const { iss: issuer, sub: subject, sid, iat } = claims
  const ended: SessionSummary[] = []
  const meant = {
    logout: { issuedAt: iat },
    onEnded: (summary: SessionSummary) => void ended.push(summary),
  }
  const remembered = { ...meant, remember: longestSignIn }
  // Both have to fit: a token that names the session of another user means neither.
  const isTheirs = (summary: SessionSummary) => summary.subject === subject
  if (sid !== undefined)
    await store.endAll({ issuer, sid }, { ...remembered, ...(subject !== undefined && { only: isTheirs }) })
  else if (subject !== undefined) await store.endAll({ issuer, subject }, remembered)
  // A session whose ID Token named no session at the provider may well be the one that is meant.
  const isNameless = (summary: SessionSummary) => summary.sid === undefined
  if (sid !== undefined && subject !== undefined && ended.length === 0)
    await store.endAll({ issuer, subject }, { ...meant, only: isNameless })
  return ended
}
