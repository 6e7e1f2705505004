import type { AuthorizationRequest, EndpointResponse, Fields, RecordedRequest } from '../hostile-faults.js'
import { deliver } from '../hostile-responses.js'
import type { Grant, ProviderSession } from './book.js'
import { createAccessToken, createIdToken } from './id-tokens.js'
import { consentPage, cookieOf, errorPage, loginPage, redirectTo, sessionOf } from './pages.js'
import { addressOf, listedIn, PATHS, type Setting, sameWords, secondsOf, wordsOf } from './setting.js'
import { isUser } from './users.js'

/** The authorization endpoint: what is wrong with the request, the login page, the consent page, the response. */
export function authorize(setting: Setting, recorded: RecordedRequest): EndpointResponse {
  const request = recorded.method === 'POST' ? recorded.form : recorded.query
  const refused = examine(setting, request)
  if (refused !== undefined) return refused
  const session = sessionOf(setting, recorded)
  const silent = request.prompt === 'none'
  if (session === undefined || wantsLogin(setting, request, session)) {
    return silent ? refuse(setting, request, 'login_required', 'no session') : askForLogin(request)
  }
  const scope = grantedScope(setting, request, session)
  if (scope === undefined) {
    if (silent) return refuse(setting, request, 'consent_required', 'no consent')
    return consentPage(`${PATHS.consent}?${new URLSearchParams(request)}`, wordsOf(request.scope))
  }
  session.hasClient = true
  return deliver(request, createResponse(setting, request, session, scope), undefined)
}

function examine(setting: Setting, request: AuthorizationRequest): EndpointResponse | undefined {
  const { traits, clientId, scopes, book } = setting
  const onPage = (error: string, reason: string) => errorPage(setting, error, reason)
  if (traits.metadata.require_pushed_authorization_requests === true && request.request_uri === undefined)
    return onPage('invalid_request', 'Pushed authorization is required.')
  if (request.client_id !== clientId) return onPage('unauthorized_client', 'Unknown client')
  if (!isRegistered(setting, request.redirect_uri))
    return onPage('unauthorized_client', `Invalid redirect_uri: ${request.redirect_uri}`)
  if (!traits.responseTypes.some(type => sameWords(request.response_type, type)))
    return onPage('unauthorized_client', `Invalid flow for client: ${request.response_type}`)
  const asked = wordsOf(request.scope)
  const unknown = asked.find(word => !scopes.includes(word) || book.takenScopes.has(word))
  if (unknown !== undefined) return refuse(setting, request, 'invalid_scope', `Invalid scope: ${unknown}`)
  if (wordsOf(request.response_type).includes('id_token') && !request.nonce)
    return refuse(setting, request, 'invalid_request', 'Nonce required for implicit and hybrid flow with openid scope')
  if ((request.login_hint ?? '').length > 100) return onPage('invalid_request', 'Login hint too long')
  if (traits.pkce === 'required' && wordsOf(request.response_type).includes('code') && !request.code_challenge)
    return refuse(setting, request, 'invalid_request', 'code challenge required')
  return undefined
}

function isRegistered({ traits, registration }: Setting, redirectUri: string | undefined): boolean {
  const fold = (text: string) => (traits.ignoresCaseOfRedirectUris ? text.toLowerCase() : text)
  return registration().redirectUris.some(known => fold(known) === fold(redirectUri ?? ''))
}

/** To the site where this server does so, or to a page of its own. */
function refuse(setting: Setting, request: AuthorizationRequest, error: string, reason: string): EndpointResponse {
  if (!setting.traits.errorsToSite.includes(error)) return errorPage(setting, error, reason)
  setting.log.push(reason)
  const fields: Fields = [['error', error], ...stateOf(request), ...issuerOf(setting, request)]
  return deliver(request, fields, undefined)
}

