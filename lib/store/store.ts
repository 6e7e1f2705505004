import type { CookieOptions } from 'express-session'
import type { Log } from '../diagnostics/log.js'
import { createAdoption } from './adoption.js'
import type { Backend } from './backend/backend.js'
import { createBackend } from './backend/create-backend.js'
import { parseExpiry } from './backend/expiry.js'
import type { NodeRedisClient } from './backend/node-redis-client.js'
import { FIELD } from './backend/record-fields.js'
import type { RedisClient } from './backend/redis-client.js'
import { createStoreClock } from './backend/store-clock.js'
import { mapInBatches } from './batches.js'
import { type BrowserSessions, createBrowserSessions } from './browser-sessions.js'
import { type BrowserSignOuts, createBrowserSignOuts } from './browser-sign-outs.js'
import { createStoreClient } from './connect-redis-client.js'
import { createDeviceKeys, type DeviceKeys } from './device-keys.js'
import type { SessionEndReason, SignOutReason } from './end-reason.js'
import { createRecordEnder, type EndedRecord } from './end-record.js'
import { createSessionEnder, type SessionEnder } from './end-sessions.js'
import { createExpiredSessions, NOT_REMEMBERED } from './expired-sessions.js'
import type { KeptForms } from './kept-forms.js'
import { createRedisKeys, type RedisKeys } from './keys.js'
import { createLazyForms } from './lazy-forms.js'
import { createLazyWatches } from './lazy-watches.js'
import { createLimiter } from './limiter.js'
import { createLoader, type Loader } from './load-record.js'
import { createRecentSignOuts, type RecentSignOuts } from './recent-sign-outs.js'
import { createRename } from './rename-session.js'
import { createSealer, type Sealer } from './seal.js'
import { createSessionIndex, type SessionIndex, type SessionQuery } from './session-index.js'
import type { SessionRecord } from './session-record.js'
import { createSessionSaver } from './session-save.js'
import type { SessionStore } from './session-store.js'
import { createSessionStores } from './session-stores.js'
import { createSignIn, type SignInInput } from './sign-in.js'
import { createSignInDemands, type SignInDemands } from './sign-in-demands.js'
import { createSuccessors } from './successors.js'
import { type EndedSummary, parseTokens, type SessionSummary, type Tokens } from './ticket.js'
import { createTokenStore, type TokenStore } from './token-store.js'
import { createTransactionOverflow, type TransactionOverflow } from './transaction-overflow.js'
import { createUsedResponses, type UsedResponses } from './used-responses.js'

export type { LogoutTime, SignInTime } from './backend/logout-time.js'
export { createSessionId } from './session-id.js'
export type { SessionQuery } from './session-index.js'
export type { SessionRecord } from './session-record.js'
export type { SignInInput } from './sign-in.js'

export interface RecordStoreSettings {
  /** An ioredis 5 or 6 client (plain, Sentinel or Cluster), a node-redis 5 or 6 client or a URL. Without it everything is kept in the memory of this process. */
  readonly redis?: RedisClient | NodeRedisClient | string
  /** Newest first: that one writes, all of them read. */
  readonly secrets: readonly string[]
  /** Whose sessions these are: another realm cannot read them, even with the same Redis and the same secret. */
  readonly realm?: string
  /** What all keys in Redis begin with. Defaults to `oidc:`. */
  readonly prefix?: string
  /** Seconds a session lives without a request. */
  readonly idle: number
  /** Seconds a session lives at most. */
  readonly absolute: number
  /** Milliseconds one operation on Redis may take, 800 being a good value. */
  readonly timeout: number
  readonly now: () => Date
  readonly log: Log
  /** Whether {@link RecordStore.demandSignIn} is used in this site. Default `false`: records are not looked at for it. */
  readonly readsDemands?: boolean
  /** Whether {@link RecordStore.takeExpired} is used in this site. Default `false`: nothing is kept for it. */
  readonly remembersExpired?: boolean
  /** Whether {@link RecordStore.keptForms} is used in this site. Default `false`: what is known of an expired session is read once. */
  readonly keepsForms?: boolean
  /** Told of every session of a user that the site has ended by way of the session store. */
  readonly onDestroyed?: (ended: EndedSummary) => void
  /** Whether {@link RecordStore.bindDevice} is used in this site. Default `false`: records are not looked at for it. */
  readonly readsDevices?: boolean
  /** What `req.session.cookie` says. */
  readonly cookie?: Readonly<CookieOptions>
}

/** What a session left behind. */
export interface EndedSession {
  /** The name of the provider, where the site has several and that is known. */
  readonly provider?: string
  /** Those it had at its end: a refresh that came just before the end is among them. */
  readonly tokens: Tokens | undefined
  /** `undefined` where no user was signed in, or where it cannot be read. */
  readonly summary: EndedSummary | undefined
}

/** One session of a list, without its id, which only the browser knows. */
export interface ListedSession extends SessionSummary {
  /** Names the session in `sessions.destroy(handle)`. */
  readonly handle: string
  /** When its lifetime was last extended, in seconds since the epoch; a session in use is at most some minutes ahead of it. */
  readonly lastSeenAt: number
  /** Whether the session is bound to a key of its browser. */
  readonly isDeviceBound: boolean
}

