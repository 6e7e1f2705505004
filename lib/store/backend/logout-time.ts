/** When a logout happened, on both clocks that know about it. */
export interface LogoutTime {
  /** When this site learned of it: the clock of the store, microseconds since the epoch. */
  readonly at: number
  /** When the provider said so: its clock, seconds since the epoch. Left out where the provider had no part in it. */
  readonly issuedAt?: number
}

/** When a sign-in happened, on both clocks. */
export interface SignInTime {
  /** When the attempt left for the provider: the clock of the store, microseconds since the epoch; `0` where it was not known. */
  readonly startedAt: number
  /** The earliest time the provider can have granted it: its clock, seconds since the epoch. */
  readonly grantedAt: number
}

/** For a logout whose time at the provider is unknown: later than anything the provider says. The last second of a JavaScript date. */
const NEVER = 8.64e12

/**
 * Whether a sign-in is certainly later than a logout. Two times of one clock are compared, never two clocks; a provider counts in
 * whole seconds, so what it granted in the second of the logout counts as before it. In doubt the logout wins.
 */
export function isLater({ startedAt, grantedAt }: Partial<SignInTime>, logout: LogoutTime): boolean {
  if (startedAt !== undefined && startedAt > logout.at) return true
  return grantedAt !== undefined && logout.issuedAt !== undefined && grantedAt >= logout.issuedAt + 1
}

/** `at` and `issuedAt` as whole numbers, which is how they are stored and compared. */
export function numbersOf({ at, issuedAt = NEVER }: LogoutTime): readonly [at: number, issuedAt: number] {
  return [Math.ceil(at), Math.ceil(issuedAt)]
}

export function formatLogoutTime([at, issuedAt]: readonly [number, number]): string {
  return `${at}:${issuedAt}`
}

export function parseLogoutTime(text: string | null): LogoutTime | undefined {
  const match = /^(\d{1,16}):(\d{1,16})$/.exec(text ?? '')
  return match === null ? undefined : { at: Number(match[1]), issuedAt: Number(match[2]) }
}

/** Of two logouts the later, on each clock by itself: a sign-in that is later than that is later than both. */
export function laterOf(one: LogoutTime | undefined, other: LogoutTime): readonly [number, number] {
  const [at, issuedAt] = numbersOf(other)
  return one === undefined ? [at, issuedAt] : [Math.max(one.at, at), Math.max(one.issuedAt ?? NEVER, issuedAt)]
}
