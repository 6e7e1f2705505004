import { RedisStore } from 'connect-redis'
import type { Request } from 'express'
import type { CookieOptions, Session, SessionData } from 'express-session'
import { OidcError } from '../errors.js'
import type { StoreClient } from './connect-redis-client.js'
import { diffSessions, formatSession, type SessionChanges } from './session-changes.js'
import {
  type CookieLifetime,
  captureCookie,
  changedAttributes,
  changedLifetime,
  type InitialCookie,
} from './session-cookie-lifetime.js'
import { createSessionId } from './session-id.js'
import type { SessionRecord } from './session-record.js'
import type { SaveSession, TrackedSession } from './session-save.js'

type Callback = (error?: unknown, session?: SessionData | null) => void

export interface SessionStoreSettings {
  readonly client: StoreClient
  readonly save: SaveSession
  /** Ends a session at `endsAt` (seconds since the epoch), but never later than its absolute end. */
  readonly limit: (id: string, endsAt: number) => Promise<void>
  readonly now: () => Date
  /** What `req.session.cookie` says. The cookie itself is made elsewhere. */
  readonly cookie?: Readonly<CookieOptions>
}

/**
 * The store behind `req.session`: connect-redis over sealed records that also hold the sign-in. A save merges, a save after the end of
 * a session is dropped, and its lifetime is extended by loading and not by `touch`.
 *
 * `ids` gives handles and not session ids, which the store does not know; `destroy` takes both. All errors are {@link OidcError}
 * ERR_OIDC_STORE_UNAVAILABLE, unless the site's own data cannot be written as JSON.
 */
export class SessionStore extends RedisStore {
  readonly #save: SaveSession
  readonly #limit: SessionStoreSettings['limit']
  readonly #now: () => Date
  readonly #initial = new WeakMap<object, InitialCookie>()
  readonly #cookie: SessionData['cookie']
  readonly #tracked = new WeakMap<object, TrackedSession>()
  readonly #regenerated = new WeakSet<object>()

  constructor({ client, save, limit, now, cookie = {} }: SessionStoreSettings) {
    const cookieData = { ...cookie, originalMaxAge: cookie.maxAge ?? null }
    super({
      client,
      prefix: '',
      serializer: {
        parse: text => ({ ...JSON.parse(text), cookie: { ...cookieData } }),
        stringify: formatSession,
      },
    })
    this.#save = save
    this.#limit = limit
    this.#now = now
    this.#cookie = cookieData
  }

  /**
   * Gives `req` its `session`, `sessionID` and `sessionStore`, synchronously: the session of `record`, or a new and empty one that
   * exists nowhere until it is saved.
   */
  attach(req: Express.Request, record: SessionRecord | undefined): Session {
    req.sessionStore = this
    if (record === undefined) return this.generate(req)
    const text = record.sessionText() ?? '{}'
    const data = this.#dataOf(text)
    req.sessionID = record.id
    const session = super.createSession(req as Request, data)
    // The browser drops the cookie when the session ends.
    if (this.#cookie.originalMaxAge !== null)
      setExpires(session.cookie, Date.now() + record.endsAt * 1000 - this.#now().getTime())
    this.#initial.set(session, captureCookie(session.cookie))
    // A Session drops what has the name of one of its methods. Mostly there is no such thing, and the text need not be made again.
    const isComplete = Object.keys(session).length === Object.keys(data).length
    this.#tracked.set(session, {
      id: record.id,
      generated: false,
      exists: true,
      base: isComplete ? text : formatSession(session),
      stored: { version: record.version, text },
    })
    return session
  }

