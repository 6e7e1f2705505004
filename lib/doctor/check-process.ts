import type { Config } from '../options/config.js'
import { isProduction } from '../options/environment-checks.js'
import { isPosted } from '../protocol/response-mode.js'
import type { Environment } from '../validation/place.js'
import { type Finding, failure, good, info } from './finding.js'

/** The oldest Node that this package runs on, as package.json says. */
const OLDEST_NODE = [20, 19] as const

/** Node and its environment. */
export function checkProcess(nodeVersion: string, environment: Environment): readonly Finding[] {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number)
  const isOld = major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])
  const node = isOld
    ? failure('node.old', `Node ${nodeVersion} is too old.`, {
        remedy: `Install Node ${OLDEST_NODE.join('.')} or newer.`,
      })
    : good('node', `Node ${nodeVersion} is supported.`)
  if (isProduction(environment)) return [node]
  const cause =
    'NODE_ENV is not "production": in production, Redis is required and the checks of the options are stricter.'
  return [node, info('node.development', 'These are the checks of a development environment.', { cause })]
}

/** What browsers do with the cookies of a site at this base URL. */
export function checkCookies({ baseUrl, secure, responseMode }: Config): readonly Finding[] {
  if (secure) return [good('cookies', `The site uses https (${baseUrl}), so browsers keep its cookies.`)]
  const remedy =
    "Use Chrome or Firefox for development, or https on this machine, or responseType: 'code' with responseMode: 'query'."
  const { hostname } = new URL(baseUrl)
  if (isPosted(responseMode) && hostname !== 'localhost') {
    const cause =
      'form_post needs cookies with SameSite=None and Secure. Browsers keep those on plain http for localhost, and not all of them do for other names of this machine.'
    return [info('cookies.loopback', `Some browsers do not keep the sign-in cookie of ${baseUrl}.`, { cause, remedy })]
  }
  if (!isPosted(responseMode)) return [good('cookies', `Browsers keep the cookies of ${baseUrl}.`)]
  const cause = 'form_post needs cookies with SameSite=None and Secure, which Safari does not keep on plain http.'
  return [info('cookies.safari', `Users of Safari cannot sign in at ${baseUrl}.`, { cause, remedy })]
}
