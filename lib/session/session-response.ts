import { OidcError } from '../errors.js'
import { beforeHeaders } from '../http/before-headers.js'
import { varyByCookie } from '../http/cookies.js'
import type { HttpRequest, HttpResponse } from '../http/node-http.js'
import { markSignOut, type TransactionCookie } from '../http/transaction-cookie.js'
import type { CookieLifetime } from '../store/session-cookie-lifetime.js'
import type { RecordStore } from '../store/store.js'
import { beforeEnd } from './held-response.js'
import { isStill } from './lazy-session.js'
import type { CookieSession, SessionCookie } from './session-cookie.js'

interface Context {
  readonly store: RecordStore
  readonly cookie: SessionCookie
}

interface Watch extends Context {
  readonly transactionCookie: TransactionCookie
  /** The session that `req.session` was, and how it came. */
  readonly cameWith: CookieSession | undefined
  readonly fail: (error: unknown) => void
  /** Looks at what the site has made of `req.session.cookie`. */
  readonly checkCookie: (req: HttpRequest) => void
}

/** What a response does to the cookies of sessions. */
interface CookieChange {
  /** A new session, which is anonymous: only a sign-in makes another one. */
  readonly begun?: string | undefined
  /** How long the site wants the cookie of the new session to live. */
  readonly lifetime?: CookieLifetime | undefined
  readonly ended?: CookieSession | undefined
  /** The site has ended the session of the user: what this browser began before is over as well. */
  readonly isSignOut?: boolean
  readonly markedAt?: number | undefined
}

/** Saves before the response ends and sets the cookie before the headers leave. Both as the session was when the response ended. */
export function watchResponse(
  req: HttpRequest,
  res: HttpResponse,
  { store, cookie, transactionCookie, cameWith, fail, checkCookie }: Watch,
): void {
  const { sessions } = store
  let decided: CookieChange | undefined
  let sentId: string | undefined

  const begun = () =>
    req.session && sessions.isNew(req) && (sessions.isChanged(req) || sessions.isSaved(req)) ? req.sessionID : undefined

  varyByCookie(res)
  // Data that cannot be written, such as a BigInt, gets no cookie here; the end of the response meets the same error and reports it.
  beforeHeaders(res, () => {
    const change = decided ?? { begun: begun(), lifetime: req.session && sessions.lifetimeOf(req.session) }
    sentId = change.begun
    if (change.ended !== undefined) cookie.clear(res, change.ended.kind)
    if (change.ended !== undefined && change.isSignOut)
      transactionCookie.signOut(req, res, { markedAt: change.markedAt })
    if (sentId !== undefined) cookie.write(res, { id: sentId, kind: 'anonymous' }, change.lifetime)
  })

  async function save(): Promise<void> {
    if (res.headersSent && sessions.isNew(req) && sentId !== req.sessionID) {
      const message = 'a new session was first changed after the headers had been sent'
      throw new OidcError('ERR_OIDC_SESSION_TOO_LATE', message)
    }
    await sessions.save(req)
  }

  const work = () => {
    const lifetime = req.session && sessions.lifetimeOf(req.session)
    if (req.session) checkCookie(req)
    const isChanged =
      Boolean(req.session) && (sessions.isChanged(req) || (lifetime !== undefined && sessions.isSaved(req)))
    const isGone = cameWith !== undefined && !isStill(req, cameWith.id)
    const id = begun()
    const ended = isGone && !res.headersSent && !(id && cameWith.kind === 'anonymous') ? cameWith : undefined
    // Destroyed or regenerated. A sign-in in this request has put a session in its place that is not new to the store.
    const isSignOut = isGone && cameWith.kind === 'user' && (!req.session || sessions.isNew(req))
    if (!isChanged && ended === undefined && !isSignOut) return undefined
    const saved = isChanged ? save() : Promise.resolve()
    decided = { begun: id, lifetime }
    const marked = isSignOut ? markSignOut(req, res, { transactionCookie, store }) : Promise.resolve(undefined)
    const removable = marked.then(() => ended && isRemovable(store, ended))
    return Promise.all([saved, removable, marked]).then(([, isRemoved, markedAt]) => {
      decided = { begun: id, lifetime, ended: isRemoved ? ended : undefined, isSignOut, markedAt }
    })
  }
  beforeEnd(req, res, work, error => {
    decided = {}
    fail(error)
  })
}

/** Takes the cookies of these sessions away when the response leaves. */
export function takeCookiesAway(
  req: HttpRequest,
  res: HttpResponse,
  sessions: readonly CookieSession[],
  { store, cookie }: Context,
): void {
  if (sessions.length === 0) return
  const removed = new Set<CookieSession['kind']>()
  beforeHeaders(res, () => {
    for (const kind of removed) cookie.clear(res, kind)
  })
  const work = async () => {
    const removable = await Promise.all(sessions.map(session => isRemovable(store, session)))
    const kept = sessions.filter((_, at) => !removable[at]).map(({ kind }) => kind)
    for (const { kind } of sessions) if (!kept.includes(kind)) removed.add(kind)
  }
  beforeEnd(
    req,
    res,
    () => (res.headersSent ? undefined : work()),
    () => res.end(),
  )
}

/**
 * Whether a cookie may go: its session has ended, and no later sign-in of this browser took its place, whose cookie has the same name.
 * In doubt it stays, because without its session it does no harm.
 */
async function isRemovable(store: RecordStore, { id }: CookieSession): Promise<boolean> {
  try {
    const [record, isReplaced] = await Promise.all([store.load(id, { extend: false }), store.isReplaced(id)])
    return record === undefined && !isReplaced
  } catch {
    return false
  }
}
