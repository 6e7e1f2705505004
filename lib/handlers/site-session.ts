import type { Request } from 'express'
import type { SessionData, Store } from 'express-session'
import { OidcError } from '../errors.js'
import type { State } from '../state/state.js'
import { isSamePerson } from '../state/ticket.js'
import type { SessionHost, SignIn } from './session-host.js'

/** Marks a session as signed in, so that express-session sends its cookie although the site has stored nothing yet. */
const marker = 'oidc'

/**
 * `req.session` for a site that mounts express-session itself (`session: false`), with any store. The ticket still lives in our own
 * record, under the id of the site's session.
 */
export function createSiteSession(state: State): SessionHost {
  return {
    idOf: req => mounted(req).sessionID,
    open: () => {},
    async signIn(req, _res, signIn) {
      const { ticket, previous } = signIn
      const kept = await findData(mounted(req).sessionStore, state, signIn)
      await done(callback => mounted(req).session.regenerate(callback))
      Object.assign(req.session, kept, { [marker]: { signedInAt: ticket.signedInAt } })
      const id = await state.signIn({ ...signIn, id: req.sessionID, keep: [] })
      await done(callback => req.session.save(callback))
      for (const earlier of previous) await done(callback => req.sessionStore.destroy(earlier, callback))
      return id
    },
    async resume(req, _res, id) {
      const { sessionStore } = mounted(req)
      const data = await findSession(sessionStore, id)
      if (!data) return
      // express-session sends the cookie of the session that the request has at its end.
      req.sessionID = id
      sessionStore.createSession(req, data)
    },
    async end(req, _res, id) {
      const ended = id === undefined ? undefined : await state.end(id)
      if (req.session) await done(callback => req.session.destroy(callback))
      return ended
    },
  }
}

/** What the site has stored in the newest of the `previous` sessions, where it is of the same person. */
async function findData(store: Store, state: State, { previous, ticket }: SignIn): Promise<object> {
  for (const id of previous) {
    const earlier = (await state.load(id, { extend: false }))?.ticket()
    if (earlier === undefined) continue
    if (!isSamePerson(earlier, ticket)) return {}
    const data = await findSession(store, id)
    if (!data) continue
    const { cookie: _, ...kept } = data
    return kept
  }
  return {}
}

function findSession(store: Store, id: string): Promise<SessionData | null | undefined> {
  return new Promise((resolve, reject) => {
    store.get(id, (error, session) => (error ? reject(error) : resolve(session)))
  })
}

/** @throws {OidcError} ERR_OIDC_NOT_MOUNTED */
function mounted(req: Request): Request {
  if (req.sessionStore !== undefined) return req
  throw new OidcError('ERR_OIDC_NOT_MOUNTED', 'with session: false, mount express-session before openIdConnect')
}

function done(run: (callback: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run(error => (error ? reject(error) : resolve())))
}
