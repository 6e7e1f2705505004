import type { Request } from 'express'
import { OidcError } from '../errors.js'
import type { State } from '../state/state.js'
import type { SessionHost } from './session-host.js'

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
      await done(callback => mounted(req).session.regenerate(callback))
      Object.assign(req.session, { [marker]: { signedInAt: ticket.signedInAt } })
      const id = await state.signIn({ ...signIn, id: req.sessionID, keep: [] })
      await done(callback => req.session.save(callback))
      for (const earlier of previous) await done(callback => req.sessionStore.destroy(earlier, callback))
      return id
    },
    async end(req, _res, id) {
      const existed = id !== undefined && (await state.end(id))
      if (req.session) await done(callback => req.session.destroy(callback))
      return existed
    },
  }
}

/** @throws {OidcError} ERR_OIDC_NOT_MOUNTED */
function mounted(req: Request): Request {
  if (req.sessionStore !== undefined) return req
  throw new OidcError('ERR_OIDC_NOT_MOUNTED', 'with session: false, mount express-session before openIdConnect')
}

function done(run: (callback: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => run(error => (error ? reject(error) : resolve())))
}
