import type { NextFunction, Request, Response } from 'express'
import { OidcError } from '../errors.js'
import type { EndedSession, SessionRecord } from '../state/state.js'
import type { Ticket, Tokens } from '../state/ticket.js'
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

/** One request on its way through this package: what it came with, and how to go on. */
export class Visit {
  readonly services: Edge
  readonly req: Request
  readonly res: Response
  readonly next: NextFunction
  readonly record: SessionRecord | undefined
  #ended = false
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
    return this.#ended ? undefined : (this.#renewed ?? this.record?.ticket())
  }

  /** What this request sees of the sign-in from now on. */
  renew(ticket: Ticket): void {
    this.#renewed = ticket
  }

  /** @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED */
  signedIn(): { readonly id: string; readonly ticket: Ticket } {
    const ticket = this.ticket()
    if (ticket === undefined || this.record === undefined) {
      throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'nobody is signed in')
    }
    return { id: this.record.id, ticket }
  }

  /** Does what may find out that the session has ended; then nothing of it is seen by what still runs in this request. */
  async whileSignedIn<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const isOver = error instanceof OidcError && OVER.includes(error.code)
      if (isOver && this.res.headersSent) this.#ended = true
      else if (isOver) await this.end().catch(() => {})
      throw error
    }
  }

  /** The tokens, read now; `undefined` when the session has ended meanwhile. */
  async readTokens(): Promise<Tokens | undefined> {
    return this.#ended || this.record === undefined ? undefined : this.services.state.readTokens(this.record.id)
  }

  /** Ends the session, so that nothing of it is seen by what still runs in this request. `undefined`: there was none. */
  async end(): Promise<EndedSession | undefined> {
    const { host } = this.services
    const id = this.record?.id ?? host.idOf(this.req)
    this.#ended = true
    return host.end(this.req, this.res, id)
  }
}
