import type { IncomingMessage } from 'node:http'
import { ENDPOINTS } from '../protocol/metadata.js'
import { PROOF_ALGORITHMS } from '../protocol/proof-algorithms.js'
import { describe, object, objectOr, type RulesFor } from '../validation/object-rule.js'
import {
  type AnyFunction,
  boolean,
  list,
  method,
  nonEmptyString,
  oneOf,
  type Rule,
  wholeNumber,
} from '../validation/rules.js'
import { secureUrlText } from '../validation/url-rule.js'
import type { Routes } from './config.js'
import type { Hooks } from './hooks.js'
import * as rules from './option-rules.js'
import type { SessionOptions, SignalOptions } from './options.js'
import { PAGE_LANGUAGES, type PageOptions } from './pages.js'

// The options that are objects themselves. How to add one: option-descriptions.ts.

const DAY = 24 * 60 * 60

/** Browsers cut the lifetime of a cookie to this (RFC 6265bis). */
const LONGEST_SESSION = 400 * DAY

const seconds = wholeNumber('seconds', 1, LONGEST_SESSION)

const session = object({
  name: describe(rules.cookieName, { text: 'name of the cookie; on https it becomes `__Host-sid`', default: '`sid`' }),
  idle: describe(seconds, { text: 'seconds without a request after which a session ends', default: `\`${DAY}\`` }),
  absolute: describe(seconds, {
    text: 'seconds after which a sign-in ends, even if it is in use',
    default: `\`${7 * DAY}\``,
  }),
  persistent: describe(boolean, { text: 'whether the cookie outlives the browser', default: '`false`' }),
  keep: describe(list('key names', rules.sessionKey), {
    text: 'top-level keys of an anonymous `req.session` that survive a sign-in',
    default: 'none',
  }),
  isPolling: describe(
    method<(req: IncomingMessage) => boolean>('a function (not async) that returns true or false', { isSync: true }),
    {
      text: 'returns `true` for a request that must not extend the session',
      default: 'none are',
    },
  ),
  deviceBound: describe(rules.deviceBound, {
    text: 'binds sessions to a key of the device (experimental): see [device-bound sessions](device-bound-sessions.md)',
    default: '`false`',
  }),
  deviceProofLifetime: describe(wholeNumber('seconds', 300, 3600), {
    text: 'seconds for which one proof of the device counts; needs `deviceBound`',
    default: '`600`',
  }),
} satisfies RulesFor<SessionOptions>)

export const routes = object({
  login: describe(rules.optionalPath, { text: 'starts a sign-in', default: '`/login`' }),
  callback: describe(rules.path, {
    text: "receives the provider's response; cannot be switched off",
    default: '`/callback`',
  }),
  logout: describe(rules.optionalPath, { text: 'signs out', default: '`/logout`' }),
  logoutCallback: describe(rules.optionalPath, {
    text: 'the provider sends the browser here after its own sign-out',
    default: '`/logout/callback`',
  }),
  logoutFrontchannel: describe(rules.optionalPath, {
    text: 'loaded by the provider in a frame',
    default: '`/logout/frontchannel`',
  }),
  logoutBackchannel: describe(rules.optionalPath, {
    text: "called by the provider's server",
    default: '`/logout/backchannel`',
  }),
  checkSession: describe(rules.optionalPath, {
    text: 'a page that watches the session at the provider',
    default: '`false`',
  }),
  initiateLogin: describe(rules.optionalPath, {
    text: 'the provider or a portal sends browsers here to start a sign-in (`initiate_login_uri`)',
    default: '`false`',
  }),
  popup: describe(rules.optionalPath, {
    text: 'the end of a sign-in in a popup: the page tells its opener and closes',
    default: '`false`',
  }),
  keptForm: describe(rules.optionalPath, {
    text: 'the page that sends a form which was kept during a sign-in ([kept forms](kept-forms.md))',
    default: '`false`',
  }),
  signals: describe(rules.optionalPath, {
    text: 'receives security events ([signals](signals.md))',
    default: '`false`',
  }),
  revocation: describe(rules.optionalPath, {
    text: 'ends all sessions of a user on request of the provider ([signals](signals.md))',
    default: '`false`',
  }),
  deviceProof: describe(rules.optionalPath, {
    text: 'where browsers register and prove the key of their device; with `session.deviceBound` it is `/session/device`',
    default: '`false`',
  }),
  user: describe(rules.optionalPath, {
    text: 'tells scripts of this site who is signed in, and until when; with `?slide=0` it does not extend the session',
    default: '`false`',
  }),
  token: describe(rules.optionalPath, { text: 'gives the access token to scripts of this site', default: '`false`' }),
  jwks: describe(rules.optionalPath, { text: 'publishes the public keys of this site', default: '`false`' }),
} satisfies RulesFor<Routes>)

type Hook<K extends keyof Hooks> = Exclude<Hooks[K], undefined>

function hook<F extends AnyFunction>(): Rule<F> {
  return method<F>('a function')
}

