import { hash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { hostCookieName, readCookieValues, setCookie } from '../http/cookies.js'
import { type Config, type DevicePolicy, epochSeconds, type SessionPolicy } from '../options/config.js'
import { CHALLENGE_LIFETIME, isCookieFresh, isFresh } from '../protocol/device-session.js'
import type { Sealer } from '../store/seal.js'

/**
 * What a browser is handed for the proof of its device. All of it is sealed and carries what it says, so that nothing is stored for it, and any process
 * can read it.
 */
export interface DeviceSecrets {
  /** The session as the browser names it at a refresh, when it may have no cookie left. It cannot be used as a cookie. */
  createIdentifier(id: string): string
  /** The id of a session, of what {@link createIdentifier} has made. */
  readIdentifier(text: string): string | undefined
  /** What the first proof signs. It leads to the session: after a cross-site callback, the browser sends no cookie. */
  createRegistrationChallenge(id: string): string
  readRegistrationChallenge(text: string): string | undefined
  /** What the proof of a refresh signs. */
  createChallenge(id: string): string
  isChallenge(id: string, text: string): boolean
  /** The name of the cookie that a session is proved by: each has its own, so that an earlier session of the browser cannot replace it. */
  cookieName(id: string): string
  /** Whether a request has the cookie, and it is not too old. No command. */
  isProved(req: IncomingMessage, id: string): boolean
  /** Gives the browser the cookie. */
  prove(res: ServerResponse, id: string): void
}

/** Characters of a hash that tell the sessions of one browser apart. */
const TAG_LENGTH = 8

export function createDeviceSecrets(
  config: Config,
  { cookieName: base }: SessionPolicy,
  { proofLifetime }: DevicePolicy,
  sealer: Sealer,
): DeviceSecrets {
  const seal = (context: string, text: string) => sealer.seal('proof', context, text).toString('base64url')
  const open = (context: string, text: string) =>
    sealer.open('proof', context, Buffer.from(text, 'base64url'))?.toString()
  const timeIn = (context: string, text: string) => Number(open(context, text) ?? Number.NaN)
  const cookieName = (id: string) =>
    hostCookieName(`${base}.device.${hash('sha256', `device ${id}`, 'base64url').slice(0, TAG_LENGTH)}`, config.secure)

  return {
    createIdentifier: id => seal('identifier', id),
    readIdentifier: text => open('identifier', text),
    createRegistrationChallenge: id => seal('registration', id),
    readRegistrationChallenge: text => open('registration', text),
    createChallenge: id => seal(`challenge ${id}`, String(epochSeconds(config))),
    isChallenge: (id, text) => isFresh(timeIn(`challenge ${id}`, text), epochSeconds(config), CHALLENGE_LIFETIME),
    cookieName,
    isProved(req, id) {
      const now = epochSeconds(config)
      return readCookieValues(req, cookieName(id)).some(value =>
        isCookieFresh(timeIn(`cookie ${id}`, value), now, proofLifetime),
      )
    },
    prove(res, id) {
      const value = seal(`cookie ${id}`, String(epochSeconds(config)))
      setCookie(res, cookieName(id), value, { secure: config.secure, sameSite: 'lax', maxAge: proofLifetime })
    },
  }
}
