import { hash } from 'node:crypto'

/** What is known about the lifetime of an access token, in seconds since the epoch. */
export interface TokenTimes {
  readonly expiresAt?: number
  readonly issuedAt?: number
}

/** Seconds before it would be too late within which refreshes in the background are spread, at most. */
const LONGEST_SPREAD = 120

/** Whether a token can be used at all. One whose end is unknown can, until an API says otherwise. */
export function isUsable({ expiresAt }: TokenTimes, now: number): boolean {
  return expiresAt === undefined || expiresAt > now
}

/** Whether a token has `minValidity` seconds left. One that never had as many is good for the first half of its lifetime. */
export function isFresh(token: TokenTimes, minValidity: number, now: number): boolean {
  return isUsable(token, now) && secondsLeft(token, now) >= attainable(token, minValidity)
}

/**
 * Whether it is time to refresh a token that is still fresh. The time differs from session to session, so that those that began
 * together are not refreshed together.
 *
 * @param seed - what the time depends on
 */
export function isDue(token: TokenTimes, minValidity: number, now: number, seed: string): boolean {
  const spread = Math.min(LONGEST_SPREAD, lifetimeOf(token) / 10)
  return secondsLeft(token, now) < attainable(token, minValidity) + spread * fractionOf(seed)
}

function secondsLeft({ expiresAt = Infinity }: TokenTimes, now: number): number {
  return expiresAt - now
}

function attainable(token: TokenTimes, minValidity: number): number {
  const duration = lifetimeOf(token)
  return duration === 0 || duration > minValidity ? minValidity : duration / 2
}

/** 0 where it is unknown. */
function lifetimeOf({ expiresAt, issuedAt }: TokenTimes): number {
  return expiresAt === undefined || issuedAt === undefined ? 0 : Math.max(0, expiresAt - issuedAt)
}

/** From 0 up to 1, always the same for the same text. */
function fractionOf(text: string): number {
  return Number.parseInt(hash('sha1', text).slice(0, 6), 16) / 0x1000000
}
