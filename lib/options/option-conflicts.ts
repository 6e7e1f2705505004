import { types } from 'node:util'
import { isByCertificate } from '../protocol/client-authentication.js'
import { isPosted, isSigned } from '../protocol/response-mode.js'
import { returnsAccessToken, returnsCode } from '../protocol/response-type.js'
import { fixedSecret } from '../provider/client-secret.js'
import { refuse } from '../validation/place.js'
import { checkPkce } from './client-options.js'
import type { Routes } from './config.js'
import type { ReadOptions } from './option-descriptions.js'
import { checkTenants } from './tenants.js'

/** Options that are right one by one, and cannot be together. @throws {OidcError} ERR_OIDC_OPTIONS */
export function checkConflicts(options: ReadOptions): void {
  checkFlow(options)
  checkPkce(options)
  checkDpop(options)
  checkCredentials(options)
  checkPublishedKeys(options)
  checkSignals(options)
  checkTenants(options)
  checkDevices(options)
  checkForms(options)
  if (options.metadata !== undefined && options.metadataUrl !== undefined)
    refuse('metadata and metadataUrl cannot both be given: with metadata, nothing is fetched')
}

function checkPublishedKeys({
  routes,
  clientAuthentication,
  decryption,
  requestObject,
  responseMode = 'form_post',
}: ReadOptions): void {
  if (decryption?.response === true && !isSigned(responseMode))
    refuse('decryption.response needs signed responses: set responseMode to "form_post.jwt" or "query.jwt"')
  const isSigning = typeof clientAuthentication === 'object' && clientAuthentication.method === 'private_key_jwt'
  const isCertified = clientAuthentication === 'self_signed_tls_client_auth'
  const hasKeys = isSigning || isCertified || decryption !== undefined || typeof requestObject === 'object'
  if (typeof routes?.jwks === 'string' && !hasKeys)
    refuse(
      'routes.jwks has nothing to publish: set clientAuthentication with a private key or to "self_signed_tls_client_auth", or decryption',
    )
  if (typeof routes?.jwks === 'string' && isSigning && types.isCryptoKey(clientAuthentication.key))
    refuse('routes.jwks cannot publish a CryptoKey: give clientAuthentication.key as KeyObject or JWK')
}

function checkFlow({ responseType = 'code id_token', responseMode, userInfo }: ReadOptions): void {
  if (responseMode !== undefined && !isPosted(responseMode) && responseType !== 'code')
    refuse(
      `responseMode ${responseMode} would put the tokens of responseType "${responseType}" into a URL; use ${responseMode.replace('query', 'form_post')}`,
    )
  if (typeof userInfo === 'object' && userInfo.token === 'token-endpoint' && !returnsCode(responseType))
    refuse(
      `userInfo.token "token-endpoint" needs a responseType with "code", but responseType is "${responseType}": leave userInfo.token out`,
    )
  if (typeof userInfo === 'object' && userInfo.token === 'front-channel' && !returnsAccessToken(responseType))
    refuse(
      `userInfo.token "front-channel" needs a responseType with "token", but responseType is "${responseType}": leave userInfo.token out`,
    )
}

/** An access token of the front channel, and one that a script has, is bound to no key of ours. RFC 9449 section 5. */
function checkDpop({ dpop = false, responseType = 'code id_token', routes }: ReadOptions): void {
  if (dpop === false) return
  if (!returnsCode(responseType) || returnsAccessToken(responseType))
    refuse(`dpop cannot bind the tokens of responseType "${responseType}"; use "code" or "code id_token"`)
  if (typeof routes?.token === 'string')
    refuse('routes.token hands out tokens that scripts cannot use with dpop: leave it out, and use oidc.proxy')
}

/** The keys of the provider say nothing about another transmitter. */
function checkSignals({ issuer, signals = {}, routes = {} }: ReadOptions): void {
  const { issuer: transmitter = issuer, jwksUri } = signals
  if (transmitter !== issuer && jwksUri === undefined)
    refuse(`signals.issuer "${transmitter}" is not the provider, so signals.jwksUri has to say where its keys are`)
  const { signals: events = false, revocation = false } = routes
  if (Object.keys(signals).length > 0 && events === false && revocation === false)
    refuse('signals is given, but there is no route for it: set routes.signals, routes.revocation or both')
}

