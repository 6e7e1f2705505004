import type { Request, Response } from 'express'
import type { EndedSession, SessionRecord, SignInMoment } from '../state/state.js'
import type { SessionSummary, Ticket, Tokens } from '../state/ticket.js'

/** A sign-in that passed every check, ready to be kept. */
export interface SignIn {
  readonly ticket: Ticket
  readonly tokens: Tokens
  /** Sessions this browser had before, newest first. All of them end. */
  readonly previous: readonly string[]
  readonly moment: SignInMoment
  /** Told of every session among `previous` that ended. */
  readonly onEnded?: (summary: SessionSummary) => void
  /** Runs when the session is written; the sign-in fails with it. */
  readonly onCreated?: (id: string) => Promise<void>
  /** What a list of sessions says about this one besides the times. */
  readonly note?: Exclude<SessionSummary['note'], undefined>
}

/**
 * Where the session id of a request comes from, and who owns `req.session`: this package (`own-session.ts`) or an express-session
 * that the site mounted itself (`site-session.ts`). Everything else hangs on the id and does not care.
 */
export interface SessionHost {
  /** The session id a request came with. */
  idOf(req: Request): string | undefined
  /** Makes `req.session` available. Called once per request, after the record was loaded. */
  open(req: Request, res: Response, record: SessionRecord | undefined, fail: (error: unknown) => void): void
  /** Begins a signed-in session under a new id and gives the browser its cookie. Resolves when everything is saved. */
  signIn(req: Request, res: Response, signIn: SignIn): Promise<string>
  /** Gives the browser the cookie of a signed-in session that it got before and may have lost. */
  resume(req: Request, res: Response, id: string): Promise<void>
  /** Ends the session of a request, everywhere, and takes its cookie away, even one that cannot be read. `undefined`: there was none. */
  end(req: Request, res: Response, id: string | undefined): Promise<EndedSession | undefined>
}
