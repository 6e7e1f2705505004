import type { NextFunction, Request, Response } from 'express'
import type { SessionRecord } from '../state/state.js'
import type { Ticket, Tokens } from '../state/ticket.js'
import type { LogoutState } from './logout-state.js'
import type { SessionHost } from './session-host.js'
import type { Services } from './site.js'
import type { TransactionCookies } from './transaction-cookie.js'

/** What the edge is made of; the same for every request. */
export interface Edge extends Services {
  readonly host: SessionHost
  readonly transactions: TransactionCookies
  readonly logoutState: LogoutState
}

/** One request on its way through this package: what it came with, and how to go on. */
export class Visit {
  readonly services: Edge
  readonly req: Request
  readonly res: Response
  readonly next: NextFunction
  readonly record: SessionRecord | undefined
  #ended = false

  constructor(services: Edge, req: Request, res: Response, next: NextFunction, record: SessionRecord | undefined) {
    this.services = services
    this.req = req
    this.res = res
    this.next = next
    this.record = record
  }

  /** The sign-in this request belongs to. */
  ticket(): Ticket | undefined {
    return this.#ended ? undefined : this.record?.ticket()
  }

  /** The tokens, read now; `undefined` when the session has ended meanwhile. */
  async readTokens(): Promise<Tokens | undefined> {
    return this.#ended || this.record === undefined ? undefined : this.services.state.readTokens(this.record.id)
  }

  /** Ends the session, so that nothing of it is seen by what still runs in this request. */
  async end(): Promise<void> {
    const { host } = this.services
    const id = this.record?.id ?? host.idOf(this.req)
    this.#ended = true
    if (id !== undefined) await host.end(this.req, this.res, id)
  }
}
