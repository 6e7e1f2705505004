import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import type { VaultView } from '../state/token-vault.js'
import { failureError, pauseOf } from './back-off.js'
import { createRenewalAttempts, ended, type Renewal } from './renewal-attempt.js'
import { isStoreAway } from './renewal-save.js'
import type { Site } from './site.js'
import type { TokenGate } from './token-gate.js'

/**
 * Renews tokens once, however many processes want it: claim, look again, ask, write. Whoever does not get the claim waits for the
 * result of the one who did. The claim outlives the longest request, and a process that dies with it is waited for no longer.
 */
export interface Renewals {
  /**
   * @returns what is kept afterwards
   * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED when the session has ended, ERR_OIDC_REFRESH_REJECTED when it ends with this,
   *   ERR_OIDC_STORE_UNAVAILABLE, and what the provider's answer amounts to
   */
  renew(renewal: Renewal): Promise<VaultView>
  /** Resolves when nothing is waiting to be written any more. */
  settled(): Promise<void>
}

/** Milliseconds beyond the deadlines of everything that happens within a claim. */
export const SLACK = 4_000

/** Milliseconds for which a renewal is tried to be written, at least. */
const SAVE_PATIENCE = 30_000

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 250

export function createRenewals(site: Pick<Site, 'timeouts' | 'now' | 'log'>, gate: TokenGate): Renewals {
  const { timeouts, now, log } = site
  const life = timeouts.provider + 2 * timeouts.redis + SLACK
  const attempts = createRenewalAttempts({
    gate,
    now,
    log,
    life,
    deadline: timeouts.provider,
    savePatience: Math.max(life, SAVE_PATIENCE),
  })

  async function renew(renewal: Renewal): Promise<VaultView> {
    const owner = randomUUID()
    const until = performance.now() + life + SLACK
    const isHeld = createHoldWatch(life, now)
    let { view } = renewal
    for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
      const renewed = isHeld(view) ? undefined : await claim(renewal, owner, view)
      if (renewed !== undefined) return renewed
      if (performance.now() > until) {
        throw new OidcError(
          'ERR_OIDC_PROVIDER_UNAVAILABLE',
          'another process has been renewing these tokens for too long',
        )
      }
      await wait(pause * (0.5 + Math.random() / 2))
      view = await look(renewal)
      if (renewal.isSettled(view)) return view
      if (view.seen.failure !== renewal.view.seen.failure) {
        const failure = pauseOf(view, renewal.token, now())
        if (failure !== undefined) throw failureError(failure, now())
      }
    }
  }

  /** `undefined`: somebody else has the claim, or was faster. */
  async function claim(renewal: Renewal, owner: string, view: VaultView): Promise<VaultView | undefined> {
    const leave = await gate.enter(life)
    try {
      const outcome = await acquire(renewal, owner, view)
      if (outcome === 'absent') throw ended()
      return outcome === 'claimed' ? await attempts.make(renewal, owner, view) : undefined
    } finally {
      leave()
    }
  }

  /** The answer may be lost although the lease was taken: the owner asks again, and where that fails too, gives back what it may hold. */
  async function acquire({ vault }: Renewal, owner: string, view: VaultView) {
    try {
      return await vault.claim(owner, view, life).catch(error => {
        if (!isStoreAway(error)) throw error
        return vault.claim(owner, view, life)
      })
    } catch (error) {
      if (isStoreAway(error)) attempts.release(vault, owner, view)
      throw error
    }
  }

  return { renew, settled: attempts.settled }
}

async function look({ vault }: Renewal): Promise<VaultView> {
  const view = await vault.open()
  if (view === undefined) throw ended()
  return view
}

/** Whether to wait for a claim without asking. A claim whose end our clock cannot judge is over when we have watched it for its life. */
function createHoldWatch(life: number, now: () => Date): (view: VaultView) => boolean {
  let watched = { heldUntil: 0, since: 0 }
  return ({ heldUntil }) => {
    if (heldUntil !== watched.heldUntil) watched = { heldUntil, since: performance.now() }
    return now().getTime() < heldUntil && performance.now() - watched.since < life
  }
}
