import type { DeviceStatus } from '../protocol/device-session.js'
import type { SignOutReason } from '../store/end-reason.js'
import type { EndedSession, SessionRecord, SignInTime } from '../store/store.js'
import type { EndedSummary, KeptTokens, SessionSummary, Ticket } from '../store/ticket.js'
import type { HttpRequest, HttpResponse } from './node-http.js'

/** A sign-in that passed every check, ready to be kept. */
export interface SignIn {
  readonly ticket: Ticket
  readonly tokens: KeptTokens
  /** Sessions this browser had before, newest first. All of them end. */
  readonly previous: readonly string[]
  readonly time: SignInTime
  /** Told of every session among `previous` that ended. */
  readonly onEnded?: (summary: EndedSummary) => void
  /** Told of the handle of every session among `previous` that is the same user's. */
  readonly onOverlap?: (handle: string) => void
  /** Runs while the session is written; the sign-in fails with it. */
  readonly onWrite?: (id: string) => Promise<void>
  /** Runs when the session is written and {@link onWrite} is finished; the sign-in fails with it. */
  readonly onCreated?: (id: string) => Promise<void>
  /** What a list of sessions says about this one besides the times. */
  readonly metadata?: Exclude<SessionSummary['metadata'], undefined>
}

/**
 * Where the session id of a request comes from, and who owns `req.session`: this package (`managed-session.ts`) or an express-session
 * that the site mounted itself (`external-session.ts`). Everything else hangs on the id and does not care.
 */
export interface SessionBinding {
  /** The session id a request came with, that of a signed-in user first. */
  idOf(req: HttpRequest): string | undefined
  /** All session ids a request came with. */
  idsOf(req: HttpRequest): readonly string[]
  /** Loads the session of a request. `undefined`, at once: it came with none. */
  find(req: HttpRequest, options: { readonly extend: boolean }): Promise<SessionRecord | undefined> | undefined
  /**
   * Whether a request that {@link find} was asked about comes from where the key of its session is. `unproved`: it does not, and is handled as one
   * without the session; and so is `unbound`, where the site requires a key. `undefined`: the site binds no sessions, or no user is signed in.
   */
  deviceStatusOf(req: HttpRequest): DeviceStatus | undefined
  /** Whether the site has left the session with this id as it is: it was neither destroyed nor regenerated in this request. */
  holds(req: HttpRequest, id: string): boolean
  /** Makes `req.session` available. Called once per request, after the record was loaded. */
  open(req: HttpRequest, res: HttpResponse, record: SessionRecord | undefined, fail: (error: unknown) => void): void
  /** Begins a signed-in session under a new id and gives the browser its cookie. Resolves when everything is saved. */
  signIn(req: HttpRequest, res: HttpResponse, signIn: SignIn): Promise<string>
  /** Gives the browser the cookie of a signed-in session that it got before and may have lost. */
  resume(req: HttpRequest, res: HttpResponse, id: string): Promise<void>
  /**
   * Ends sessions, everywhere. The cookie stays: without its session it does no harm.
   *
   * @param reason - for those who watch them
   * @returns what those had that were there
   */
  end(req: HttpRequest, ids: readonly string[], reason?: SignOutReason): Promise<readonly EndedSession[]>
  /** Takes the cookie of ended sessions away when the response leaves, unless a newer sign-in of this browser has set its own. */
  forget(req: HttpRequest, res: HttpResponse): void
}
