import type { RareLog } from '../diagnostics/rare-log.js'
import { OidcError } from '../errors.js'
import type { Config, Services, SiteConfig } from '../options/config.js'
import type { BrowserName } from '../store/browser-sessions.js'
import type { EndedSession, SessionRecord } from '../store/store.js'
import type { Ticket, Tokens } from '../store/ticket.js'
import { monotonic } from '../time.js'
import type { AccessTokens } from '../tokens/access-tokens.js'
import type { ClientTokens } from '../tokens/client-tokens.js'
import type { Revocations } from '../tokens/revocation.js'
import type { TokenExchanges } from '../tokens/token-exchange.js'
import type { LogoutCookie } from './logout-cookie.js'
import type { HttpRequest, HttpResponse, Next } from './node-http.js'
import type { SessionBinding } from './session-binding.js'
import type { TransactionCookie } from './transaction-cookie.js'
import type { Transactions } from './transaction-state.js'

/** What the middleware is made of at one host; the same for every request there. */
export interface MiddlewareServices extends Services {
  readonly config: Config
  /** Of the host: the same for all of its providers. */
  readonly site: Config
  /** Tells the instance from others: the same at all of its hosts. */
  readonly instance: SiteConfig
  /** `undefined`: the site has one provider, and everything here belongs to it. */
  readonly providers: ProviderSelection | undefined
  readonly sessionBinding: SessionBinding
  readonly transactions: Transactions
  readonly transactionCookie: TransactionCookie
  readonly logoutCookie: LogoutCookie
  readonly rareLog: RareLog
  /** Whether the site has made `oidc.errorHandler()`: every error goes to `next` then. */
  readonly errorHandling: { isMade: boolean }
  readonly accessTokens: AccessTokens
  readonly clientTokens: ClientTokens
  readonly exchanges: TokenExchanges
  readonly revocations: Revocations
}

/** The providers of a site that has several. */
export interface ProviderSelection {
  /** Who is asked where nothing else decides. */
  readonly defaultName: string | undefined
  /** The page of the site on which the user chooses, where nothing else decides. */
  readonly page: string | undefined
  /**
   * Everything that belongs to one provider. `undefined`: there is no such provider.
   * @throws {OidcError} ERR_OIDC_PROVIDER_UNAVAILABLE where the site could not say; ERR_OIDC_OPTIONS
   */
  find(name: string): Promise<MiddlewareServices | undefined>
}

/** What belongs to a provider. `undefined`: there is no such provider, or not any more. */
export async function servicesOf(
  services: MiddlewareServices,
  name: string | undefined,
): Promise<MiddlewareServices | undefined> {
  if (name === services.config.providerName) return services
  return name === undefined ? undefined : services.providers?.find(name)
}

/** Revokes the tokens of a session that has ended, at the provider that issued them and at no other. */
export function revokeEnded(services: MiddlewareServices, { provider, tokens }: EndedSession): void {
  const revoke = ({ config, revocations }: MiddlewareServices) => {
    if (config.revokesTokens) revocations.inBackground(tokens)
  }
  if (provider === services.config.providerName) revoke(services)
  // Without its provider nothing can be revoked; the tokens expire.
  else
    servicesOf(services, provider).then(
      found => found && revoke(found),
      () => undefined,
    )
}

const OVER: readonly string[] = ['ERR_OIDC_LOGIN_REQUIRED', 'ERR_OIDC_REFRESH_REJECTED']

/** Sessions that took each other's place while one request was under way. */
const MOST_SUCCESSORS = 8

/** One request on its way through this package: what it came with, and how to go on. */
export class RequestContext {
  readonly services: MiddlewareServices
  readonly req: HttpRequest
  readonly res: HttpResponse
  readonly next: Next
  readonly record: SessionRecord | undefined
  /** Why it is not known whether a user is signed in: the session could not be loaded. */
  readonly failure: unknown
  /** The app that the middleware is mounted on; the request may be in another one by now. */
  readonly app: unknown
  readonly #receivedAt = monotonic()
  #ended = false
  /** The session this request goes on with, where its own one has ended. */
  #successor: string | undefined
  #refreshedTicket: Ticket | undefined

