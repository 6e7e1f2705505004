import { DEVICE_ALGORITHMS } from './device-proof.js'

// Device Bound Session Credentials (draft): the headers and the JSON of a session, as Chromium sends and takes them.

/** Names of request headers, as Node has them. */
export const PROOF_HEADER = 'secure-session-response'
export const IDENTIFIER_HEADER = 'sec-secure-session-id'

/** Names of response headers. */
export const REGISTRATION_HEADER = 'Secure-Session-Registration'
export const CHALLENGE_HEADER = 'Secure-Session-Challenge'

/**
 * Seconds after a sign-in, or after the registration of its key, within which a request without a proof may be one that was sent before: making a
 * key takes a hardware module some seconds.
 */
export const DEVICE_GRACE = 30

/** Seconds that a challenge is good for. The browser responds to it at once. */
export const CHALLENGE_LIFETIME = 120

/** Seconds for which a cookie counts beyond its `Max-Age`: it was on its way, and the clocks of two processes may differ. */
const COOKIE_LEEWAY = 30

/** Characters. Ours have about 120. */
const LONGEST_IDENTIFIER = 512

/** Offers a browser to register a key. RFC 9651. Both values are ours, and need no escaping. */
export function formatRegistration(path: string, challenge: string): string {
  return `(${DEVICE_ALGORITHMS.join(' ')});path="${path}";challenge="${challenge}"`
}

/** Asks a browser to sign a challenge with the key of a session. */
export function formatChallenge(identifier: string, challenge: string): string {
  return `"${challenge}";id="${identifier}"`
}

/** The session that a refresh is for, in quotes (RFC 9651 section 3.3.3) or without. */
export function parseIdentifier(header: string | readonly string[] | undefined): string | undefined {
  if (typeof header !== 'string' || header.length > LONGEST_IDENTIFIER) return undefined
  return /^"?([\w-]+)"?$/.exec(header)?.[1]
}

export interface DeviceSession {
  readonly identifier: string
  /** Origin and path of the site. */
  readonly baseUrl: string
  /** The path that refreshes, as the browser asks for it. */
  readonly refreshPath: string
  readonly cookie: { readonly name: string; readonly secure: boolean }
}

/** What a browser has to do: ask for a new cookie before it sends a request of the site without one. */
export function formatInstructions({ identifier, baseUrl, refreshPath, cookie }: DeviceSession): object {
  const { origin, pathname, hostname } = new URL(baseUrl)
  return {
    session_identifier: identifier,
    refresh_url: refreshPath,
    scope: {
      origin,
      include_site: false,
      // Of two rules that fit, the last one counts.
      scope_specification:
        pathname === '/'
          ? []
          : [
              { type: 'exclude', domain: hostname, path: '/' },
              { type: 'include', domain: hostname, path: pathname },
            ],
    },
    credentials: [
      {
        type: 'cookie',
        name: cookie.name,
        // Those of `Set-Cookie`, without `Max-Age`: where they differ, every request refreshes.
        attributes: `Path=/; ${cookie.secure ? 'Secure; ' : ''}HttpOnly; SameSite=Lax`,
      },
    ],
  }
}

/** The session has ended: the browser forgets its key. */
export function formatEnd(identifier: string): object {
  return { session_identifier: identifier, continue: false }
}

/** What is known of the device that a request comes from. Times are in seconds since the epoch. */
export interface DeviceFacts {
  readonly now: number
  readonly signedInAt: number
  /** When a key was registered; `undefined`: none was. */
  readonly boundAt: number | undefined
}

/**
 * `pending`: it is too early to expect a proof. `unbound`: no key was registered in time. `unproved`: there is a key, and the request does
 * not prove that it comes from where the key is.
 */
export type UnprovedStatus = 'pending' | 'unbound' | 'unproved'

/** `proved`: the request brings a cookie that only the holder of the key can have got lately. */
export type DeviceStatus = 'proved' | UnprovedStatus

/** Judges a request that brings no valid proof. */
export function judgeDevice({ now, signedInAt, boundAt }: DeviceFacts): UnprovedStatus {
  if (now <= (boundAt ?? signedInAt) + DEVICE_GRACE) return 'pending'
  return boundAt === undefined ? 'unbound' : 'unproved'
}

/** Whether something that was issued at a time may still be used. A time ahead of the clock here is that of another process. */
export function isFresh(issuedAt: number, now: number, lifetime: number): boolean {
  return Number.isSafeInteger(issuedAt) && now <= issuedAt + lifetime
}

/** Whether a cookie still proves the device. @param lifetime - seconds, its `Max-Age` */
export function isCookieFresh(issuedAt: number, now: number, lifetime: number): boolean {
  return isFresh(issuedAt, now, lifetime + COOKIE_LEEWAY)
}
