import { publish } from '../../diagnostics/publish.js'
import { factsOf, OidcError } from '../../errors.js'
import { withTimeLimit } from '../../time.js'

/** Why a save failed that others were always quicker than. */
export const CONFLICTS = 'too many conflicts'

/** The one error for a store that does not do what it is asked, whatever the reason, which is our own wording. */
export function unavailable(command: string, reason: string): OidcError {
  publish(() => ({ type: 'store-trouble', command, reason }))
  return new OidcError('ERR_OIDC_STORE_UNAVAILABLE', 'Redis is not available', { cause: { command, reason } })
}

/**
 * An error of the client may hold the whole command it failed on, a password included, so all that is taken over is the word Redis
 * begins its error replies with (`READONLY`), or a system error code (`ECONNREFUSED`), or the name of the class.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { code } = error as { readonly code?: unknown }
  // Redis before 7 puts its own words before those of a command that fails within a script.
  const message = error.message.replace(/^ERR .*?\b(?=(?:WRONGTYPE|READONLY|NOREPLICAS|MASTERDOWN) )/, '')
  const word = /^[A-Z]{2,24}(?= )/.exec(message)?.[0]
  if (word !== undefined) return word
  if (typeof code === 'string' && /^[A-Z_]{2,40}$/.test(code)) return code
  return /^[A-Za-z]{1,40}$/.test(error.name) ? error.name : 'unknown'
}

/**
 * Whether the connection broke before the reply to a command came, as ioredis says it: by a code of the system, by the class of the error, or
 * by its message alone.
 */
export function wasCut(error: unknown): boolean {
  return (
    /^(?:ECONNRESET|EPIPE|AbortError|MaxRetriesPerRequestError)$/.test(reasonOf(error)) ||
    (error instanceof Error && error.message.startsWith('Connection is closed'))
  )
}

/** Whether the client could not send the command, because the connection is being ended, and has no queue to keep it in. */
export function wasUnsent(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("Stream isn't writeable")
}

/** Whether only a replica says this. */
export function isOfReplica(reason: string): boolean {
  return reason === 'READONLY' || reason === 'MASTERDOWN'
}

/** Whether Redis has changed nothing because of its role, which may pass: a replica, or a primary that misses its replicas. */
export function isRefusal(reason: string): boolean {
  return isOfReplica(reason) || reason === 'NOREPLICAS'
}

/** What {@link unavailable} was told. */
function reasonIn(error: unknown): unknown {
  if (!(error instanceof OidcError) || error.code !== 'ERR_OIDC_STORE_UNAVAILABLE') return undefined
  return factsOf(error).reason
}

/** Whether Redis found a value of another type than the command is for, which may be said by a script that ran into it. */
export function isWrongType(error: unknown): boolean {
  return reasonIn(error) === 'WRONGTYPE'
}

/** Whether a command did not come through, rather than being refused for what it says. */
export function isAway(error: unknown): boolean {
  const reason = reasonIn(error)
  return reason !== undefined && reason !== CONFLICTS
}

/** Whether Redis refused a write because its memory is full (`maxmemory` with `noeviction`). It still deletes. */
export function isFull(error: unknown): boolean {
  return reasonIn(error) === 'OOM'
}

/** Does what needs room, where it can be left out. Whether there was room. */
export async function ifThereIsRoom(write: () => Promise<unknown>): Promise<boolean> {
  try {
    await write()
    return true
  } catch (error) {
    if (isFull(error)) return false
    throw error
  }
}

/** Settles like `work`, or fails after `milliseconds`; `isLate` tells the work that its caller no longer waits for it. */
export async function withDeadline<T>(
  command: string,
  milliseconds: number,
  work: (isLate: () => boolean) => Promise<T>,
): Promise<T> {
  let isLate = false
  return withTimeLimit(
    work(() => isLate),
    milliseconds,
    () => {
      isLate = true
      throw unavailable(command, 'timeout')
    },
  )
}
