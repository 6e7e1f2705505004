import { OidcError } from './errors.js'
import type { Routes, SessionPolicy, UserInfoPlan } from './handlers/site.js'
import type { OidcOptions, SessionOptions } from './options.js'
import { returnsIdToken } from './protocol/response-type.js'
import { isLoopback, isSecureUrl } from './protocol/url.js'
import type { ResponseMode, ResponseType } from './protocol/wire.js'
import type { StateSettings } from './state/state.js'

/** Every mistake in the options is the same error with a different sentence. */
function refuse(message: string): never {
  throw new OidcError('ERR_OIDC_OPTIONS', message)
}

export function required(name: string, value: string | undefined, variable: string): string {
  if (typeof value === 'string' && value !== '') return value
  return refuse(`${name} is missing: set the option or the environment variable ${variable}`)
}

/** A misspelt option must not silently mean the default. */
export function checkNames(kind: string, given: object, known: object): void {
  const unknown = Object.keys(given).find(name => !Object.hasOwn(known, name))
  if (unknown !== undefined) refuse(`there is no ${kind} "${unknown}"; there are ${Object.keys(known).join(', ')}`)
}

/** https, or http on a loopback host. `keep` returns it byte for byte, otherwise a trailing slash goes. */
export function parseUrl(name: string, value: string | undefined, { keep }: { readonly keep: boolean }): string {
  const text = required(name, value, name === 'issuer' ? 'OIDC_ISSUER' : 'OIDC_BASE_URL')
  if (!URL.canParse(text)) refuse(`${name} is not an absolute URL`)
  const url = new URL(text)
  if (url.username !== '' || url.search !== '' || url.hash !== '')
    refuse(`${name} must not have credentials, a query or a fragment`)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))) {
    refuse(
      `${name} must start with https:// (http:// works for localhost only: browsers keep no secure cookie on plain http elsewhere)`,
    )
  }
  return keep ? text : url.href.replace(/\/+$/, '')
}

const defaultRoutes: Routes = {
  login: '/login',
  callback: '/callback',
  logout: '/logout',
  logoutCallback: '/logout/callback',
  logoutFrontchannel: '/logout/frontchannel',
  logoutBackchannel: '/logout/backchannel',
  checkSession: false,
  user: false,
  token: false,
}

export function parseRoutes(given: Partial<Routes> = {}): Routes {
  checkNames('route', given, defaultRoutes)
  const named = Object.entries(given).filter(([, path]) => path !== undefined)
  const routes: Routes = { ...defaultRoutes, ...Object.fromEntries(named) }
  const paths = Object.values(routes).filter(path => path !== false)
  for (const path of paths) {
    if (!/^\/$|^(\/[\w\-.~]+)+\/?$/.test(path))
      refuse(`the route "${path}" is not a plain path that begins with a slash`)
  }
  if (new Set(paths).size < paths.length) refuse('two routes have the same path')
  if (typeof routes.callback !== 'string') refuse('the callback route cannot be left out')
  return Object.freeze(routes)
}

/** Origins, so that there is no doubt about what a path in one of them would mean. */
export function parseApis(apis: readonly string[] = []): readonly string[] {
  return apis.map(api => {
    const url = URL.canParse(api) ? new URL(api) : undefined
    if (url !== undefined && isSecureUrl(url) && url.href === `${url.origin}/`) return url.origin
    return refuse(`apis takes origins like "https://api.example.com" (http:// for this machine only), without a path`)
  })
}

export function parseResponseMode(mode: string, type: ResponseType): ResponseMode {
  if (mode === 'form_post') return mode
  if (mode !== 'query') return refuse('responseMode is form_post or query')
  if (type !== 'code' || returnsIdToken(type))
    refuse(`responseMode query would put the tokens of "${type}" into a URL; use form_post`)
  return mode
}

export function parseScope(scope: string): string {
  const words = ['openid', ...scope.split(' ').filter(Boolean)]
  if (words.some(word => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(word)))
    refuse('scope has a character that RFC 6749 does not allow')
  return [...new Set(words)].join(' ')
}

export function parseUserInfoPlan(option: OidcOptions['userInfo'] = true): UserInfoPlan {
  if (option === false) return 'off'
  const plan = option === true ? 'front-channel' : (option.token ?? 'front-channel')
  if (plan !== 'front-channel' && plan !== 'token-endpoint') refuse('userInfo.token is front-channel or token-endpoint')
  return plan
}

const sessionOptions: Record<keyof SessionOptions, true> = {
  name: true,
  idle: true,
  absolute: true,
  persistent: true,
  keep: true,
  isPolling: true,
}

export function parseSession(given: SessionOptions = {}): SessionPolicy {
  checkNames('session option', given, sessionOptions)
  const { name = 'sid', persistent = false, keep = [], isPolling = () => false } = given
  if (!/^[\w-]{1,64}$/.test(name))
    refuse('session.name may have letters, digits, "_" and "-"; the __Host- prefix is added where it belongs')
  if (keep.includes('cookie')) refuse('session.keep cannot carry over "cookie", which express-session owns')
  return Object.freeze({ cookieName: name, persistent, keep, isPolling })
}

export function seconds(name: string, value: number | undefined, otherwise: number): number {
  const given = value ?? otherwise
  return Number.isInteger(given) && given > 0 ? given : refuse(`${name} must be a whole number of seconds above 0`)
}

export function parseSecrets(secret: OidcOptions['secret']): readonly string[] {
  const secrets = typeof secret === 'string' ? [secret] : (secret ?? [])
  const advice = `make one with: node -e "console.log(require('crypto').randomBytes(32).toString('base64url'))"`
  if (secrets.length === 0)
    refuse(`secret is missing: set the option or the environment variable SESSION_SECRET; ${advice}`)
  if (secrets.some(value => typeof value !== 'string' || value.length < 32))
    refuse(`a secret needs at least 32 characters; ${advice}`)
  if (secrets.some(value => new Set(value).size < 8))
    refuse(`a secret of so few different characters can be guessed; ${advice}`)
  return Object.freeze([...secrets])
}

/** Process memory is for development: it ends with the process and is unknown to the next one. */
export function parseRedis(redis: OidcOptions['redis'], production: boolean): Pick<StateSettings, 'redis'> {
  if (redis !== undefined) return { redis }
  if (production)
    refuse(
      'redis is missing: in production, sessions cannot live in the memory of one process (set redis or REDIS_URL)',
    )
  return {}
}

/** An environment variable that turns TLS verification off makes every check of this package worthless. */
export function checkTlsIsVerified(
  environment: Readonly<Record<string, string | undefined>>,
  log: (line: string) => void,
  production: boolean,
): void {
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return
  const sentence =
    'NODE_TLS_REJECT_UNAUTHORIZED=0 lets anybody pose as the provider; give Node the CA instead (NODE_EXTRA_CA_CERTS)'
  if (production) refuse(sentence)
  log(sentence)
}

/** Right for a test of the production build on one's own machine, and otherwise a leftover of development. */
export function warnOfLoopback(baseUrl: string, log: (line: string) => void): void {
  if (baseUrl.startsWith('https:')) return
  log(`baseUrl is ${baseUrl}, so the redirect URI is not https: browsers on other machines cannot sign in`)
}
