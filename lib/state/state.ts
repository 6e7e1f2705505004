import type { CookieOptions } from 'express-session'
import { createAdoption } from './adoption.js'
import { type AnswerMarks, createAnswerMarks } from './answer-marks.js'
import { mapInBatches } from './batches.js'
import { type BrowserSessions, createBrowserSessions } from './browser-sessions.js'
import { type BrowserSignOuts, createBrowserSignOuts } from './browser-sign-outs.js'
import { createBackend } from './create-backend.js'
import { createSessionEnder, type EndedRecord, type SessionEnder } from './end-all.js'
import { parseLife } from './life.js'
import { createLoader, type Loader } from './load-record.js'
import { createNames } from './names.js'
import { createParking, type Parking } from './parking.js'
import { FIELD } from './record-fields.js'
import type { RedisClient } from './redis-client.js'
import { createRename } from './rename.js'
import { createSealer, type Sealer } from './seal.js'
import { createSessionIndex, type SessionQuery } from './session-index.js'
import type { SessionRecord } from './session-record.js'
import { createSessionSaver } from './session-save.js'
import { SessionStore } from './session-store.js'
import { createSignIn, type SignInInput } from './sign-in.js'
import { createSignOutNotes, type SignOutNotes } from './sign-out-notes.js'
import { createStoreClient } from './store-client.js'
import { createStoreClock } from './store-clock.js'
import { createSuccessors } from './successors.js'
import { parseTokens, type SessionSummary, type Ticket, type Tokens } from './ticket.js'
import { createTokenVault, type TokenVault } from './token-vault.js'

export type { LogoutMoment, SignInMoment } from './moments.js'
export { createSessionId } from './session-id.js'
export type { SessionQuery } from './session-index.js'
export type { SessionRecord } from './session-record.js'
export type { SignInInput } from './sign-in.js'

export interface StateSettings {
  /** An ioredis 5 or 6 client (plain, Sentinel or Cluster) or a URL. Without it everything is kept in the memory of this process. */
  readonly redis?: RedisClient | string
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
  readonly log: (line: string) => void
  /** What `req.session.cookie` says. */
  readonly cookie?: Readonly<CookieOptions>
}

/** What `replace` writes; what is left out stays as it is. */
export type Replacement =
  | { readonly ticket: Ticket; readonly tokens?: Tokens }
  | { readonly ticket?: Ticket; readonly tokens: Tokens }

/** What a session left behind. */
export interface EndedSession {
  /** Those it had in its last moment: a refresh that came just before the end is among them. */
  readonly tokens: Tokens | undefined
}

/** One session of a list, without its id, which nobody but the browser knows. */
export interface ListedSession extends SessionSummary {
  /** Names the session in `sessions.destroy(handle)`. */
  readonly handle: string
  /** When its life was last extended, in seconds since the epoch; a session in use is at most some minutes ahead of it. */
  readonly lastSeenAt: number
}

/**
 * Everything a site remembers about its visitors. One record per session holds the sign-in, its tokens and the site's own data, so that
 * they are loaded together and end together. All methods throw {@link OidcError} ERR_OIDC_STORE_UNAVAILABLE when Redis does not answer.
 */
export interface State extends Loader, SessionEnder {
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
  /** Whether a later sign-in of the same browser took the place of `id`, whoever signed in. */
  isReplaced(id: string): Promise<boolean>
  /** The tokens of a session, for whoever renews them. */
  vault(id: string): TokenVault
  /** Tokens of this client itself. `purpose` says what they are for, and what is not for the same purpose is apart. */
  clientVault(purpose: string): TokenVault
  /** Only if somebody is still signed in there. The absolute end stays that of the sign-in. */
  replace(id: string, replacement: Replacement): Promise<boolean>
  /** The record and what leads to it are gone afterwards. `undefined`: there was none. */
  end(id: string): Promise<EndedSession | undefined>
  /** What names a session in {@link list} and {@link endOne}. It says nothing about the id. */
  handleOf(id: string): string
  /** Sessions of a person or of a session at the provider, without knowing their ids. */
  list(query: SessionQuery): Promise<readonly ListedSession[]>
  readonly signOuts: SignOutNotes
  readonly browserSignOuts: BrowserSignOuts
  /** True the first time within `ttl` seconds, in whichever process that is. */
  once(purpose: string, value: string, ttl: number): Promise<boolean>
  /** Which answers of the provider were used. */
  readonly answers: AnswerMarks
  readonly parking: Parking
  readonly browserSessions: BrowserSessions
  /** Whether {@link once} was asked less than its `ttl` ago, without asking it. */
  hasHappened(purpose: string, value: string): Promise<boolean>
  readonly sessions: SessionStore
  /** When something starts, to be ordered before or after logouts of other processes: see {@link SignInMoment}. No command. */
  startTime(): number
  ping(): Promise<void>
  /** Closes the connection if it was made from a URL. */
  close(): Promise<void>
}

