import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import type { RenewalFailure } from '../state/renewal-failure.js'
import type { TokenVault, VaultView } from '../state/token-vault.js'
import { backOff, failureError, isTemporary } from './back-off.js'
import { isStoreAway, keepSaving, type Renewed, saveRenewal } from './renewal-save.js'
import type { Site } from './site.js'
import type { TokenGate } from './token-gate.js'

/** Tokens that have to be renewed, and by what. */
export interface Renewal {
  readonly vault: TokenVault
  /** What was there when it was decided. */
  readonly view: VaultView
  /** Whether what is there now is what was wanted: somebody else was faster. */
  isSettled(view: VaultView): boolean
  /** Asks the provider, once. What it throws is published, so that nobody else asks for a while. */
  request(view: VaultView): Promise<Renewed & { readonly error?: OidcError }>
}

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
const SLACK = 4_000

/** Milliseconds for which a renewal is tried to be written, at least. */
const SAVE_PATIENCE = 30_000

const FIRST_PAUSE = 20
const LONGEST_PAUSE = 250

export function createRenewals(site: Pick<Site, 'timeouts' | 'now' | 'log'>, gate: TokenGate): Renewals {
  const { timeouts, now, log } = site
  const life = timeouts.provider + 2 * timeouts.redis + SLACK
  const saves = new Set<Promise<void>>()
  const seconds = () => now().getTime() / 1000

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
      if (view.failure !== undefined && view.seen.failure !== renewal.view.seen.failure) {
        throw failureError(view.failure, seconds())
      }
    }
  }

  /** `undefined`: somebody else has the claim, or was faster. */
  async function claim(renewal: Renewal, owner: string, view: VaultView): Promise<VaultView | undefined> {
    const leave = await gate.enter(life)
    try {
      const outcome = await renewal.vault.claim(owner, view, life)
      if (outcome === 'absent') throw ended()
      return outcome === 'claimed' ? await spend(renewal, owner, view) : undefined
    } finally {
      leave()
    }
  }

  async function spend(renewal: Renewal, owner: string, view: VaultView): Promise<VaultView> {
    const { vault } = renewal
    const asked = await ask(renewal, view)
    if ('failed' in asked) return fail(renewal, owner, view, asked.failed)
    const { renewed } = asked
    const kept = await save({ vault, owner, view, renewed: withNote(renewed, view) })
    if (renewed.error !== undefined) throw renewed.error
    if (kept === undefined) throw ended()
    return kept
  }

  /** An answer that only partly counts is kept with the note that the rest has failed. */
  function withNote({ change, discard, error }: Renewed & { readonly error?: OidcError }, view: VaultView): Renewed {
    if (error === undefined) return { change, discard }
    const failure = noteOf(view, error)
    return { discard, change: now => ({ ...change(now), ...failure }) }
  }

  function noteOf(view: VaultView, error: unknown): { readonly failure?: RenewalFailure } {
    if (!isTemporary(error)) return {}
    const count = (view.failure?.count ?? 0) + 1
    return { failure: { code: error.code, count, retryAt: seconds() + backOff(count, error) } }
  }

  async function ask(renewal: Renewal, view: VaultView) {
    try {
      const renewed = await renewal.request(view)
      gate.report(renewed.error)
      return { renewed }
    } catch (failed) {
      gate.report(failed)
      return { failed }
    }
  }

  async function save(what: Parameters<typeof saveRenewal>[0]): Promise<VaultView | undefined> {
    try {
      return await saveRenewal(what)
    } catch (error) {
      if (!isStoreAway(error)) throw error
      const saving = keepSaving(what, Math.max(life, SAVE_PATIENCE)).catch(() => {
        log('refreshed tokens could not be written, because Redis stayed away; that session will have to sign in again')
      })
      saves.add(saving)
      void saving.then(() => saves.delete(saving))
      throw error
    }
  }

  async function fail(renewal: Renewal, owner: string, view: VaultView, error: unknown): Promise<VaultView> {
    const { vault } = renewal
    if (error instanceof OidcError && error.code === 'ERR_OIDC_REFRESH_REJECTED') {
      // Unless another process has put a newer token there, the newest is void, and nothing will make it good again.
      if (await vault.endIf(view)) throw error
      const current = await look(renewal)
      if (renewal.isSettled(current)) return current
      throw error
    }
    // Where this fails too, the claim runs out by itself.
    await vault.settle(owner, view, noteOf(view, error)).catch(() => {})
    throw error
  }

  async function look({ vault }: Renewal): Promise<VaultView> {
    const view = await vault.open()
    if (view === undefined) throw ended()
    return view
  }

  return {
    renew,
    async settled() {
      await Promise.allSettled(saves)
    },
  }
}

function ended(): OidcError {
  return new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
}

/** Whether to wait for a claim without asking. A claim whose end our clock cannot judge is over when we have watched it for its life. */
function createHoldWatch(life: number, now: () => Date): (view: VaultView) => boolean {
  let watched = { heldUntil: 0, since: 0 }
  return ({ heldUntil }) => {
    if (heldUntil !== watched.heldUntil) watched = { heldUntil, since: performance.now() }
    return now().getTime() < heldUntil && performance.now() - watched.since < life
  }
}
