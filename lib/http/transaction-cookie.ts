import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Config, epochSeconds } from '../options/config.js'
import { isPosted } from '../protocol/response-mode.js'
import { isNumericDate } from '../protocol/time.js'
import { type BoundBrowser, fingerprint } from '../protocol/transaction.js'
import type { RecordStore } from '../store/store.js'
import { type CookieAttributes, hostCookieName, readCookies, setCookie } from './cookies.js'

/** Seconds an attempt to sign in may take. */
export const transactionLifetime = 15 * 60

/** Seconds after which no attempt is left that began before: clocks differ a little, and the last steps of a sign-in take some time. */
export const longestSignIn = transactionLifetime + 2 * 60

/** Seconds the browser keeps the cookie. */
const LIFETIME = 24 * 60 * 60

/** Seconds after which the start of a sign-in sets the cookie anew, so that it does not expire while the user is at the provider. */
const REISSUED_AFTER = LIFETIME / 2

/** Microseconds by which a sign-out counts as later than it was: clocks differ, and in doubt the sign-out wins. */
const DOUBT = 1_000_000

/** Characters of the longest session id that is remembered. Ours have 43. */
const LONGEST_SESSION_ID = 128

/** What the cookie says: which browser this is, and which session it got last. */
export interface BrowserBinding extends BoundBrowser {
  /** When the cookie was set, in seconds since the epoch. */
  readonly setAt: number
  /** The id of the first binding. It stays the same through sign-outs, for as long as the browser keeps the cookie. */
  readonly browser: string
  /** When the sign-out that made this binding left its mark in the store, in microseconds on the clock of the store. */
  readonly markedAt?: number
  /** The session the last sign-in of this browser has brought. */
  readonly sessionId?: string
  /** When that was, in seconds since the epoch. */
  readonly signedInAt?: number
  /** Who signed in last, as a digest that only this browser's binding gives. See {@link digestOfUser}. */
  readonly user?: string
  /** How many sign-ins in a row ended without a session in the next request. */
  readonly rounds?: number
  /** How the cookie was set. It has to be set anew where the response mode has changed since. */
  readonly sameSite: CookieAttributes['sameSite']
}

/** `unreadable`: the request has the cookie, and none of our secrets opens it. */
export type FoundBinding = BrowserBinding | 'unreadable' | undefined

/**
 * The one cookie that binds all attempts of a browser to it. The attempts themselves travel in `state`. It is the only cookie of ours that
 * comes along on the provider's cross-site POST, and so it also says which session the browser has.
 */
export interface TransactionCookie {
  /** The cookies of the browser, as this request sent them and its response changed them. */
  read(req: IncomingMessage, res: ServerResponse): FoundBinding
  /** The same, and a new one where there is none that can be read. The browser gets it when the caller calls `keep`. */
  prepare(req: IncomingMessage, res: ServerResponse): { readonly binding: BrowserBinding; keep(): void }
  /** Records which session the browser gets with this response. */
  remember(
    res: ServerResponse,
    binding: BrowserBinding,
    session: { readonly id: string; readonly rounds: number; readonly user: string },
  ): void
  /**
   * Call this where the user of a browser signs out, whatever the way. A sign-in that started before cannot be finished after it, and a response to
   * it says so. Returns the binding that the browser has from now on.
   *
   * @param markedAt - what {@link markSignOut} has returned
   * @param isForced - also for a browser that has no binding: a sign-in that it began before it lost the cookie must not begin anew. Default: false
   */
  signOut(
    req: IncomingMessage,
    res: ServerResponse,
    options: { readonly markedAt: number | undefined; readonly isForced?: boolean },
  ): BrowserBinding | undefined
}

export function createTransactionCookie(
  config: Config,
  store: Pick<RecordStore, 'sealer' | 'startTime'>,
): TransactionCookie {
  const { sealer, startTime } = store
  const attributes = cookieAttributes(config)
  // Two sites on one host share their cookies, whatever their ports and paths.
  const identity = fingerprint([config.issuer, config.clientId, config.baseUrl].join('\n'), 10)
  const name = hostCookieName(`oidc.${identity}`, attributes.secure)
  // On plain http, the name depends on the response mode, which a deployment may change.
  const names = config.secure
    ? [name]
    : [...new Set([name, ...[true, false].map(secure => hostCookieName(`oidc.${identity}`, secure))])]
  const pending = new WeakMap<ServerResponse, BrowserBinding>()

  function open(value: string): BrowserBinding | undefined {
    const opened = sealer.open('binding', identity, Buffer.from(value, 'base64url'))
    return opened === undefined ? undefined : parseBinding(opened.toString())
  }

  function read(req: IncomingMessage, res: ServerResponse): FoundBinding {
    const set = pending.get(res)
    if (set !== undefined) return set
    const cookies = readCookies(req)
    const values = names.map(known => cookies[known]).filter(value => value !== undefined)
    return values.length === 0 ? undefined : (values.map(open).find(binding => binding !== undefined) ?? 'unreadable')
  }

  function write(res: ServerResponse, content: Omit<BrowserBinding, 'sameSite'>): BrowserBinding {
    const binding = { ...content, sameSite: attributes.sameSite }
    pending.set(res, binding)
    const sealed = sealer.seal('binding', identity, formatBinding(binding)).toString('base64url')
    setCookie(res, name, sealed, attributes)
    return binding
  }

  return {
    read,
    prepare(req, res) {
      const now = epochSeconds(config)
      const found = read(req, res)
      const isKnown = typeof found === 'object'
      const { sameSite } = attributes
      if (isKnown && found.setAt + REISSUED_AFTER >= now && found.sameSite === sameSite)
        return { binding: found, keep: () => undefined }
      const binding = isKnown
        ? { ...found, setAt: now, sameSite }
        : { ...newIds(), createdAt: now, setAt: now, sameSite }
      return { binding, keep: () => void write(res, binding) }
    },
    remember(res, binding, session) {
      write(res, afterSignIn(binding, session, config))
    },
    signOut(req, res, { markedAt, isForced = false }) {
      const found = read(req, res)
      if (res.headersSent || (typeof found !== 'object' && !isForced)) return undefined
      const now = epochSeconds(config)
      return write(res, {
        ...newIds(),
        ...(typeof found === 'object' && { browser: found.browser, ...(found.user && { user: found.user }) }),
        createdAt: now,
        setAt: now,
        signedOutAt: (markedAt ?? startTime()) + DOUBT,
        ...(markedAt !== undefined && { markedAt }),
      })
    },
  }
}

