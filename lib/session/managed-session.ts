import type { HttpRequest } from '../http/node-http.js'
import type { SessionBinding } from '../http/session-binding.js'
import type { TransactionCookie } from '../http/transaction-cookie.js'
import type { Config, SessionPolicy } from '../options/config.js'
import type { EndedSession, RecordStore, SessionRecord } from '../store/store.js'
import { createDeviceCheck, type DeviceCheck } from './device-check.js'
import { defineLazySession, hasForeignSession, isAttached, isStill } from './lazy-session.js'
import { type CookieSession, createSessionCookie } from './session-cookie.js'
import { takeCookiesAway, watchResponse } from './session-response.js'

const FOREIGN_SESSION =
  'ERR_OIDC_OPTIONS: another middleware before this one (express-session or cookie-session) has set req.session. It is replaced, what was ' +
  'stored in it is not found, and the browser gets two cookies. Remove that middleware; or keep express-session, and set session: false'
const TOO_LONG =
  'ERR_OIDC_OPTIONS: req.session.cookie.maxAge or expires is later than session.absolute allows: the session ends at its absolute end. ' +
  'Set session.absolute, and session.idle, which ends a session that is not used'
const FIXED_ATTRIBUTES =
  'ERR_OIDC_OPTIONS: an attribute of req.session.cookie other than maxAge and expires was set, which has no effect: they are fixed'

function createOnceLog({ log }: Config): (line: string) => void {
  const said = new Set<string>()
  return line => {
    if (!said.has(line)) log(line)
    said.add(line)
  }
}

/** A sign-in whose end cannot be brought nearer leaves nothing. */
async function applyLifetime(store: RecordStore, id: string, { session }: HttpRequest): Promise<void> {
  try {
    await store.sessions.applyLifetime(id, session)
  } catch (error) {
    await store.end(id).catch(() => {})
    throw error
  }
}

/** What the site has written to `req.session.cookie` and will not get is logged once. */
function createCookieCheck({ lifetime }: Config, { sessions }: RecordStore, logOnce: (line: string) => void) {
  return (req: HttpRequest): void => {
    const { maxAge = 0 } = sessions.lifetimeOf(req.session) ?? {}
    if (maxAge > lifetime) logOnce(TOO_LONG)
    if (sessions.changedAttributes(req).length > 0) logOnce(FIXED_ATTRIBUTES)
  }
}

/** Finds the session of a request, and merges an anonymous one into it that the user began before. */
function createSessionFinder(policy: SessionPolicy, store: RecordStore, device: DeviceCheck) {
  /** Requests whose anonymous session went into the session of the user, or came too late for that. */
  const adopted = new WeakSet<HttpRequest>()

  async function findRecord(req: HttpRequest, presented: readonly CookieSession[], extend: boolean) {
    for (const { id, kind } of presented) {
      let isAdmitted = true
      const isUse = async (record: SessionRecord) => {
        isAdmitted = await device.admits(req, record)
        return isAdmitted && extend
      }
      const record = await store.load(id, { extend: kind === 'user' && device.isOn ? isUse : extend })
      if (record === undefined || !isAdmitted) continue
      return kind === 'user' ? adoptAnonymous(req, record, presented) : record
    }
    return undefined
  }

  /** What was kept in an anonymous session while the user signed in goes into the session of the user. */
  async function adoptAnonymous(req: HttpRequest, record: SessionRecord, presented: readonly CookieSession[]) {
    const anonymous = presented.filter(({ id, kind }) => kind === 'anonymous' && id !== record.id)
    if (anonymous.length === 0 || record.ticket() === undefined) return record
    adopted.add(req)
    for (const { id } of anonymous) await store.adopt(record, id, policy.keep)
    return policy.keep.length === 0 ? record : store.load(record.id, { extend: false })
  }

  return { findRecord, hasAdopted: (req: HttpRequest) => adopted.has(req) }
}

/**
 * `req.session` for a site that leaves the session to us: express-session's own Session object, over our store, with a lifecycle
 * of its own. Nothing happens before the first access; an untouched session costs nothing; a changed one is saved before the response
 * leaves, so that a redirect never overtakes its session and a failed save becomes an honest error page.
 */
export function createManagedSession(
  config: Config,
  policy: SessionPolicy,
  store: RecordStore,
  transactionCookie: TransactionCookie,
): SessionBinding {
  const cookie = createSessionCookie(config, policy, store.sealer)
  const logOnce = createOnceLog(config)
  const device = createDeviceCheck(config, policy, store)
  const { findRecord, hasAdopted } = createSessionFinder(policy, store, device)
  const checkCookie = createCookieCheck(config, store, logOnce)

  return {
    idOf: req => cookie.read(req)[0]?.id,
    idsOf: req => cookie.read(req).map(({ id }) => id),
    find(req, { extend }) {
      const presented = cookie.read(req)
      return presented.length === 0 ? undefined : findRecord(req, presented, extend)
    },
    deviceStatusOf: device.statusOf,
    holds: (req, id) => !isAttached(req) || isStill(req, id),
    open(req, res, record, fail) {
      if (hasForeignSession(req)) logOnce(FOREIGN_SESSION)
      if (hasAdopted(req)) cookie.clear(res, 'anonymous')
      defineLazySession(req, () => {
        store.sessions.attach(req, record)
        const cameWith = record && cookie.read(req).find(({ id }) => id === record.id)
        watchResponse(req, res, { store, cookie, transactionCookie, cameWith, fail, checkCookie })
      })
    },
    async signIn(req, res, signIn) {
      // What a hook of the site has written belongs to the session that begins.
      const isOpen = isAttached(req) && Object.hasOwn(req, 'session') && Boolean(req.session)
      const data = isOpen ? store.sessions.changesOf(req) : undefined
      const written = isOpen && store.sessions.isNew(req) ? [req.sessionID] : []
      const previous = [...signIn.previous, ...written]
      const { keep } = policy
      const lifetime = isOpen ? store.sessions.lifetimeOf(req.session) : undefined
      if (isOpen) checkCookie(req)
      const id = await store.signIn({ ...signIn, keep, previous, overlaps: true, ...(data && { data }) })
      if (isOpen) await applyLifetime(store, id, req)
      cookie.write(res, { id, kind: 'user' }, lifetime)
      await device.offer(res, id)
      if (isOpen) store.sessions.attach(req, await store.load(id, { extend: false }))
      return id
    },
    async resume(_req, res, id) {
      cookie.write(res, { id, kind: 'user' })
      await device.offer(res, id)
    },
    async end(_req, ids, reason) {
      const ended = await Promise.all(ids.map(id => store.end(id, reason)))
      return ended.filter((session): session is EndedSession => session !== undefined)
    },
    forget(req, res) {
      if (cookie.isUnreadable(req)) cookie.clear(res, 'user')
      takeCookiesAway(req, res, cookie.read(req), { store, cookie })
    },
  }
}
