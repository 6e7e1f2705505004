import { type Environment, refuse } from '../validation/place.js'

/** `set NODE_ENV=production && node …` leaves a space behind the word on Windows. */
export function isProduction({ NODE_ENV }: Environment): boolean {
  return NODE_ENV?.trim() === 'production'
}

/** Process memory is for development: it ends with the process and is unknown to the next one. */
export function checkRedisIsThere(redis: unknown, production: boolean): void {
  if (redis !== undefined || !production) return
  refuse('redis is missing: in production, sessions cannot live in the memory of one process (set redis or REDIS_URL)')
}

/** An environment variable that turns TLS verification off makes every check of this package worthless. */
export function checkTlsIsVerified(environment: Environment, log: (line: string) => void): void {
  if (environment.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return
  const sentence =
    'NODE_TLS_REJECT_UNAUTHORIZED=0 lets any server pose as the provider; give Node the CA instead (NODE_EXTRA_CA_CERTS)'
  if (isProduction(environment)) refuse(sentence)
  log(sentence)
}

/** Right for a test of the production build on one's own machine, and otherwise a leftover of development. */
export function warnOfLoopback(baseUrl: string, log: (line: string) => void): void {
  if (baseUrl.startsWith('https:')) return
  log(`baseUrl is ${baseUrl}, so the redirect URI is not https: browsers on other machines cannot sign in`)
}

/** Whether this Node has ML-DSA. */
export function hasMlDsa(): boolean {
  const platform = crypto.subtle.constructor as { supports?: (operation: string, algorithm: string) => boolean }
  return platform.supports?.('verify', 'ML-DSA-44') === true
}