/**
 * Remembers that this browser signs out: a sign-in that is being finished now does not outlast it. Returns when that was, in
 * microseconds on the clock of the store; `undefined` without a binding.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
 */
export async function markSignOut(
  req: IncomingMessage,
  res: ServerResponse,
  { transactionCookie, store }: { transactionCookie: TransactionCookie; store: Pick<RecordStore, 'browserSignOuts'> },
): Promise<number | undefined> {
  const binding = transactionCookie.read(req, res)
  return typeof binding === 'object' ? store.browserSignOuts.mark(binding, longestSignIn) : undefined
}

/** A cross-site POST brings only SameSite=None cookies, which browsers accept only with Secure; `query` comes back by a GET, where Lax is enough. */
function cookieAttributes(config: Config): CookieAttributes {
  const crossSitePost = isPosted(config.responseMode)
  return { secure: config.secure || crossSitePost, sameSite: crossSitePost ? 'none' : 'lax', maxAge: LIFETIME }
}

/** The binding of a browser that gets a session. */
function afterSignIn(
  { id, browser, createdAt, signedOutAt, markedAt }: BrowserBinding,
  session: Parameters<TransactionCookie['remember']>[2],
  config: Config,
): Omit<BrowserBinding, 'sameSite'> {
  const { id: sessionId, rounds, user } = session
  return {
    id,
    browser,
    createdAt,
    setAt: epochSeconds(config),
    user,
    ...(signedOutAt !== undefined && { signedOutAt }),
    ...(markedAt !== undefined && { markedAt }),
    ...(sessionId.length <= LONGEST_SESSION_ID && { sessionId, signedInAt: config.now().getTime() / 1000 }),
    ...(rounds > 0 && { rounds }),
  }
}

/** Tells users apart without saying who they are: the same user has another digest in another browser. */
export function digestOfUser({ browser }: Pick<BrowserBinding, 'browser'>, subject: string): string {
  return fingerprint(JSON.stringify([browser, subject]))
}

/** The ids of a browser's first binding. */
function newIds(): Pick<BrowserBinding, 'id' | 'browser'> {
  const id = randomId()
  return { id, browser: id }
}

/** 128 bits. */
function randomId(): string {
  return randomBytes(16).toString('base64url')
}

/** A list, because names would make the cookie longer. */
function formatBinding(binding: BrowserBinding): string {
  const { id, createdAt, setAt, signedOutAt = 0, sessionId = '', signedInAt = 0, rounds = 0, sameSite } = binding
  const { browser, markedAt = 0, user = '' } = binding
  const list = [id, createdAt, setAt, signedOutAt, sessionId, signedInAt, rounds, sameSite]
  return JSON.stringify([...list, browser === id ? '' : browser, markedAt, user])
}

function parseBinding(text: string): BrowserBinding | undefined {
  const value: unknown = JSON.parse(text)
  if (!Array.isArray(value)) return undefined
  const [id, createdAt, setAt, signedOutAt, sessionId, signedInAt, rounds, sameSite] = value as readonly unknown[]
  const [browser = '', markedAt = 0, user = ''] = (value as readonly unknown[]).slice(8)
  const numbers = [createdAt, setAt, signedInAt, rounds]
  if (typeof id !== 'string' || typeof sessionId !== 'string' || !numbers.every(isNumericDate)) return undefined
  if (![signedOutAt, markedAt].every(Number.isSafeInteger) || ![browser, user].every(text => typeof text === 'string'))
    return undefined
  return {
    id,
    browser: browser === '' ? id : String(browser),
    ...(user !== '' && { user: String(user) }),
    createdAt: Number(createdAt),
    setAt: Number(setAt),
    sameSite: sameSite === 'none' ? 'none' : 'lax',
    ...(signedOutAt !== 0 && { signedOutAt: Number(signedOutAt) }),
    ...(markedAt !== 0 && { markedAt: Number(markedAt) }),
    ...(sessionId !== '' && { sessionId, signedInAt: Number(signedInAt) }),
    ...(rounds !== 0 && { rounds: Number(rounds) }),
  }
}
