import { OidcError } from '../errors.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import type { RenewalFailure } from '../state/renewal-failure.js'
import type { TokenVault, VaultView } from '../state/token-vault.js'
import { backOff, failuresInRow, isTemporary } from './back-off.js'
import { giveBack, isStoreAway, keepSaving, type Renewed, type Save, saveRenewal } from './renewal-save.js'
import type { TokenGate } from './token-gate.js'

/** Tokens that have to be renewed, and by what. */
export interface Renewal {
  readonly vault: TokenVault
  /** What was there when it was decided. */
  readonly view: VaultView
  /** Whether what is there now is what was wanted: somebody else was faster. */
  isSettled(view: VaultView): boolean
  /** The `failureKey` of the one token it is for; left out: there is only one. */
  readonly token?: string
  /** What a failure means. Left out: a rejection ends the session, and only what may pass by itself is noted. */
  judge?(error: OidcError): RefreshVerdict
  /** Asks the provider, once. What it throws is published, so that nobody else asks for a while. */
  request(view: VaultView): Promise<Renewed & { readonly error?: unknown }>
}

/** What is done by whoever has the right to renew: ask, and write down what came of it, whatever that is. */
export interface RenewalAttempts {
  /** @returns what is kept afterwards @throws {OidcError} as {@link Renewals.renew} in `renewal.ts` */
  make(renewal: Renewal, owner: string, view: VaultView): Promise<VaultView>
  /** Gives back a lease that may or may not be held, in the background. */
  release(vault: TokenVault, owner: string, view: VaultView): void
  /** Resolves when no request is under way and nothing is waiting to be written any more. */
  settled(): Promise<void>
}

/** What came of a request. */
type Asked = { readonly renewed: Renewed & { readonly error?: unknown } } | { readonly failed: unknown }

interface AttemptSettings {
  readonly gate: TokenGate
  readonly now: () => Date
  readonly log: (line: string) => void
  /** Milliseconds a lease lasts. */
  readonly life: number
  /** Milliseconds after which the caller gets an error while the request goes on. */
  readonly deadline: number
  /** Milliseconds for which a renewal is tried to be written. */
  readonly savePatience: number
}

export function createRenewalAttempts(settings: AttemptSettings): RenewalAttempts {
  const { gate, now, log, life, deadline, savePatience } = settings
  const background = createBackground()

  async function save(what: Save): Promise<VaultView | undefined> {
    try {
      return await saveRenewal(what)
    } catch (error) {
      if (!isStoreAway(error)) throw error
      const saving = keepSaving(what, savePatience).catch(() => {
        log('refreshed tokens could not be written, because Redis stayed away; that session will have to sign in again')
      })
      background.add(saving)
      throw error
    }
  }

  /** Writes down what came of the request. */
  async function conclude(renewal: Renewal, owner: string, view: VaultView, asked: Asked): Promise<VaultView> {
    const { vault } = renewal
    if ('failed' in asked) {
      const verdict = judge(renewal, asked.failed)
      if (verdict?.endsSession === true) return endOrFind(renewal, view, verdict.error)
      // Where this fails too, the lease expires by itself.
      await vault.settle(owner, view, noteOf(renewal, view, verdict, now)).catch(() => {})
      throw verdict?.error ?? asked.failed
    }
    const { renewed } = asked
    const failed = judge(renewal, renewed.error)
    const note = renewed.error === undefined ? renewedNote(renewal) : noteOf(renewal, view, failed, now)
    const noted = { discard: renewed.discard, change: (seen: VaultView) => ({ ...renewed.change(seen), ...note }) }
    const kept = await save({ vault, owner, view, renewed: noted })
    if (renewed.error !== undefined) throw failed?.error ?? renewed.error
    if (kept === undefined) throw ended()
    return kept
  }

  /** The provider may have replaced the refresh token: the request goes on under a longer lease, and what it brings is kept. */
  async function goOn(renewal: Renewal, owner: string, view: VaultView, asking: Promise<Asked>): Promise<never> {
    const { vault } = renewal
    const error = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the provider did not answer in time')
    const finish = async (asked: Asked): Promise<unknown> =>
      isOutage(asked) ? vault.settle(owner, view, {}) : conclude(renewal, owner, view, asked)
    background.add(asking.then(finish))
    await vault.claim(owner, view, life).catch(() => {})
    // The lease stays: it is another owner's as far as this write is concerned.
    await vault.settle('', view, noteOf(renewal, view, judge(renewal, error), now)).catch(() => {})
    throw error
  }

  return {
    async make(renewal, owner, view) {
      const began = gate.begin()
      const asking = ask(gate, renewal, view, began)
      const asked = await withinDeadline(asking, deadline)
      if (asked !== undefined) return conclude(renewal, owner, view, asked)
      gate.report(new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the provider did not answer in time'), began)
      return goOn(renewal, owner, view, asking)
    },
    release(vault, owner, view) {
      background.add(giveBack(vault, owner, view, savePatience))
    },
    settled: background.settled,
  }
}

/** Nothing came in the end. That was noted when the deadline passed. */
function isOutage(asked: Asked): boolean {
  const error = 'failed' in asked ? asked.failed : undefined
  return error instanceof OidcError && error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE'
}

async function ask(gate: TokenGate, renewal: Renewal, view: VaultView, began: number): Promise<Asked> {
  try {
    const renewed = await renewal.request(view)
    gate.report(renewed.error, began)
    return { renewed }
  } catch (failed) {
    gate.report(failed, began)
    return { failed }
  }
}

/** Work that no caller waits for. */
function createBackground(): { add(work: Promise<unknown>): void; settled(): Promise<void> } {
  const underWay = new Set<Promise<void>>()
  return {
    add(work) {
      const ended = work.then(
        () => {},
        () => {},
      )
      underWay.add(ended)
      void ended.then(() => underWay.delete(ended))
    },
    async settled() {
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}

/** `undefined`: it takes longer. */
async function withinDeadline<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), milliseconds)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}

/** Unless another process has put a newer token there, the newest is void, and nothing will make it good again. */
async function endOrFind(renewal: Renewal, view: VaultView, rejection: OidcError): Promise<VaultView> {
  if (await renewal.vault.endIf(view)) throw rejection
  const current = await renewal.vault.open()
  if (current === undefined) throw ended()
  if (renewal.isSettled(current)) return current
  throw rejection
}

/** `undefined`: nothing follows for other requests. */
function judge(renewal: Renewal, error: unknown): RefreshVerdict | undefined {
  if (!(error instanceof OidcError)) return undefined
  if (renewal.judge !== undefined) return renewal.judge(error)
  const endsSession = error.code === 'ERR_OIDC_REFRESH_REJECTED'
  return endsSession || isTemporary(error) ? { error, endsSession, pauses: 'session', isLogged: false } : undefined
}

/** What other processes have to know of a failure: not to try again for a while. */
function noteOf(
  { token }: Renewal,
  { failures = [] }: VaultView,
  verdict: RefreshVerdict | undefined,
  now: () => Date,
): { readonly failure?: RenewalFailure } {
  if (verdict === undefined) return {}
  const { error, pauses } = verdict
  const about = pauses === 'token' ? token : undefined
  const earlier = failures.find(note => note.token === about)
  const count = failuresInRow(earlier, now())
  const pause = backOff(count, error)
  const retryAt = now().getTime() / 1000 + pause
  return { failure: { code: error.code, count, retryAt, pause, ...(about !== undefined && { token: about }) } }
}

function renewedNote({ token }: Renewal): { readonly renewed?: string } {
  return token === undefined ? {} : { renewed: token }
}

export function ended(): OidcError {
  return new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
}