/**
 * Everything a site remembers about its users. One record per session holds the sign-in, its tokens and the site's own data, so that
 * they are loaded together and end together. All methods throw {@link OidcError} ERR_OIDC_STORE_UNAVAILABLE when Redis does not respond.
 */
export interface RecordStore extends Loader, SessionEnder, SignInDemands, DeviceKeys {
  readonly sealer: Sealer
  /** Begins a session and ends the `previous` ones; resolves with its id when everything is written. */
  signIn(input: SignInInput): Promise<string>
  /** The session of the same user that took the place of `id` in the same browser. `undefined`: there is none. */
  successorOf(id: string): Promise<string | undefined>
  /**
   * Ends an anonymous session of the browser that shows the session of `record` as well. Where it began before the user had signed in,
   * the top-level keys `keep` of its data go into the session of the user, unless they are there already.
   */
  adopt(record: SessionRecord, anonymousId: string, keep: readonly string[]): Promise<void>
  /** Whether a later sign-in of the same browser took the place of `id`, of the same user or of another. */
  isReplaced(id: string): Promise<boolean>
  /** The tokens of a session, for a refresh. */
  tokenStore(id: string): TokenStore
  /** Tokens of this client itself. `purpose` says what they are for, and what is not for the same purpose is apart. */
  clientTokenStore(purpose: string): TokenStore
  /**
   * Ends the session at `endsAt` (seconds since the epoch), but never past its absolute end. Asked again it may put the end off. Does nothing
   * for a session that is gone or replaced.
   */
  limit(id: string, endsAt: number): Promise<void>
  /** The record and what leads to it are gone afterwards. `undefined`: there was none. `reason` is for those who watch it. */
  end(id: string, reason?: SignOutReason): Promise<EndedSession | undefined>
  /**
   * Learns of the end of a session, whichever process ends it and also by time. Where the same user goes on with another session in its place,
   * that one is watched.
   *
   * @param onEnd - called once; must not throw
   * @returns what stops it
   */
  watch(id: string, onEnd: (reason: SessionEndReason | undefined) => void): () => void
  /** What names a session in {@link list} and {@link endOne}. It says nothing about the id. */
  handleOf(id: string): string
  /** Sessions of a person or of a session at the provider, without knowing their ids. */
  list(query: SessionQuery): Promise<readonly ListedSession[]>
  readonly signOuts: RecentSignOuts
  readonly browserSignOuts: BrowserSignOuts
  /** True the first time within `ttl` seconds, in whichever process that is. */
  consume(purpose: string, value: string, ttl: number): Promise<boolean>
  /** Which responses of the provider were used. */
  readonly usedResponses: UsedResponses
  readonly transactionOverflow: TransactionOverflow
  readonly browserSessions: BrowserSessions
  /**
   * Who was signed in with an id that leads to no session now, if that session has expired: the first time, in whichever process that is. What
   * a sign-out has ended, or another session took the place of, has not expired.
   */
  takeExpired(id: string): Promise<EndedSummary | undefined>
  /** The same, however often it is asked, and also for a session that ended because the provider refused to refresh its tokens. */
  findExpired(id: string): Promise<EndedSummary | undefined>
  /** Forms that are to be sent after a sign-in. Loads what it takes. */
  keptForms(): Promise<KeptForms>
  /** Whether {@link consume} was asked less than its `ttl` ago, without asking it. */
  isConsumed(purpose: string, value: string): Promise<boolean>
  readonly sessions: SessionStore
  /** The same where `req.session.cookie.secure` is another than the settings say. */
  sessionsWith(secure: boolean): SessionStore
  /** When something starts, to be ordered before or after logouts of other processes: see {@link SignInTime}. No command. */
  startTime(): number
  ping(): Promise<void>
  /** Closes the connection if it was made from a URL. */
  close(): Promise<void>
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function createRecordStore(settings: RecordStoreSettings): RecordStore {
  const { secrets, prefix = 'oidc:', timeout, cookie, log } = settings
  const [idle, absolute] = [Math.floor(settings.idle), Math.floor(settings.absolute)]
  const now = () => Math.floor(settings.now().getTime() / 1000)
  const sealer = createSealer(secrets, settings.realm)
  const redisKeys = createRedisKeys(prefix, sealer)
  const backend = createBackend({ ...settings, prefix }, now)
  const clock = createStoreClock(backend)
  const index = createSessionIndex(backend, redisKeys, sealer, now)

  const expired = rememberExpired(settings, { backend, redisKeys, index, now })
  const endRecord = createRecordEnder({ backend, redisKeys, index, expired })

  const shared = { backend, redisKeys, sealer, idle, now }
  const successors = createSuccessors(backend, redisKeys, sealer)
  const { readsDemands = false, readsDevices = false } = settings
  const loader = createLoader({ ...shared, log, endRecord, readsDemands, readsDevices })
  const watches = createLazyWatches({ ...shared, successors })
  const save = createSessionSaver({ ...shared, absolute, timeout, successorOf: successors.of })
  const { load } = loader
  const limit = createLimiter(shared)
  const client = createStoreClient(backend, redisKeys, sealer, async key => {
    const { existed, summary } = await endRecord(key)
    if (existed && summary !== undefined) settings.onDestroyed?.(summary)
    return existed
  })
  const sessions = createSessionStores({ client, save, limit, now: settings.now, ...(cookie && { cookie }) })
  const signIn = createSignIn({ ...shared, index, absolute, load, endRecord, successors, save, expired })

  return {
    sealer,
    ...loader,
    signIn,
    successorOf: successors.of,
    isReplaced: successors.has,
    adopt: createAdoption({ backend, redisKeys, absolute, load, save, endRecord }),
    tokenStore: id => tokenStoreOf(redisKeys.record(id), id, 'tokens'),
    clientTokenStore: purpose => tokenStoreOf(redisKeys.client(purpose), purpose, 'client'),
    limit,
    watch: watches.watch,
    end: async (id, reason) => openEnded(await endRecord(redisKeys.record(id), { reason }), id, sealer),
    handleOf: id => redisKeys.handle(redisKeys.record(id)),
    list: createList({ backend, index, redisKeys, now }),
    ...createSessionEnder({ backend, redisKeys, index, client, clock, endRecord }),
    ...createSignInDemands(backend, index, clock),
    ...createDeviceKeys(shared),
    signOuts: createRecentSignOuts(backend, redisKeys, sealer),
    browserSignOuts: createBrowserSignOuts(backend, redisKeys, clock),
    consume: (purpose, value, ttl) => backend.consume(redisKeys.consumed(purpose, value), ttl),
    takeExpired: id => expired.take(redisKeys.record(id)),
    findExpired: id => expired.find(redisKeys.record(id)),
    keptForms: createLazyForms(shared),
    isConsumed: (purpose, value) => backend.isConsumed(redisKeys.consumed(purpose, value)),
    usedResponses: createUsedResponses(backend, redisKeys, sealer),
    transactionOverflow: createTransactionOverflow(backend, redisKeys, sealer, now),
    browserSessions: createBrowserSessions({ ...shared, clock }),
    sessions: sessions(cookie?.secure === true),
    sessionsWith: sessions,
    startTime: clock.earliest,
    ping: () => backend.ping(),
    async close() {
      watches.close()
      await backend.close()
    },
  }

  function tokenStoreOf(key: string, context: string, purpose: 'tokens' | 'client'): TokenStore {
    const forget = async (sealed: Buffer | undefined) => {
      const summary = index.openSummary(key, sealed)
      if (summary) await index.remove(key, summary).catch(() => {})
    }
    const rename = createRename(backend, index, key, async () => void (await endRecord(key)))
    const removeIf = (version: string) =>
      expired.whileForgotten(key, () => backend.removeIf(key, version, 'refresh-rejected'), { isLapse: true })
    return createTokenStore({ backend, sealer, key, context, purpose, now, forget, rename, removeIf })
  }
}

/** Few sites need to know of sessions that have expired. */
function rememberExpired(
  { remembersExpired = false, keepsForms = false }: RecordStoreSettings,
  parts: Omit<Parameters<typeof createExpiredSessions>[0], 'isFound'>,
) {
  return remembersExpired || keepsForms ? createExpiredSessions({ ...parts, isFound: keepsForms }) : NOT_REMEMBERED
}

interface ListSettings {
  readonly backend: Backend
  readonly index: SessionIndex
  readonly redisKeys: RedisKeys
  /** Epoch s. */
  readonly now: () => number
}

function createList({ backend, index, redisKeys, now }: ListSettings): RecordStore['list'] {
  async function listed(key: string): Promise<ListedSession | undefined> {
    const [sealed, expiryText, device] = await backend.read(key, [FIELD.summary, FIELD.expiry, FIELD.device])
    const expiry = expiryText ? parseExpiry(expiryText.toString()) : undefined
    const summary = index.openSummary(key, sealed)
    if (summary === undefined || expiry === undefined || expiry.endsAt <= now()) return undefined
    const expiresAt = Math.min(summary.expiresAt, expiry.endsAt)
    return {
      ...summary,
      expiresAt,
      handle: redisKeys.handle(key),
      lastSeenAt: expiry.extendedAt,
      isDeviceBound: Boolean(device),
    }
  }

  return async query => (await mapInBatches(await index.find(query), listed)).filter(item => item !== undefined)
}

/** What a session was, opened for the last time. */
function openEnded({ existed, tokens, summary }: EndedRecord, id: string, sealer: Sealer): EndedSession | undefined {
  const opened = tokens && parseTokens(sealer.open('tokens', id, tokens))
  sealer.forget(id)
  if (!existed) return undefined
  return {
    ...(summary?.provider !== undefined && { provider: summary.provider }),
    tokens: opened ?? undefined,
    summary,
  }
}
