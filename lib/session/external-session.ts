import type { SessionData, Store } from 'express-session'
import { OidcError } from '../errors.js'
import { asExpressRequest, type HttpRequest } from '../http/node-http.js'
import type { SessionBinding, SignIn } from '../http/session-binding.js'
import { diffSessions, formatSession, mergeSession } from '../store/session-changes.js'
import type { RecordStore } from '../store/store.js'
import { isSamePerson } from '../store/ticket.js'
import { isStill } from './lazy-session.js'

/** Marks a session as signed in, so that express-session sends its cookie although the site has stored nothing yet. */
const marker = 'oidc'

/**
 * `req.session` for a site that mounts express-session itself (`session: false`), with any store. The ticket still lives in our own
 * record, under the id of the site's session.
 */
export function createExternalSession(store: RecordStore): SessionBinding {
  return {
    idOf: req => mounted(req).sessionID,
    idsOf: req => [mounted(req).sessionID],
    find: (req, options) => store.load(mounted(req).sessionID, options),
    deviceStatusOf: () => undefined,
    holds: (req, id) => req.sessionID === id && isStill(req, id),
    open: () => {},
    async signIn(req, _res, signIn) {
      const { sessionStore, session: earlier, sessionID: earlierId } = mounted(req)
      const { ticket, previous } = signIn
      const kept = await findData(sessionStore, store, signIn)
      const written = await findWritten(req)
      // The earlier session stays where it is until the new one is complete, so that it is still there when that fails.
      sessionStore.generate(req)
      Object.assign(req.session, kept, written, { [marker]: { signedInAt: ticket.signedInAt } })
      try {
        await done(callback => req.session.save(callback))
        const id = await store.signIn({ ...signIn, id: req.sessionID, keep: [], overlaps: true })
        for (const id of new Set([earlierId, ...previous]))
          await done(callback => sessionStore.destroy(id, callback)).catch(() => {})
        return id
      } catch (error) {
        await done(callback => sessionStore.destroy(req.sessionID, callback)).catch(() => {})
        req.sessionID = earlierId
        req.session = earlier
        throw error
      }
    },
    async resume(req, _res, id) {
      const { sessionStore } = mounted(req)
      const data = await getData(sessionStore, id)
      if (!data) return
      // express-session sends the cookie of the session that the request has at its end.
      req.sessionID = id
      sessionStore.createSession(asExpressRequest(req), data)
    },
    async end(req, ids, reason) {
      const ended = await Promise.all(ids.map(id => store.end(id, reason)))
      if (req.session && ids.includes(req.sessionID)) await done(callback => req.session.destroy(callback))
      const others = ids.filter(id => id !== req.sessionID)
      for (const id of others) await done(callback => req.sessionStore.destroy(id, callback))
      return ended.filter(session => session !== undefined)
    },
    forget: () => {},
  }
}

/** What this request, a hook of the site say, has written to `req.session`. */
async function findWritten({ session, sessionID, sessionStore }: HttpRequest): Promise<object> {
  if (!session) return {}
  const stored = await getData(sessionStore, sessionID)
  const changes = diffSessions(formatSession(stored ?? {}), formatSession(session))
  return JSON.parse(mergeSession('{}', changes))
}

function getData(sessionStore: Store, id: string): Promise<SessionData | null | undefined> {
  return new Promise((resolve, reject) => {
    sessionStore.get(id, (error, session) => (error ? reject(error) : resolve(session)))
  })
}

/** The data of the site in the newest of the `previous` sessions, if it belongs to the same user. */
async function findData(sessionStore: Store, store: RecordStore, { previous, ticket }: SignIn): Promise<object> {
  for (const id of previous) {
    const earlier = (await store.load(id, { extend: false }))?.ticket()
    if (earlier === undefined) continue
    if (!isSamePerson(earlier, ticket)) return {}
    const data = await getData(sessionStore, id)
    if (!data) continue
    const { cookie: _, ...kept } = data
    return kept
  }
  return {}
}

/** @throws {OidcError} ERR_OIDC_NOT_MOUNTED */
function mounted(req: HttpRequest): HttpRequest {
  if (req.sessionStore !== undefined) return req
  throw new OidcError('ERR_OIDC_NOT_MOUNTED', 'with session: false, mount express-session before openIdConnect')
}

function done(run: (callback: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run(error => (error ? reject(error) : resolve())))
}
