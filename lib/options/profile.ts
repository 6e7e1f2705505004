import { isByCertificate } from '../protocol/client-authentication.js'
import { isSigned } from '../protocol/response-mode.js'
import type { SigningAlgorithm } from '../protocol/wire.js'
import { listFittingAlgorithms } from '../provider/client-credentials.js'
import { refuse } from '../validation/place.js'
import type { ReadOptions } from './option-descriptions.js'

/** FAPI 2.0 Security Profile section 5.4.1. `Ed25519` is the other name of `EdDSA`: RFC 9864. */
const ALGORITHMS: readonly SigningAlgorithm[] = ['PS256', 'ES256', 'EdDSA', 'Ed25519']

/** Seconds. FAPI 2.0 Security Profile section 5.3.2.1: times more than 60 seconds ahead are refused. */
const MOST_TOLERANCE = 60

/** What the profile sets where the site has said nothing. FAPI 2.0 Security Profile section 5.3.3. */
const DEFAULTS = {
  responseType: 'code',
  responseMode: 'query',
  pkce: true,
  pushedAuthorization: true,
  idTokenAlgorithm: 'PS256',
} as const satisfies Partial<ReadOptions>

/** FAPI 2.0 Message Signing sections 5.3 and 5.4: requests and responses are signed as well. */
const MESSAGE_SIGNING = { ...DEFAULTS, responseMode: 'query.jwt', requestObject: true } as const

/**
 * The options as a profile completes them. What the site has set against the profile is refused: a profile is all of it or nothing.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS with a sentence about the first conflict
 */
export function applyProfile(given: ReadOptions): ReadOptions {
  if (given.profile === undefined) return given
  // A site that has a certificate binds its tokens to it.
  const dpop = given.mtls === undefined
  const options = { ...(given.profile === 'fapi2' ? DEFAULTS : MESSAGE_SIGNING), dpop, ...given }
  const conflict = findConflict(options) ?? findRequestConflict(options) ?? findMessageConflict(options)
  if (conflict === undefined) return options
  return refuse(`profile "${given.profile}" ${conflict}`)
}

/** Whether tokens are bound to nothing but the certificate, so that the provider has to say that it binds them. */
export function needsCertificateBinding({ profile, dpop }: Pick<ReadOptions, 'profile' | 'dpop'>): boolean {
  return profile !== undefined && dpop === false
}

/** The algorithms that assertions may be signed with. `undefined`: any. */
export function profileAlgorithms({ profile }: Pick<ReadOptions, 'profile'>): readonly SigningAlgorithm[] | undefined {
  return profile === undefined ? undefined : ALGORITHMS
}

type Completed = ReadOptions & { readonly [K in keyof typeof DEFAULTS | 'dpop']-?: Exclude<ReadOptions[K], undefined> }

function findConflict(options: Completed): string | undefined {
  return findFlowConflict(options) ?? findClientConflict(options) ?? findTokenConflict(options)
}

function findFlowConflict({ responseType, pkce, pushedAuthorization, clockTolerance = 0 }: Completed) {
  if (responseType !== 'code')
    return `allows responseType "code" only, because tokens must not pass through the browser: leave responseType out`
  if (!pkce) return 'needs PKCE: leave pkce out'
  if (pushedAuthorization !== true) return 'needs pushed authorization requests: leave pushedAuthorization out'
  if (clockTolerance > MOST_TOLERANCE) return `allows a clockTolerance of at most ${MOST_TOLERANCE} seconds`
  return undefined
}

function findClientConflict({ clientAuthentication, issuer }: Completed): string | undefined {
  // That there is a certificate is checked with the options that go together.
  if (isByCertificate(clientAuthentication)) return undefined
  if (typeof clientAuthentication !== 'object' || clientAuthentication.method !== 'private_key_jwt')
    return `needs a client that authenticates with a key or a certificate: set clientAuthentication to { method: 'private_key_jwt', key }, 'tls_client_auth' or 'self_signed_tls_client_auth'`
  const { algorithm, audience, key } = clientAuthentication
  if (audience !== undefined && audience !== 'issuer' && audience !== issuer)
    return 'needs assertions that are made for the issuer alone: leave clientAuthentication.audience out'
  if (algorithm !== undefined && !ALGORITHMS.includes(algorithm))
    return wrongAlgorithm('clientAuthentication.algorithm', algorithm)
  // A key that a function returns is held to the algorithms when it is used.
  if (typeof key === 'function') return undefined
  if (algorithm === undefined && !listFittingAlgorithms(key).some(fitting => ALGORITHMS.includes(fitting)))
    return `allows keys for ${ALGORITHMS.join(', ')}, and clientAuthentication.key is another one`
  return undefined
}

/** Requests that are signed are signed with the algorithms of the profile, whichever profile it is. */
function findRequestConflict({ requestObject }: Completed): string | undefined {
  if (typeof requestObject !== 'object') return undefined
  const { key, algorithm } = requestObject
  if (algorithm !== undefined && !ALGORITHMS.includes(algorithm))
    return wrongAlgorithm('requestObject.algorithm', algorithm)
  if (key === undefined || typeof key === 'function' || algorithm !== undefined) return undefined
  if (listFittingAlgorithms(key).some(fitting => ALGORITHMS.includes(fitting))) return undefined
  return `allows keys for ${ALGORITHMS.join(', ')}, and requestObject.key is another one`
}

function findMessageConflict({ profile, requestObject = false, responseMode }: Completed): string | undefined {
  if (profile !== 'fapi2-message-signing') return undefined
  if (requestObject === false) return 'needs signed requests: leave requestObject out'
  if (!isSigned(responseMode)) return 'needs signed responses: set responseMode to "query.jwt" or "form_post.jwt"'
  return undefined
}

function findTokenConflict({ dpop, mtls, routes, idTokenAlgorithm, userInfo }: Completed): string | undefined {
  if (dpop === false && mtls === undefined)
    return 'needs tokens that are bound to a key or a certificate: leave dpop out, or set mtls'
  if (typeof routes?.token === 'string')
    return 'binds tokens, so that scripts cannot use them: leave routes.token out, and use oidc.proxy'
  if (!ALGORITHMS.includes(idTokenAlgorithm)) return wrongAlgorithm('idTokenAlgorithm', idTokenAlgorithm)
  const algorithm = typeof userInfo === 'object' ? userInfo.algorithm : undefined
  if (algorithm !== undefined && !ALGORITHMS.includes(algorithm)) return wrongAlgorithm('userInfo.algorithm', algorithm)
  return undefined
}

function wrongAlgorithm(option: string, algorithm: string): string {
  return `allows the algorithms ${ALGORITHMS.join(', ')}, but ${option} is "${algorithm}"`
}
