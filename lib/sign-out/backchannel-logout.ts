import { OidcError } from '../errors.js'
import { type FormField, readFormFields } from '../http/form-body.js'
import type { RequestContext } from '../http/request-context.js'
import { atProvider, type Services } from '../options/config.js'
import type { LogoutTokenClaims } from '../protocol/logout-token.js'
import { ifThereIsRoom } from '../store/backend/unavailable.js'
import { announceSignOut, auditSignOut } from './announce-sign-out.js'
import { endNamedSessions } from './end-named-sessions.js'
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
  const { provider: providerName } = atProvider(config)
  const name = JSON.stringify([claims.iss, claims.jti, ...(providerName === undefined ? [] : [providerName])])
  // The token was processed before; the provider may not have received the response.
  if (await store.isConsumed('logout token', name)) return
  const { iss: issuer, sub: subject, sid, iat: issuedAt } = claims
  const tell = auditSignOut(config, 'back-channel', { req })
  const ended = await endNamedSessions(services, { issuer, subject, sid, issuedAt, reason: 'back-channel' }, tell)
  // Marked after the effect: what failed half-way can be done again with the same token.
  // Where Redis is full it is not marked: a token that comes again ends nothing that is later than the token.
  await ifThereIsRoom(() => store.consume('logout token', name, tokensRemembered))
  await announceSignOut(config, 'back-channel', ended)
}

/** Whether the session that a token names, or one of the user it names, is here. */
async function isLiving({ store, config }: Services, { iss, sub: subject, sid }: LogoutTokenClaims): Promise<boolean> {
  const place = { ...atProvider(config), issuer: iss }
  if (sid !== undefined && (await store.list({ ...place, sid })).length > 0) return true
  return subject !== undefined && (await store.list({ ...place, subject })).length > 0
}

function findLogoutToken(fields: readonly FormField[]): string {
  const [token, ...more] = fields.filter(([name]) => name === 'logout_token').map(([, value]) => value)
  if (token !== undefined && more.length === 0) return token
  throw new OidcError('ERR_OIDC_LOGOUT_TOKEN_MALFORMED', 'the body does not have exactly one logout_token')
}
