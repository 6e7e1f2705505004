import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseTransaction, type Transaction } from '../protocol/transaction.js'
import type { Sealer } from '../state/seal.js'
import { type CookieAttributes, clearCookie, hostCookieName, readCookies, setCookie } from './cookies.js'
import { epochSeconds, type Site } from './site.js'

/** Seconds an attempt to sign in may take. */
export const transactionLifetime = 15 * 60

/** Seconds after which no attempt is left that began before: clocks differ a little, and the last steps of a sign-in take a moment. */
export const attemptsRemembered = transactionLifetime + 2 * 60

/** The cookie lives a little longer than the attempt, so that a late answer is recognised and started anew instead of refused. */
const cookieLifetime = 4 * transactionLifetime

/** More attempts than this at once are not a person's doing; the oldest go. */
const maxTransactions = 7

/**
 * Characters of the cookies of all attempts together. A server answers 431 to every request whose headers are longer than it reads
 * (16 KiB in Node), so that a few attempts with long return addresses would lock a browser out of the whole site.
 */
const maxCharacters = 8 * 1024

/** What stays of a finished attempt: enough to answer a reload, and to find the session this browser got. */
interface FinishedTransaction {
  readonly finished: true
  readonly returnTo: string
  readonly sessionId: string
  readonly createdAt: number
}

/** An attempt to sign in, under way or finished. */
export type Attempt = Transaction | FinishedTransaction

interface AttemptCookie {
  readonly name: string
  readonly value: Attempt
  /** Characters in the Cookie header. */
  readonly size: number
}

/**
 * The cookies that bind an attempt to sign in to the browser it was started in: one per attempt, named after its state, sealed.
 * They are the only cookies of ours that come along on the provider's cross-site POST.
 */
export interface TransactionCookies {
  /** Adds the cookie of a new attempt and removes what is stale, unreadable or too much. */
  save(req: IncomingMessage, res: ServerResponse, transaction: Transaction): void
  /** The attempt a state belongs to in this browser. */
  find(req: IncomingMessage, state: string): Attempt | undefined
  /** Turns the cookie of an attempt into a note of how it ended. */
  finish(res: ServerResponse, transaction: Transaction, sessionId: string): void
  /** Session ids this browser got from attempts that finished a short while ago, newest first. */
  recentSessions(req: IncomingMessage): string[]
}

export function isFinished(attempt: Attempt): attempt is FinishedTransaction {
  return 'finished' in attempt
}

export function createTransactionCookies(site: Site, sealer: Sealer): TransactionCookies {
  const attributes = cookieAttributes(site)
  const prefix = hostCookieName(`oidc.${fingerprint(`${site.issuer}\n${site.clientId}`, 6)}.`, attributes.secure)
  const nameOf = (state: string) => prefix + fingerprint(state, 16)

  const seal = (name: string, value: Attempt) =>
    sealer.seal('transaction', name, JSON.stringify(value)).toString('base64url')
  const read = (name: string, sealed: string | undefined): Attempt | undefined => {
    const opened = sealed === undefined ? undefined : sealer.open('transaction', name, Buffer.from(sealed, 'base64url'))
    return opened === undefined ? undefined : parseAttempt(JSON.parse(opened.toString()))
  }
  const attempts = (req: IncomingMessage): { name: string; value: Attempt | undefined; size: number }[] =>
    Object.entries(readCookies(req))
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, sealed = '']) => ({ name, value: read(name, sealed), size: sizeOf(name, sealed) }))

  return {
    save(req, res, transaction) {
      const oldestUseful = transaction.createdAt - cookieLifetime
      const [live, stale] = partition(attempts(req), (attempt): attempt is AttemptCookie => {
        return attempt.value !== undefined && attempt.value.createdAt > oldestUseful
      })
      const name = nameOf(transaction.state)
      const sealed = seal(name, transaction)
      const evicted = tooMany(newestFirst(live), maxCharacters - sizeOf(name, sealed))
      for (const old of [...stale, ...evicted]) clearCookie(res, old.name, attributes)
      setCookie(res, name, sealed, { ...attributes, maxAge: cookieLifetime })
    },
    find(req, state) {
      const name = nameOf(state)
      return read(name, readCookies(req)[name])
    },
    finish(res, { state, returnTo }, sessionId) {
      // No attempt of another tab outlives this note, and a reload after that long starts anew.
      const note = { finished: true, returnTo, sessionId, createdAt: epochSeconds(site) } as const
      const name = nameOf(state)
      setCookie(res, name, seal(name, note), { ...attributes, maxAge: transactionLifetime })
    },
    recentSessions(req) {
      return attempts(req)
        .map(({ value }) => value)
        .filter(value => value !== undefined && isFinished(value))
        .sort((a, b) => b.createdAt - a.createdAt)
        .map(({ sessionId }) => sessionId)
    },
  }
}

/** A cross-site POST brings only SameSite=None cookies, which browsers accept only with Secure; `query` comes back by a GET, where Lax is enough. */
function cookieAttributes(site: Site): CookieAttributes {
  const crossSitePost = site.responseMode === 'form_post'
  return { secure: site.secure || crossSitePost, sameSite: crossSitePost ? 'none' : 'lax', maxAge: cookieLifetime }
}

function parseAttempt(value: unknown): Attempt | undefined {
  if (typeof value === 'object' && value !== null && 'finished' in value) return value as FinishedTransaction
  return parseTransaction(value)
}

/** Browsers send older cookies first, which decides between attempts of the same second. */
function newestFirst(attempts: readonly AttemptCookie[]): AttemptCookie[] {
  return [...attempts].reverse().sort((a, b) => b.value.createdAt - a.value.createdAt)
}

/** What does not fit in beside a new attempt, from the first that does not. */
function tooMany(attempts: readonly AttemptCookie[], room: number): readonly AttemptCookie[] {
  let left = room
  const first = attempts.findIndex(({ size }, index) => {
    left -= size
    return index === maxTransactions - 1 || left < 0
  })
  return first === -1 ? [] : attempts.slice(first)
}

/** With the `=` and the separator. */
function sizeOf(name: string, sealed: string): number {
  return name.length + sealed.length + 3
}

function partition<T, U extends T>(items: readonly T[], isWanted: (item: T) => item is U): [U[], T[]] {
  return [items.filter(isWanted), items.filter(item => !isWanted(item))]
}

function fingerprint(text: string, length: number): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, length)
}
