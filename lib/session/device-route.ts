import { OidcError } from '../errors.js'
import type { HttpRequest, HttpResponse } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { type Config, type DevicePolicy, epochSeconds, publicPath, type SessionPolicy } from '../options/config.js'
import {
  type DeviceKey,
  isSameKey,
  parseDeviceProof,
  verifyRefresh,
  verifyRegistration,
} from '../protocol/device-proof.js'
import {
  CHALLENGE_HEADER,
  CHALLENGE_LIFETIME,
  DEVICE_GRACE,
  formatChallenge,
  formatEnd,
  formatInstructions,
  IDENTIFIER_HEADER,
  PROOF_HEADER,
  parseIdentifier,
} from '../protocol/device-session.js'
import type { RecordStore, SessionRecord } from '../store/store.js'
import { createDeviceSecrets, type DeviceSecrets } from './device-secrets.js'

/** One request to the route, and what it is handled with. */
interface DeviceRequest {
  readonly req: HttpRequest
  readonly res: HttpResponse
  readonly config: Config
  readonly store: RecordStore
  readonly secrets: DeviceSecrets
}

/**
 * `POST /session/device`: a browser registers the key of its device, or proves that it has it. No cookie counts here, because the browser may have
 * none: the challenge, or the name of the session, leads to the record.
 *
 * @throws {OidcError} ERR_OIDC_DEVICE_PROOF for a registration that is refused; ERR_OIDC_STORE_UNAVAILABLE, and then the browser tries again
 */
export async function deviceProof(context: RequestContext): Promise<void> {
  const { req, res, services } = context
  const { site: config, store } = services
  const { policy, device } = policiesOf(config)
  const request = { req, res, config, store, secrets: createDeviceSecrets(config, policy, device, store.sealer) }
  setPrivateHeaders(res)
  if (req.headers[IDENTIFIER_HEADER] === undefined) await register(request)
  else await refresh(request)
}

function policiesOf({ session }: Config): { policy: SessionPolicy; device: DevicePolicy } {
  if (session !== false && session.device !== undefined) return { policy: session, device: session.device }
  throw new OidcError('ERR_OIDC_OPTIONS', 'sessions are bound to no device: set session.deviceBound')
}

/** The first proof, right after the sign-in, brings the key. A later one is refused: who has copied the cookie of a session must not bind it. */
async function register(request: DeviceRequest): Promise<void> {
  const { req, config, store, secrets } = request
  const proof = parseDeviceProof(proofIn(req) ?? '')
  const id = secrets.readRegistrationChallenge(proof.challenge)
  if (id === undefined) throw refused('its challenge is not of this site')
  const key = verifyRegistration(proof)
  const record = await store.load(id, { extend: false })
  const signedInAt = record?.ticket()?.signedInAt
  if (record === undefined || signedInAt === undefined) throw refused('its session has ended')
  const isRepeated = record.device()?.key !== undefined
  if (!isRepeated && epochSeconds(config) > signedInAt + DEVICE_GRACE) throw refused('it comes too late')
  await bind(store, id, key)
  succeed(request, id, secrets.createIdentifier(id))
}

/** The same key again is no mistake: the response may have been lost. */
async function bind(store: RecordStore, id: string, key: DeviceKey): Promise<void> {
  const result = await store.bindDevice(id, key)
  if (result.outcome === 'absent') throw refused('its session has ended')
  if (result.outcome === 'taken' && !(result.device.key && isSameKey(result.device.key, key)))
    throw refused('its session is bound to another key')
}

/** Every later proof is by the key that was registered. */
async function refresh(request: DeviceRequest): Promise<void> {
  const { req, res, store, secrets } = request
  const identifier = parseIdentifier(req.headers[IDENTIFIER_HEADER])
  if (identifier === undefined) throw refused('it names no session')
  const id = secrets.readIdentifier(identifier)
  const record = id === undefined ? undefined : await store.load(id, { extend: false })
  const key = record && keyOf(record)
  // The browser forgets the session: it has ended here, and nothing brings it back.
  if (record === undefined || key === undefined) return respond(res, 200, formatEnd(identifier))
  const text = proofIn(req)
  if (text !== undefined && (await isProof(request, record.id, key, text)))
    return succeed(request, record.id, identifier)
  // Also for a proof that is refused: a challenge that is too old is no reason to sign a user out, and a forged proof is none either.
  res.setHeader(CHALLENGE_HEADER, formatChallenge(identifier, secrets.createChallenge(record.id)))
  respond(res, 403)
}

function keyOf(record: SessionRecord): DeviceKey | undefined {
  return record.ticket() && record.device()?.key
}

/** Whether a proof is good for a new cookie, once. Any challenge that is not too old will do, also one before the last. */
async function isProof({ store, secrets }: DeviceRequest, id: string, key: DeviceKey, text: string): Promise<boolean> {
  try {
    const proof = parseDeviceProof(text)
    if (!secrets.isChallenge(id, proof.challenge)) return false
    verifyRefresh(proof, key)
    return await store.consume('device challenge', proof.challenge, CHALLENGE_LIFETIME)
  } catch (error) {
    if (error instanceof OidcError && error.code === 'ERR_OIDC_DEVICE_PROOF') return false
    throw error
  }
}

function proofIn({ headers }: HttpRequest): string | undefined {
  const text = headers[PROOF_HEADER]
  return typeof text === 'string' ? text : undefined
}

function succeed({ res, config, secrets }: DeviceRequest, id: string, identifier: string): void {
  const { baseUrl, secure, routes } = config
  secrets.prove(res, id)
  respond(
    res,
    200,
    formatInstructions({
      identifier,
      baseUrl,
      refreshPath: publicPath(config, routes.deviceProof || '/'),
      cookie: { name: secrets.cookieName(id), secure },
    }),
  )
}

function respond(res: HttpResponse, status: number, body?: object): void {
  res.statusCode = status
  if (body !== undefined) res.setHeader('Content-Type', 'application/json')
  res.end(body && JSON.stringify(body))
}

function refused(message: string): OidcError {
  return new OidcError('ERR_OIDC_DEVICE_PROOF', `device proof: ${message}`)
}