/** @throws {OidcError} ERR_OIDC_OPTIONS */
export function createState(settings: StateSettings): State {
  const { secrets, prefix = 'oidc:', timeout, cookie } = settings
  const idle = Math.floor(settings.idle)
  const absolute = Math.floor(settings.absolute)
  const now = () => Math.floor(settings.now().getTime() / 1000)
  const sealer = createSealer(secrets, settings.realm)
  const names = createNames(prefix, sealer)
  const backend = createBackend({ ...settings, prefix }, now)
  const clock = createStoreClock(backend)
  const index = createSessionIndex(backend, names, sealer, now)

  async function endRecord(key: string, query?: SessionQuery): Promise<EndedRecord> {
    const { existed, summary: sealed, tokens } = await backend.remove(key)
    const summary = index.openSummary(key, sealed)
    // The session has ended; an entry that leads nowhere does no harm and is forgotten in time.
    if (summary) await index.remove(key, summary, query).catch(() => {})
    return { existed, summary, tokens }
  }

  const { log } = settings
  const successors = createSuccessors(backend, names, sealer)
  const loader = createLoader({ backend, names, sealer, idle, now, log, endRecord })
  const successorOf = successors.of
  const save = createSessionSaver({ backend, sealer, names, idle, absolute, timeout, now, successorOf })
  const { load } = loader
  const signIn = createSignIn({ backend, sealer, names, index, idle, absolute, now, load, endRecord, successors, save })
  const client = createStoreClient(backend, names, sealer, async key => (await endRecord(key)).existed)

  return {
    sealer,
    ...loader,
    signIn,
    successorOf,
    isReplaced: successors.has,
    adopt: createAdoption({ names, absolute, load, save, endRecord }),
    vault: id => vaultOf(names.record(id), id, 'tokens'),
    clientVault: purpose => vaultOf(names.client(purpose), purpose, 'client'),
    replace: (id, { ticket, tokens }) =>
      backend.replace(names.record(id), {
        ...(ticket && { [FIELD.ticket]: sealer.seal('ticket', id, JSON.stringify(ticket)) }),
        ...(tokens && { [FIELD.tokens]: sealer.seal('tokens', id, JSON.stringify(tokens)) }),
      }),
    async end(id) {
      const { existed, tokens } = await endRecord(names.record(id))
      if (!existed) return undefined
      return { tokens: tokens ? parseTokens(sealer.open('tokens', id, tokens)) : undefined }
    },
    handleOf: id => client.handleOf(names.record(id)),
    list: async query => (await mapInBatches(await index.find(query), listed)).filter(item => item !== undefined),
    ...createSessionEnder({ backend, index, client, clock, endRecord }),
    signOuts: createSignOutNotes(backend, names, sealer),
    browserSignOuts: createBrowserSignOuts(backend, names, clock),
    once: (purpose, value, ttl) => backend.once(names.once(purpose, value), ttl),
    hasHappened: (purpose, value) => backend.hasHappened(names.once(purpose, value)),
    answers: createAnswerMarks(backend, names, sealer),
    parking: createParking(backend, names, sealer, now),
    browserSessions: createBrowserSessions({ backend, names, sealer, clock, idle, now }),
    sessions: new SessionStore({ client, save, ...(cookie && { cookie }) }),
    startTime: clock.earliest,
    ping: () => backend.ping(),
    close: () => backend.close(),
  }

  function vaultOf(key: string, context: string, purpose: 'tokens' | 'client'): TokenVault {
    const forget = async (sealed: Buffer | undefined) => {
      const summary = index.openSummary(key, sealed)
      if (summary) await index.remove(key, summary).catch(() => {})
    }
    const rename = createRename(backend, index, key, async () => void (await endRecord(key)))
    return createTokenVault({ backend, sealer, key, context, purpose, now, forget, rename })
  }

  async function listed(key: string): Promise<ListedSession | undefined> {
    const [sealed, lifeText] = await backend.read(key, [FIELD.summary, FIELD.life])
    const life = lifeText ? parseLife(lifeText.toString()) : undefined
    const summary = index.openSummary(key, sealed)
    if (summary === undefined || life === undefined || life.endsAt <= now()) return undefined
    return { ...summary, handle: client.handleOf(key), lastSeenAt: life.extendedAt }
  }
}
