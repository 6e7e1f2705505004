import type { RequestHandler } from 'express'
import { describeBrowser } from '../describe-browser.js'
import type { OpenIdConnect } from '../oidc.js'
import { userOf } from '../provide-user.js'

export interface SessionsController {
  readonly show: RequestHandler
  readonly end: RequestHandler
  readonly endOthers: RequestHandler
  /** Tells an open page that its session has ended. */
  readonly tellEnd: RequestHandler
}

/** Where the user is signed in, and a way to end each session. */
export function createSessions(oidc: OpenIdConnect): SessionsController {
  return {
    async show(req, res) {
      const sessions = await oidc.sessions.list(userOf(req))
      res.render('sessions', {
        title: 'My sessions',
        page: 'sessions',
        sessions: sessions.map(({ handle, userAgent, signedInAt, lastSeenAt, deviceBound }) => ({
          handle,
          isThis: handle === req.oidc.handle,
          browser: describeBrowser(userAgent),
          isDeviceBound: deviceBound,
          signedIn: timeOf(signedInAt),
          lastSeen: timeOf(lastSeenAt),
        })),
      })
    },
    async end(req, res) {
      const { handle } = req.body as { handle?: unknown }
      // The handle comes from a form, so it could be another user's: `sub` and `provider` make sure that it is this user's.
      if (typeof handle === 'string' && handle !== '') await oidc.sessions.revoke({ handle, ...userOf(req) })
      res.redirect(303, handle === req.oidc.handle ? '/' : '/sessions')
    },
    async endOthers(req, res) {
      await oidc.sessions.revoke({ ...userOf(req), except: req.oidc.handle })
      res.redirect(303, '/sessions')
    },
    tellEnd(req, res) {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders()
      // Also where another process ends it, or the provider does.
      const stop = oidc.watch(req, {
        onEnd: ({ reason = '' }) => void res.end(`event: signed-out\ndata: ${reason}\n\n`),
      })
      res.on('close', stop)
    },
  }
}

function timeOf(seconds: number): { readonly iso: string; readonly text: string } {
  const iso = new Date(seconds * 1000).toISOString()
  return { iso, text: `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` }
}
