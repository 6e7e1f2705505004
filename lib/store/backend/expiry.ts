/**
 * The expiry of a record as it is stored beside the sealed values: `extendedAt:endsAt`, both seconds since the epoch. Redis forgets the
 * record `idle` seconds after `extendedAt`, and at `endsAt` at the latest.
 */
export interface Expiry {
  readonly extendedAt: number
  readonly endsAt: number
}

const LONGEST_BETWEEN_EXTENSIONS = 300

/** Seconds by which the clocks of two processes may differ without a write for each request that changes the process. */
const CLOCK_TOLERANCE = 1

export function formatExpiry({ extendedAt, endsAt }: Expiry): string {
  return `${extendedAt}:${endsAt}`
}

export function parseExpiry(text: string): Expiry | undefined {
  const match = /^(\d{1,15}):(\d{1,15})$/.exec(text)
  return match === null ? undefined : { extendedAt: Number(match[1]), endsAt: Number(match[2]) }
}

/** Seconds a record may live that is created or extended at `now`. */
export function ttlOf(endsAt: number, now: number, idle: number): number {
  return Math.min(idle, endsAt - now)
}

/**
 * Extending at every request would be a write at every request; a tenth of the idle lifetime is accurate enough. A record that was extended in
 * the future was extended by a clock that was wrong: how long ago that was is not known, so that it is due as well.
 */
export function isExtensionDue({ extendedAt }: Expiry, now: number, idle: number): boolean {
  const age = now - extendedAt
  return age < -CLOCK_TOLERANCE || age >= Math.min(idle / 10, LONGEST_BETWEEN_EXTENSIONS)
}
