import type { Facts } from './rules.js'

/** A session at the site, as seen from outside: it has begun, and something has ended it. */
export interface ModelSession {
  readonly user: string
  isAlive: boolean
  /** Earlier sessions of the same user: they end when the browser shows that it has this one. */
  readonly replaces: readonly ModelSession[]
}

/** What the cookie that binds the browser stands for. */
export interface ModelBinding {
  /** The name of this binding: it stays the same from the start of a sign-in to the next sign-out. */
  readonly generation: number
  /** The first generation of this browser. */
  readonly browser: number
  readonly signedOutAt?: number
  readonly session?: ModelSession
  readonly signedInAt?: number
}

/** An attempt to sign in. */
export interface ModelAttempt {
  readonly generation: number
  readonly startedAt: number
  /** When the first of a chain of attempts began, of which each began anew by itself. */
  readonly begunAt: number
  readonly restarts: number
  /** Begun by a user who was signed in. */
  readonly asksForMore: boolean
  /** Begun without a session, a moment after a sign-in: the cookie may have got lost. */
  readonly isCircle: boolean
  readonly session: ModelSession | undefined
  used: { readonly body: string; readonly session: ModelSession } | undefined
}

/** A response of the provider that the browser holds. */
export interface ModelResponse {
  readonly user: string
  readonly state: string
  readonly body: string
  readonly issuedAt: number
  /** When this user has typed the password at the provider, for this response or for an earlier one. */
  readonly typedAt: number
}

/** What has happened, on a clock that counts requests. Everything that cookies and `state` stand for is found here by their values. */
export class History {
  now = 0
  readonly sessions = new Map<string, ModelSession>()
  readonly bindings = new Map<string, ModelBinding>()
  readonly attempts = new Map<string, ModelAttempt>()
  /** When the provider has ended the sessions of a user. */
  readonly endedByProvider = new Map<string, number>()
  /** When the user has signed out with a binding, by its generation and by that of the first one. */
  readonly signOuts = new Map<number, number>()
  #generations = 0

  tick(): number {
    this.now += 1
    return this.now
  }

  newGeneration(): number {
    this.#generations += 1
    return this.#generations
  }

  factsOf(response: ModelResponse, attempt: ModelAttempt, binding: ModelBinding | undefined): Facts {
    const { used } = attempt
    const latest = binding?.session?.isAlive ? binding.session : undefined
    const isSameUser = latest?.user === response.user && (binding?.signedInAt ?? 0) >= attempt.begunAt
    return {
      isBound: binding !== undefined,
      isSameBinding: binding?.generation === attempt.generation,
      isSignedOutSince: attempt.startedAt <= (binding?.signedOutAt ?? 0),
      isSignedOutMeanwhile: binding !== undefined && this.#isSignedOutSince(binding, attempt.startedAt),
      isEndedByProvider: (this.endedByProvider.get(response.user) ?? 0) > response.issuedAt,
      used: used === undefined ? 'none' : used.body === response.body ? 'the same' : 'another',
      usedSessionLives: used?.session.isAlive ?? false,
      hasAnotherSession: latest !== undefined && latest !== used?.session,
      isSignedInByAnotherTab: isSameUser && !attempt.asksForMore && !attempt.isCircle,
      restarts: attempt.restarts,
    }
  }

  /** A sign-out that the binding is of is earlier than whatever began with it. */
  #isSignedOutSince({ generation, browser, signedOutAt = 0 }: ModelBinding, startedAt: number): boolean {
    const any = this.signOuts.get(browser) ?? 0
    return startedAt <= (this.signOuts.get(generation) ?? 0) || (startedAt <= any && any > signedOutAt)
  }

  /**
   * What the rules say may also be refused, because in doubt the end wins. The provider ended the sessions of the user after the attempt began,
   * and the user signed in there once more; or a sign-out, which counts as one second later than it was, came just before the attempt began.
   */
  isDoubtful(
    response: ModelResponse,
    { startedAt, generation }: ModelAttempt,
    binding: ModelBinding | undefined,
  ): boolean {
    const endedAt = this.endedByProvider.get(response.user) ?? 0
    const signedOutAt = binding?.generation === generation ? 0 : (binding?.signedOutAt ?? 0)
    return (startedAt < endedAt && endedAt <= response.issuedAt) || (signedOutAt > 0 && startedAt > signedOutAt)
  }
}
