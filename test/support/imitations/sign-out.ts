import type { EndpointResponse, RecordedRequest } from '../hostile-faults.js'
import { send } from '../http-client.js'
import { secret } from '../secrets.js'
import { signJwt } from '../signing-keys.js'
import type { ProviderSession } from './book.js'
import { escapeHtml, noCookie, pageOf, sessionOf } from './pages.js'
import { PATHS, type Setting, secondsOf } from './setting.js'
import { subjectOf } from './users.js'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const LOGOUT_TOKEN_LIFE = 300

/** The end session endpoint. Without a hint that fits it asks, and there is no way back from the page after that. */
export async function endSession(setting: Setting, request: RecordedRequest): Promise<EndpointResponse> {
  const params = request.method === 'POST' ? request.form : request.query
  const session = sessionOf(setting, request)
  const fault = findHintFault(setting, params.id_token_hint, session)
  if (fault !== undefined) {
    setting.log.push(`end session: ${fault}`)
    return pageOf(`<h1>Sign out?</h1><form method="post" action="${PATHS.signOut}"><button>Yes</button></form>`)
  }
  const target = setting.registration().postLogoutRedirectUris.find(uri => uri === params.post_logout_redirect_uri)
  return signedOut(setting, session, target === undefined ? undefined : withState(target, params.state))
}

/** The response to "Sign out?". */
export function confirmSignOut(setting: Setting, request: RecordedRequest): Promise<EndpointResponse> {
  return signedOut(setting, sessionOf(setting, request), undefined)
}

function findHintFault(setting: Setting, hint: string | undefined, session: ProviderSession | undefined) {
  if (hint === undefined) return setting.traits.signOut.needsHint ? 'there is no hint' : undefined
  const payload = Buffer.from(hint.split('.')[1] ?? '', 'base64url').toString()
  const { iss, aud, sub } = JSON.parse(payload || '{}') as Record<string, unknown>
  if (iss !== setting.issuer || aud !== setting.clientId) return 'Error validating id token hint'
  if (session !== undefined && sub !== subjectOf(session.user)) return 'Current user does not match identity token'
  return undefined
}

function withState(target: string, state: string | undefined): string {
  const url = new URL(target)
  if (state !== undefined) url.searchParams.set('state', state)
  return url.href
}

async function signedOut(
  setting: Setting,
  session: ProviderSession | undefined,
  back: string | undefined,
): Promise<EndpointResponse> {
  if (session !== undefined) await closeSession(setting, session)
  const frame = session?.hasClient ? frameOf(setting, session) : undefined
  const parts = [
    '<h1>You are signed out</h1>',
    frame === undefined ? '' : `<iframe src="${escapeHtml(frame)}"></iframe>`,
    back === undefined ? '' : `<a href="${escapeHtml(back)}">Back to the site</a>`,
  ]
  return pageOf(parts.join(''), 200, noCookie())
}

/** Ends a session, and tells the client over the back channel where this server does so. Returns the status that came back. */
export async function closeSession(setting: Setting, session: ProviderSession): Promise<number | undefined> {
  setting.book.sessions.delete(session.id)
  const uri = setting.registration().backChannelLogoutUri
  if (!session.hasClient || uri === undefined || setting.traits.signOut.logoutToken === undefined) return undefined
  const response = await send({
    url: uri,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ logout_token: createLogoutToken(setting, session) }).toString(),
  })
  setting.log.push(`back-channel logout: ${response.status}`)
  return response.status
}

/** By the default key, RS256, whatever signs the ID Tokens of the client. */
function createLogoutToken(setting: Setting, { user, sid }: ProviderSession): string {
  const { issuer, clientId, defaultKey, traits } = setting
  const now = secondsOf(setting)
  const claims = {
    iss: issuer,
    aud: clientId,
    nbf: now,
    iat: now,
    exp: now + LOGOUT_TOKEN_LIFE,
    sub: subjectOf(user),
    sid,
    jti: secret('logout token id'),
    events: { [EVENT]: {} },
  }
  const header = { alg: 'RS256', kid: defaultKey.kid, typ: traits.signOut.logoutToken?.typ }
  return signJwt(header, claims, 'RS256', defaultKey.privateKey)
}

function frameOf({ traits, issuer, registration }: Setting, { sid }: ProviderSession): string | undefined {
  const uri = registration().frontChannelLogoutUri
  if (uri === undefined || traits.signOut.frame === undefined) return undefined
  const url = new URL(uri)
  for (const name of traits.signOut.frame) url.searchParams.set(name, name === 'sid' ? sid : issuer)
  return url.href
}
