import { setTimeout as wait } from 'node:timers/promises'
import { OidcError } from '../errors.js'
import type { StoredTokens, TokenChange, TokenStore } from '../store/token-store.js'

/** What the provider sent, ready to be kept. */
export interface Refreshed {
  /** What to write, given what is there now. */
  change(view: StoredTokens): TokenChange
  /** The session has ended, and it is not kept. */
  discard(): void
}

/** Refreshed tokens that have to be written: the old refresh token is spent. */
export interface Save {
  readonly tokenStore: TokenStore
  readonly owner: string
  /** What was there when the lease was acquired. */
  readonly view: StoredTokens
  readonly refreshed: Refreshed
}

/** Milliseconds between two attempts while the store is away. */
const PAUSE = 100

/**
 * Writes refreshed tokens, unless another process has refreshed them since.
 *
 * @returns what is there now; `undefined` when the session has ended
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE
 */
export async function saveRefresh({ tokenStore, owner, view, refreshed }: Save): Promise<StoredTokens | undefined> {
  for (let base = view; ; ) {
    const change = refreshed.change(base)
    const outcome = await tokenStore.commit(owner, base, change)
    if (outcome === 'done') return { ...base, ...change, failure: change.failure, leasedUntil: 0 }
    const current = outcome === 'changed' ? await tokenStore.open() : undefined
    if (current === undefined) {
      refreshed.discard()
      return undefined
    }
    // Either our own write, whose response did not arrive, or another process refreshed after assuming this one had died.
    if (current.version.tokens !== view.version.tokens) {
      if (current.tokens?.refreshToken === undefined) refreshed.discard()
      return current
    }
    base = current
  }
}

/**
 * Tries on while the store is away: the old refresh token is spent, and the new one exists nowhere else.
 *
 * @param patience - milliseconds
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE when it stayed away
 */
export async function keepSaving(save: Save, patience: number): Promise<void> {
  const until = performance.now() + patience
  for (;;) {
    await wait(PAUSE)
    try {
      await saveRefresh(save)
      return
    } catch (error) {
      if (!isStoreAway(error) || performance.now() > until) throw error
    }
  }
}

/** Releases a lease as soon as the store responds. After `patience` milliseconds it has expired by itself. */
export async function releaseLease(
  tokenStore: TokenStore,
  owner: string,
  view: StoredTokens,
  patience: number,
): Promise<void> {
  const until = performance.now() + patience
  while (performance.now() < until) {
    await wait(PAUSE)
    const isDone = await tokenStore.commit(owner, view, {}).then(
      () => true,
      error => !isStoreAway(error),
    )
    if (isDone) return
  }
}

export function isStoreAway(error: unknown): boolean {
  return error instanceof OidcError && error.code === 'ERR_OIDC_STORE_UNAVAILABLE'
}
