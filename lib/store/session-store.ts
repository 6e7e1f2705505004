import { RedisStore } from 'connect-redis'
import type { Request } from 'express'
import type { CookieOptions, Session, SessionData } from 'express-session'
import { OidcError } from '../errors.js'
import type { StoreClient } from './connect-redis-client.js'
import { diffSessions, formatSession, type SessionChanges } from './session-changes.js'
import { createSessionId } from './session-id.js'
import type { SessionRecord } from './session-record.js'
import type { SaveSession, TrackedSession } from './session-save.js'

type Callback = (error?: unknown, session?: SessionData | null) => void

export interface SessionStoreSettings {
  readonly client: StoreClient
  readonly save: SaveSession
  /** What `req.session.cookie` says. It is there to be read: the cookie itself is made elsewhere. */
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
  readonly #cookie: SessionData['cookie']
  readonly #tracked = new WeakMap<object, TrackedSession>()
  readonly #regenerated = new WeakSet<object>()

  constructor({ client, save, cookie = {} }: SessionStoreSettings) {
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
    const tracked = { id: req.sessionID, generated: true, exists: false, base: '{}', stored: undefined }
    this.#tracked.set(session, tracked)
    if (isReplaced) this.#regenerated.add(session)
    return session
  }

  override createSession(req: Request, data: SessionData): Session & SessionData {
    // A reload: the browser knows the id no better than before.
    const earlier = this.#tracked.get(req.session)
    const generated = earlier !== undefined && earlier.id === req.sessionID && earlier.generated
    const session = super.createSession(req as Request, data)
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

  /** Whether the site has changed how long the cookie lives, which counts for nothing here. */
  isCookieChanged({ session }: Express.Request): boolean {
    return session.cookie?.originalMaxAge !== this.#cookie.originalMaxAge
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
  save(req: Express.Request): Promise<void> {
    const { session } = req
    return this.#save(this.#tracked.get(session) ?? untracked(req.sessionID), session)
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
    const saved = isAbandoned(tracked, session) ? Promise.resolve() : this.#save(tracked, session)
    if (callback === undefined) return saved
    const finish = afterwards(callback)
    await saved.then(() => finish(), finish)
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
