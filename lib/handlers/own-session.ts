import type { Request, Response } from 'express'
import onHeaders from 'on-headers'
import { OidcError } from '../errors.js'
import type { State } from '../state/state.js'
import { varyByCookie } from './cookies.js'
import { notesOf, notesOn } from './request-notes.js'
import { createRequestProperties, defineOwn } from './request-properties.js'
import { createSessionCookie, type SessionCookie } from './session-cookie.js'
import type { SessionHost } from './session-host.js'
import type { SessionPolicy, Site } from './site.js'
import type { TransactionCookie } from './transaction-cookie.js'

/**
 * `req.session` for a site that leaves the session to us: express-session's own Session object, over our store, with a life cycle
 * of its own. Nothing happens before the first access; an untouched session costs nothing; a changed one is saved before the answer
 * leaves, so that a redirect never overtakes its session and a failed save becomes an honest error page.
 */
export function createOwnSession(
  site: Site,
  policy: SessionPolicy,
  state: State,
  transactionCookie: TransactionCookie,
): SessionHost {
  const cookie = createSessionCookie(site, policy, state.sealer)
  return {
    idOf: req => cookie.read(req),
    open(req, res, record, fail) {
      defineLazySession(req, () => {
        state.sessions.attach(req, record)
        watchAnswer(req, res, { state, cookie, transactionCookie, cameWithId: record?.id, fail })
      })
    },
    async signIn(_req, res, signIn) {
      const id = await state.signIn({ ...signIn, keep: policy.keep })
      cookie.write(res, id)
      return id
    },
    async resume(_req, res, id) {
      cookie.write(res, id)
    },
    async end(_req, res, id) {
      const ended = id === undefined ? undefined : await state.end(id)
      cookie.clear(res)
      return ended
    },
  }
}

const defineAccessors = createRequestProperties({
  // What was attached is an ordinary property: express-session deletes it when the session is destroyed.
  session: {
    get(this: Request) {
      return settle(this) ? this.session : undefined
    },
    set(this: Request, value: unknown) {
      settle(this)
      defineOwn(this, 'session', value)
    },
  },
  sessionID: describeNote('sessionID'),
  sessionStore: describeNote('sessionStore'),
})

function describeNote(name: 'sessionID' | 'sessionStore'): PropertyDescriptor {
  return {
    get(this: Request) {
      settle(this)
      return notesOf(this)?.[name]
    },
    set(this: Request, value: never) {
      const notes = notesOf(this)
      if (notes === undefined) defineOwn(this, name, value)
      else notes[name] = value
    },
  }
}

/** Defers `attach` to the first access of any of express-session's three properties. */
function defineLazySession(req: Request, attach: () => void): void {
  defineAccessors(req)
  notesOn(req).attachSession = attach
}

/** Whether there was something to attach, and nothing of it yet. */
function settle(req: Request): boolean {
  const notes = notesOf(req)
  const attach = notes?.attachSession
  if (notes === undefined || attach === undefined) return false
  notes.attachSession = undefined
  attach()
  return true
}

interface Watch {
  readonly state: State
  readonly cookie: SessionCookie
  readonly transactionCookie: TransactionCookie
  readonly cameWithId: string | undefined
  readonly fail: (error: unknown) => void
}

/** Saves before the answer ends and sets the cookie before the headers leave. */
function watchAnswer(req: Request, res: Response, { state, cookie, transactionCookie, cameWithId, fail }: Watch): void {
  const { sessions } = state
  let cookieSent = false
  let saveFailed = false
  varyByCookie(res)
  onHeaders(res, () => {
    if (!req.session) {
      if (cameWithId !== undefined && !Object.hasOwn(req, 'session')) {
        cookie.clear(res)
        transactionCookie.signOut(req, res)
      }
    } else if (!saveFailed && sessions.isNew(req) && (sessions.isChanged(req) || sessions.isSaved(req))) {
      cookie.write(res, req.sessionID)
      cookieSent = true
    }
  })

  const end = res.end.bind(res) as (...args: unknown[]) => Response
  const endSaved = (...args: unknown[]): Response => {
    res.end = end as Response['end']
    if (!req.session || !sessions.isChanged(req)) return end(...args)
    if (res.headersSent && sessions.isNew(req) && !cookieSent) {
      fail(new OidcError('ERR_OIDC_SESSION_TOO_LATE', 'a new session was first written to after the headers had left'))
      return res
    }
    req.session.save((error?: unknown) => {
      saveFailed = Boolean(error)
      if (saveFailed) fail(error)
      else end(...args)
    })
    return res
  }
  res.end = endSaved as Response['end']
}