export const hooks = object({
  authorizationParams: describe(hook<Hook<'authorizationParams'>>(), {
    text: '`(req)`: returns further parameters for one authorization request',
  }),
  signIn: describe(hook<Hook<'signIn'>>(), {
    text: '`({ claims, idTokenClaims, userInfo, tokens, returnTo, data, unverifiedParams, req })`: returns the claims to keep, or throws to refuse the sign-in',
  }),
  signOut: describe(hook<Hook<'signOut'>>(), {
    text: '`({ reason, issuer, sub, sid, signedInAt })`: a session has ended',
  }),
  audit: describe(hook<Hook<'audit'>>(), {
    text: '`(entry, req)`: for an audit log: sign-ins, refusals and how sessions ended ([audit](diagnostics.md#audit))',
  }),
  signal: describe(hook<Hook<'signal'>>(), {
    text: '`({ type, payload, subject, transmitter, jti, issuedAt, txn, action, sub, sid })`: decides what a security event does ([signals](signals.md))',
  }),
  keptForm: describe(hook<Hook<'keptForm'>>(), {
    text: '`({ address, fields, req })`: returns values to replace before a kept form is displayed, such as a CSRF token ([kept forms](kept-forms.md))',
  }),
  refresh: describe(hook<Hook<'refresh'>>(), {
    text: '`({ claims, kept, idTokenClaims, userInfo, tokens })`: returns the claims to keep after a refresh',
  }),
} satisfies RulesFor<Hooks>)

function pageFunction<K extends Exclude<keyof PageOptions, 'languages'>>() {
  return method<Exclude<PageOptions[K], undefined>>('a function (not async) that returns HTML', { isSync: true })
}

export const pages = object({
  languages: describe(list('languages', oneOf(...PAGE_LANGUAGES), { least: 1 }), {
    text: 'the languages that the site has, the default first: `en`, `de`, `fr`, `es`, `ja`',
    default: "`['en']`",
  }),
  error: describe(pageFunction<'error'>(), {
    text: '`({ language, dir, title, message, code, status, correlationId, report, link, nonce })`: makes the error page',
    default: 'a plain page',
  }),
  signOut: describe(pageFunction<'signOut'>(), {
    text: '`({ language, dir, title, message, form, link, nonce })`: makes the page that asks whether to sign out',
    default: 'a plain page',
  }),
  signedOut: describe(pageFunction<'signedOut'>(), {
    text: '`({ language, dir, title, message, link, nonce })`: makes the page after a sign-out',
    default: 'a plain page',
  }),
  keptForm: describe(pageFunction<'keptForm'>(), {
    text: '`({ language, dir, title, message, address, fields, form, link, nonce })`: makes the page that sends a kept form',
    default: 'a plain page',
  }),
  unsentForm: describe(pageFunction<'unsentForm'>(), {
    text: '`({ language, dir, title, message, reason, link, nonce })`: makes the page about a form that is not sent',
    default: 'a plain page',
  }),
} satisfies RulesFor<PageOptions>)

export const signals = object({
  issuer: describe(secureUrlText(), {
    text: '`iss` of what the transmitter signs, byte for byte',
    default: '`issuer`',
  }),
  jwksUri: describe(secureUrlText({ mayHaveQuery: true }), {
    text: 'the public keys of the transmitter; needed if the transmitter is not the provider',
    default: 'the keys of the provider',
  }),
  audience: describe(nonEmptyString, { text: '`aud` of security event tokens', default: '`clientId`' }),
  authorization: describe(nonEmptyString, {
    text: 'the whole `Authorization` header of pushed events, as agreed with the transmitter',
    default: 'none is expected',
  }),
} satisfies RulesFor<SignalOptions>)

export const timeouts = object({
  provider: describe(wholeNumber('milliseconds', 100, 600_000), {
    text: 'one whole exchange with the provider',
    default: '`10000`',
  }),
  redis: describe(wholeNumber('milliseconds', 10, 60_000), { text: 'one command to Redis', default: '`800`' }),
})

const userInfo = object({
  token: describe(oneOf('front-channel', 'token-endpoint'), {
    text: 'which access token is used; `front-channel` needs a `responseType` with `token`',
    default: 'that of the front channel where there is one',
  }),
  algorithm: describe(rules.signingAlgorithm, {
    text: 'userinfo must be signed with this algorithm',
    default: 'it need not be signed',
  }),
})

const endpoint = describe(secureUrlText({ mayHaveQuery: true }), { text: 'replaces the endpoint of the metadata' })
export const endpoints = object(
  Object.fromEntries(ENDPOINTS.map(name => [name, endpoint])) as Record<(typeof ENDPOINTS)[number], typeof endpoint>,
)

export const sessionOrFalse = objectOr(
  'an object, or false where the site mounts express-session itself',
  value => value === false,
  session,
)

export const userInfoOrBoolean = objectOr('true, false or an object', value => typeof value === 'boolean', userInfo)

const dpop = object({
  algorithm: describe(oneOf(...PROOF_ALGORITHMS), {
    text: 'algorithm of the proofs; `EdDSA` and `Ed25519` are two names of one algorithm',
    default: '`ES256`',
  }),
})

export const dpopOrBoolean = objectOr('true, false or an object', value => typeof value === 'boolean', dpop)