function checkDevices({ session, routes = {} }: ReadOptions): void {
  const { deviceBound = false, deviceProofLifetime } = session || {}
  if (deviceBound === false && deviceProofLifetime !== undefined)
    refuse('session.deviceProofLifetime is given, but no session is bound to a device: set session.deviceBound')
  if (deviceBound === false && typeof routes.deviceProof === 'string')
    refuse('routes.deviceProof is given, but no session is bound to a device: set session.deviceBound')
  if (deviceBound !== false && routes.deviceProof === false)
    refuse('session.deviceBound needs routes.deviceProof: leave it out, or give a path')
}

/** Whose a session was that has expired is known of those of this package. */
function checkForms({ session, routes = {} }: ReadOptions): void {
  if (session === false && typeof routes.keptForm === 'string')
    refuse('routes.keptForm needs the sessions of this package, but session is false')
}

/** RFC 7518 section 3.2: a key as long as the hash, or longer. */
const SECRET_BYTES: Readonly<Record<string, number>> = { HS256: 32, HS384: 48, HS512: 64 }

function checkCredentials(options: ReadOptions): void {
  const { clientSecret, clientAuthentication, idTokenAlgorithm, userInfo } = options
  const userInfoAlgorithm = typeof userInfo === 'object' ? userInfo.algorithm : undefined
  const algorithms = { idTokenAlgorithm, 'userInfo.algorithm': userInfoAlgorithm }
  for (const [name, algorithm = ''] of Object.entries(algorithms)) {
    const needed = SECRET_BYTES[algorithm] ?? 0
    if (needed > 0 && typeof clientSecret === 'function')
      refuse(`${name} "${algorithm}" needs a clientSecret that does not change: give a string instead of a function`)
    const found = Buffer.byteLength(fixedSecret(clientSecret) ?? '')
    if (found < needed)
      refuse(`${name} "${algorithm}" needs a clientSecret of at least ${needed} bytes, but there are ${found}`)
  }
  if (clientAuthentication === undefined) return
  const isPublic = clientAuthentication === 'none'
  const signsWithSecret = Object.values(algorithms).some(algorithm => algorithm?.startsWith('HS'))
  if (isPublic && clientSecret !== undefined && !signsWithSecret)
    refuse('clientAuthentication "none" and a clientSecret (or OIDC_CLIENT_SECRET) cannot both be given: leave one out')
  if (isByCertificate(clientAuthentication)) {
    checkCertificate(options)
    return
  }
  if (typeof clientAuthentication === 'string' && !isPublic && clientSecret === undefined)
    refuse(`clientAuthentication "${clientAuthentication}" needs clientSecret or OIDC_CLIENT_SECRET`)
  if (typeof clientAuthentication === 'object') checkAssertion(clientAuthentication, clientSecret)
}

function checkCertificate({ clientAuthentication, mtls, fetch }: ReadOptions): void {
  if (mtls === undefined && fetch === undefined)
    refuse(`clientAuthentication "${String(clientAuthentication)}" needs mtls, or a fetch that shows a certificate`)
}

function checkAssertion(
  { method, algorithm }: Exclude<ReadOptions['clientAuthentication'], string | undefined>,
  clientSecret: ReadOptions['clientSecret'],
): void {
  const needed = SECRET_BYTES[algorithm ?? '']
  if (method === 'private_key_jwt' && needed !== undefined)
    refuse(`clientAuthentication.algorithm "${algorithm}" signs with a secret: use client_secret_jwt for it`)
  if (method === 'private_key_jwt') return
  if (clientSecret === undefined)
    refuse('clientAuthentication.method "client_secret_jwt" needs clientSecret or OIDC_CLIENT_SECRET')
  if (typeof clientSecret === 'string' && Buffer.byteLength(clientSecret) < (needed ?? 0))
    refuse(`clientAuthentication.algorithm "${algorithm}" needs a clientSecret of at least ${needed} bytes`)
}

/** Paths are compared as Express compares them by itself: without a slash at the end, upper and lower case alike. */
export function checkRoutes(routes: Routes): void {
  const known = new Map<string, string>()
  for (const [name, path] of Object.entries(routes)) {
    if (path === false) continue
    const key = path.replace(/\/$/, '').toLowerCase()
    const other = known.get(key)
    if (other !== undefined) refuse(`routes.${other} and routes.${name} have the same path "${path}"`)
    known.set(key, name)
  }
}

/** What is in force, so that a default counts as well. */
export function checkDurations(idle: number, absolute: number): void {
  if (idle > absolute)
    refuse(`session.idle (${idle} seconds) must not be longer than session.absolute (${absolute} seconds)`)
}