function wantsLogin(setting: Setting, request: AuthorizationRequest, { signedInAt }: ProviderSession): boolean {
  if (wordsOf(request.prompt).includes('login')) return true
  if (request.max_age === undefined) return false
  const age = Number(request.max_age)
  if (setting.traits.maxAge === 'once' && age === 0) return true
  const signedIn = Math.floor(signedInAt / 1000)
  const now = setting.traits.maxAge === 'to the second' ? secondsOf(setting) : setting.now() / 1000
  return now > signedIn + age
}

/** The login page leads back to the same request, without the `prompt` that was obeyed. A `max_age` stays unless it asks once. */
function askForLogin(request: AuthorizationRequest): EndpointResponse {
  return redirectTo(
    `${PATHS.login}?${new URLSearchParams({ ReturnUrl: `${PATHS.authorize}?${new URLSearchParams(request)}` })}`,
  )
}

export function login(setting: Setting, request: RecordedRequest): EndpointResponse {
  const { traits, book, now, issuer } = setting
  if (request.method !== 'POST') return loginPage(request.path + request.search)
  const name = request.form.username ?? null
  if (!isUser(name)) return loginPage(request.path + request.search)
  const back = new URL(request.query.ReturnUrl ?? '/', issuer)
  back.searchParams.delete('prompt')
  if (traits.maxAge === 'once' && back.searchParams.get('max_age') === '0') back.searchParams.delete('max_age')
  const session = book.startSession(name, now())
  return redirectTo(back.pathname + back.search, cookieOf(session.id))
}

/** `undefined` where the user has to be asked. */
function grantedScope(setting: Setting, request: AuthorizationRequest, { user }: ProviderSession) {
  const asked = wordsOf(request.scope)
  if (!setting.asksConsent) return asked
  const given = setting.book.consents.get(user)
  return given === undefined || wordsOf(request.prompt).includes('consent')
    ? undefined
    : asked.filter(word => given.includes(word))
}

export function consent(setting: Setting, request: RecordedRequest): EndpointResponse {
  const session = sessionOf(setting, request)
  const asked: AuthorizationRequest = request.query
  if (session === undefined) return errorPage(setting, 'login_required', 'consent without a session')
  const given = new URLSearchParams(request.body).getAll('scope')
  if (given.length === 0) return refuse(setting, asked, 'access_denied', 'the user said no')
  setting.book.consents.set(session.user, given)
  const { prompt: _, ...rest } = asked
  return redirectTo(`${addressOf(setting, 'authorize')}?${new URLSearchParams(rest)}`)
}

function createResponse(
  setting: Setting,
  request: AuthorizationRequest,
  session: ProviderSession,
  scope: readonly string[],
): Fields {
  const words = wordsOf(request.response_type)
  const { book, accessTokenLife } = setting
  const grant: Grant = {
    user: session.user,
    scope,
    sid: session.sid,
    signedInAt: session.signedInAt,
    redirectUri: request.redirect_uri ?? '',
    nonce: request.nonce,
    codeChallenge: setting.traits.pkce === 'ignored' ? undefined : request.code_challenge,
    isRevoked: false,
  }
  const code = words.includes('code') ? book.issueCode(grant) : undefined
  const accessToken = words.includes('token') ? createAccessToken(setting, grant) : undefined
  const isAlone = words.length === 1
  const idToken = words.includes('id_token')
    ? createIdToken(setting, grant, { kind: 'front', code, accessToken, withUserClaims: isAlone })
    : undefined
  return listedIn({
    code,
    id_token: idToken,
    ...(accessToken !== undefined && {
      access_token: accessToken,
      token_type: 'Bearer',
      expires_in: `${accessTokenLife}`,
      scope: scope.join(' '),
    }),
    state: request.state,
    session_state: `${session.sid.slice(-8)}.salt`,
    iss: Object.fromEntries(issuerOf(setting, request)).iss,
  })
}

function stateOf({ state }: AuthorizationRequest): Fields {
  return state === undefined ? [] : [['state', state]]
}

function issuerOf({ traits, issuer }: Setting, request: AuthorizationRequest): Fields {
  const says =
    traits.issParameter === 'always' || (traits.issParameter === 'code alone' && request.response_type === 'code')
  return says ? [['iss', issuer]] : []
}
