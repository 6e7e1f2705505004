import type { NextFunction, Request, Response } from 'express'
import { OidcError } from '../errors.js'
import type { EndedSession, SessionRecord } from '../state/state.js'
import type { Ticket, Tokens } from '../state/ticket.js'
import { monotonic } from '../time.js'
import type { AccessTokens } from './access-tokens.js'
import type { LogoutState } from './logout-state.js'
import type { RareLog } from './rare-log.js'
import type { Revocations } from './revocation.js'
import type { SessionHost } from './session-host.js'
import type { Services } from './site.js'
import type { TokenExchanges } from './token-exchange.js'
import type { TransactionCookie } from './transaction-cookie.js'
import type { Transactions } from './transaction-state.js'

/** What the edge is made of; the same for every request. */
export interface Edge extends Services {
  readonly host: SessionHost
  readonly transactions: Transactions
  readonly transactionCookie: TransactionCookie
  readonly logoutState: LogoutState
  readonly rareLog: RareLog
  readonly accessTokens: AccessTokens
  readonly exchanges: TokenExchanges
  readonly revocations: Revocations
}

const OVER: readonly string[] = ['ERR_OIDC_LOGIN_REQUIRED', 'ERR_OIDC_REFRESH_REJECTED']

/** Sessions that took each other's place while one request was under way. */
const MOST_SUCCESSORS = 8

/** One request on its way through this package: what it came with, and how to go on. */
export class Visit {
  readonly services: Edge
  readonly req: Request
  readonly res: Response
  readonly next: NextFunction
  readonly record: SessionRecord | undefined
  readonly #arrivedAt = monotonic()
  #ended = false
  /** The session this request goes on with, where its own one has ended. */
  #successor: string | undefined
  #renewed: Ticket | undefined

  constructor(services: Edge, req: Request, res: Response, next: NextFunction, record: SessionRecord | undefined) {
    this.services = services
    this.req = req
    this.res = res
    this.next = next
    this.record = record
  }

  /** The sign-in this request belongs to. */
  ticket(): Ticket | undefined {
    return this.#signIn()?.ticket
  }

  #signIn(): { readonly id: string; readonly ticket: Ticket } | undefined {
    const { record } = this
    if (this.#ended || record === undefined || !this.services.host.holds(this.req, record.id)) return undefined
    const ticket = this.#renewed ?? record.ticket()
    return ticket && { id: this.#successor ?? record.id, ticket }
  }

  /** What this request sees of the sign-in from now on. */
  renew(ticket: Ticket): void {
    this.#renewed = ticket
  }

  /** @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED */
  signedIn(): { readonly id: string; readonly ticket: Ticket } {
    const signIn = this.#signIn()
    if (signIn === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'nobody is signed in')
    return signIn
  }

  /**
   * Does what may find out that the session has ended. Where the same user has signed in anew in this browser meanwhile, the request goes
   * on with that session; otherwise nothing of the ended one is seen by what still runs in this request.
   */
  async whileSignedIn<T>(work: (id: string) => Promise<T>): Promise<T> {
    for (let hops = 0; ; hops += 1) {
      const { id } = this.signedIn()
      try {
        return await work(id)
      } catch (error) {
        if (!(error instanceof OidcError && OVER.includes(error.code))) throw error
        const { state, host } = this.services
        const successor = hops < MOST_SUCCESSORS ? await state.successorOf(id).catch(() => undefined) : undefined
        if (successor === undefined) {
          this.#ended = true
          // Its cookie stays: by now it may be that of another sign-in.
          if (!this.res.headersSent) await host.end(this.req, [id]).catch(() => {})
          throw error
        }
        this.#successor = successor
      }
    }
  }

  /** The tokens, read now; `undefined` when the session has ended meanwhile. */
  async readTokens(): Promise<Tokens | undefined> {
    const id = this.#successor ?? this.record?.id
    return this.#ended || id === undefined ? undefined : this.services.state.readTokens(id)
  }

  /**
   * Ends the session, and every other one that this browser got, so that nothing of it is seen by what still runs in this
   * request. `undefined`: there was none.
   */
  async end(): Promise<EndedSession | undefined> {
    const { host, transactionCookie, site, revocations } = this.services
    const binding = transactionCookie.read(this.req, this.res)
    const known = typeof binding === 'object' ? [binding.sessionId, ...(await this.#browserSessions(binding.id))] : []
    const mine = [this.#successor, this.record?.id, ...host.idsOf(this.req), ...known]
    const ids = [...new Set(mine.filter(id => id !== undefined))]
    this.#ended = true
    const [ended, ...others] = await host.end(this.req, ids)
    if (site.revokesTokens) for (const { tokens } of others) revocations.inBackground(tokens)
    host.forget(this.req, this.res)
    return ended
  }

  /** What the browser had when this request came: a user who has signed in since then stays signed in. */
  #browserSessions(browser: string): Promise<readonly string[]> {
    const { state } = this.services
    const arrivedAt = state.startTime() - (monotonic() - this.#arrivedAt) * 1000
    return state.browserSessions.of(browser, arrivedAt)
  }
}