  constructor(
    services: MiddlewareServices,
    req: HttpRequest,
    res: HttpResponse,
    next: Next,
    { record, failure }: { readonly record?: SessionRecord | undefined; readonly failure?: unknown } = {},
  ) {
    this.services = services
    this.req = req
    this.res = res
    this.next = next
    this.record = record
    this.failure = failure
    this.app = req.app
  }

  /** The same request, to be handled with what belongs to a provider. What the site sees of it stays as it is. */
  at(services: MiddlewareServices): RequestContext {
    const { req, res, next, record, failure } = this
    return new RequestContext(services, req, res, next, { record, failure })
  }

  /** The sign-in this request belongs to. */
  ticket(): Ticket | undefined {
    return this.#signIn()?.ticket
  }

  #signIn(): { readonly id: string; readonly ticket: Ticket } | undefined {
    const { record } = this
    if (this.#ended || record === undefined || !this.services.sessionBinding.holds(this.req, record.id))
      return undefined
    const ticket = this.#refreshedTicket ?? record.ticket()
    return ticket && { id: this.#successor ?? record.id, ticket }
  }

  /** What this request sees of the sign-in from now on. */
  replaceTicket(ticket: Ticket): void {
    this.#refreshedTicket = ticket
  }

  /** @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED; ERR_OIDC_STORE_UNAVAILABLE where that is not known */
  signedIn(): { readonly id: string; readonly ticket: Ticket } {
    const signIn = this.#signIn()
    if (this.failure !== undefined) throw this.failure
    if (signIn === undefined) throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'no user is signed in')
    return signIn
  }

  /**
   * Does what may find out that the session has ended. Where the same user has signed in anew in this browser meanwhile, the request goes
   * on with that session, and `work` is told so; otherwise nothing of the ended one is seen by what still runs in this request.
   */
  async whileSignedIn<T>(work: (id: string, isSuccessor: boolean) => Promise<T>): Promise<T> {
    for (let hops = 0; ; hops += 1) {
      const { id } = this.signedIn()
      try {
        return await work(id, hops > 0)
      } catch (error) {
        if (!(error instanceof OidcError && OVER.includes(error.code))) throw error
        const { store, sessionBinding } = this.services
        const successor = hops < MOST_SUCCESSORS ? await store.successorOf(id).catch(() => undefined) : undefined
        if (successor === undefined) {
          this.#ended = true
          // Its cookie stays: by now it may be that of another sign-in.
          if (!this.res.headersSent) await sessionBinding.end(this.req, [id]).catch(() => {})
          throw error
        }
        this.#successor = successor
      }
    }
  }

  /** Names the session in lists of sessions; `undefined` when no user is signed in. */
  handle(): string | undefined {
    const { record, services } = this
    return record === undefined || this.ticket() === undefined ? undefined : services.store.handleOf(record.id)
  }

  /** The tokens, read now; `undefined` when the session has ended meanwhile. */
  async readTokens(): Promise<Tokens | undefined> {
    const id = this.#successor ?? this.record?.id
    return this.#ended || id === undefined ? undefined : this.services.store.readTokens(id)
  }

  /**
   * Ends the session, and every other one that this browser got, so that nothing of it is seen by what still runs in this
   * request. Resolves with those that were there.
   */
  async end(): Promise<readonly EndedSession[]> {
    const { sessionBinding, transactionCookie } = this.services
    const binding = transactionCookie.read(this.req, this.res)
    const known = typeof binding === 'object' ? [binding.sessionId, ...(await this.#browserSessions(binding))] : []
    const mine = [this.#successor, this.record?.id, ...sessionBinding.idsOf(this.req), ...known]
    const ids = [...new Set(mine.filter(id => id !== undefined))]
    this.#ended = true
    const ended = await sessionBinding.end(this.req, ids, 'logout')
    for (const session of ended) revokeEnded(this.services, session)
    sessionBinding.forget(this.req, this.res)
    return ended
  }

  /** What the browser had when this request came: a user who has signed in since then stays signed in. */
  #browserSessions(browser: BrowserName): Promise<readonly string[]> {
    const { store } = this.services
    const receivedAt = store.startTime() - (monotonic() - this.#receivedAt) * 1000
    return store.browserSessions.of(browser, receivedAt)
  }
}