  /** Gives `req` a new and empty session under a new id. `regenerate` ends in here, too. */
  generate(req: Express.Request): Session {
    const isReplaced = req.sessionID !== undefined
    req.sessionID = createSessionId()
    const session = super.createSession(req as Request, this.#dataOf('{}'))
    this.#initial.set(session, captureCookie(session.cookie))
    const tracked = { id: req.sessionID, generated: true, exists: false, base: '{}', stored: undefined }
    this.#tracked.set(session, tracked)
    if (isReplaced) this.#regenerated.add(session)
    return session
  }

  override createSession(req: Request, data: SessionData): Session & SessionData {
    // A reload: the browser knows the id no better than before.
    const earlier = this.#tracked.get(req.session)
    const { cookie } = req.session ?? {}
    const initial = req.session && this.#initial.get(req.session)
    const generated = earlier !== undefined && earlier.id === req.sessionID && earlier.generated
    const session = super.createSession(req as Request, data)
    // As with express-session, a reload leaves the cookie as it is.
    if (cookie !== undefined && initial !== undefined && earlier?.id === req.sessionID) {
      session.cookie = cookie
      this.#initial.set(session, initial)
    }
    const base = formatSession(session)
    this.#tracked.set(session, { id: req.sessionID, generated, exists: true, base, stored: undefined })
    return session
  }

  /** Whether `req.session` differs from what was loaded or last saved. */
  isChanged(req: Express.Request): boolean {
    const tracked = this.#tracked.get(req.session)
    if (tracked === undefined) return false
    // As with express-session, one that was made in place of another is kept even when nothing is in it.
    if (this.#regenerated.has(req.session) && !tracked.exists) return true
    try {
      return diffSessions(tracked.base ?? '{}', formatSession(req.session)).size > 0
    } catch {
      // Not JSON: the save reports that to its caller.
      return true
    }
  }

  /** How long the site wants this session and its cookie to live. `undefined`: it has said nothing in this request. */
  lifetimeOf(session: Express.Request['session']): CookieLifetime | undefined {
    const initial = this.#initial.get(session)
    return initial && changedLifetime(initial, session.cookie, this.#cookie.originalMaxAge)
  }

  /** Attributes of the cookie that the site has changed, which has no effect. */
  changedAttributes({ session }: Express.Request): readonly string[] {
    return changedAttributes(session.cookie, this.#cookie)
  }

  /** Brings the end of a session to where the site wants it. */
  async applyLifetime(id: string, session: Express.Request['session']): Promise<void> {
    const { maxAge } = this.lifetimeOf(session) ?? {}
    if (maxAge === undefined) return
    this.#initial.set(session, captureCookie(session.cookie))
    await this.#limit(id, maxAge > 0 ? this.#now().getTime() / 1000 + maxAge : 0)
  }

  /** What this request changed in `req.session` and has not saved. */
  changesOf(req: Express.Request): SessionChanges {
    const { session } = req
    return diffSessions(this.#tracked.get(session)?.generated ? '{}' : this.#baseOf(session), formatSession(session))
  }

  #baseOf(session: object): string {
    return this.#tracked.get(session)?.base ?? '{}'
  }

  /** Whether this request made up the session id, so that the browser does not know it yet. */
  isNew(req: Express.Request): boolean {
    return this.#tracked.get(req.session)?.generated ?? false
  }

  /** Whether the store holds a record for `req.session`. */
  isSaved(req: Express.Request): boolean {
    return this.#tracked.get(req.session)?.exists ?? false
  }

  /** Saves `req.session` as it is now. */
  async save(req: Express.Request): Promise<void> {
    const { session, sessionID } = req
    await this.#save(this.#tracked.get(session) ?? untracked(sessionID), session)
    await this.applyLifetime(sessionID, session)
  }

  override async get(id: string, callback?: Callback): Promise<unknown> {
    return super.get(id, callback && afterwards(callback))
  }

  /**
   * Applies the top-level keys that this request changed to what the store holds now. Creates a record only for an id this request
   * made up; calls back without an error when the session was ended meanwhile.
   */
  override async set(id: string, session: SessionData, callback?: (error?: unknown) => void): Promise<void> {
    const tracked = this.#tracked.get(session) ?? untracked(id)
    const saved = isAbandoned(tracked, session) ? Promise.resolve() : this.#saveWithLifetime(tracked, session)
    if (callback === undefined) return saved
    const finish = afterwards(callback)
    await saved.then(() => finish(), finish)
  }

  async #saveWithLifetime(tracked: TrackedSession, session: SessionData): Promise<void> {
    await this.#save(tracked, session)
    await this.applyLifetime(tracked.id, session as Express.Request['session'])
  }

  /** Does nothing: a session is extended when it is loaded. */
  override async touch(_id: string, _session: SessionData, callback?: () => void): Promise<void> {
    callback?.()
  }

  override async destroy(id: string, callback?: (error?: unknown) => void): Promise<unknown> {
    return super.destroy(id, callback && afterwards(callback))
  }

  /** Always fails: a session can be opened only with its id, and the store does not know the ids. */
  override async all(callback?: (error?: unknown) => void): Promise<void> {
    const error = new OidcError('ERR_OIDC_SESSIONS_SEALED', 'sessions are sealed under their ids and cannot be listed')
    if (callback === undefined) throw error
    callback(error)
  }

  #dataOf(text: string): SessionData {
    return { ...JSON.parse(text), cookie: { ...this.#cookie } }
  }
}

/** Sets the date alone: the setter of express-session computes `originalMaxAge` anew. */
function setExpires(cookie: Session['cookie'], time: number): void {
  const { originalMaxAge } = cookie
  cookie.expires = new Date(time)
  cookie.originalMaxAge = originalMaxAge
}

/** A session that was not made here. It replaces what is there, and is not created where nothing is. */
function untracked(id: string): TrackedSession {
  return { id, generated: false, exists: true, base: undefined, stored: undefined }
}

/** A new session that was destroyed or replaced before it was ever saved must not be created by a late save. */
function isAbandoned(tracked: TrackedSession, session: object): boolean {
  const { req } = session as { readonly req?: Partial<Pick<Express.Request, 'session'>> }
  return !tracked.exists && req?.session !== session
}

/** Outside of the promise: connect-redis would call a callback that throws a second time. */
function afterwards(callback: Callback): Callback {
  return (error, data) => void setImmediate(callback, error ?? null, data)
}
