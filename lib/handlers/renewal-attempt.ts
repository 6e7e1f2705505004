import { OidcError } from '../errors.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import type { RenewalFailure } from '../state/renewal-failure.js'
import type { TokenVault, VaultView } from '../state/token-vault.js'
import { backOff, isTemporary } from './back-off.js'
import { isStoreAway, keepSaving, type Renewed, type Save, saveRenewal } from './renewal-save.js'
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
  request(view: VaultView): Promise<Renewed & { readonly error?: OidcError }>
}

/** What is done by whoever has the right to renew: ask, and write down what came of it, whatever that is. */
export interface RenewalAttempts {
  /** @returns what is kept afterwards @throws {OidcError} as {@link Renewals.renew} in `renewal.ts` */
  make(renewal: Renewal, owner: string, view: VaultView): Promise<VaultView>
  /** Resolves when nothing is waiting to be written any more. */
  settled(): Promise<void>
}

interface AttemptSettings {
  readonly gate: TokenGate
  readonly now: () => Date
  readonly log: (line: string) => void
  /** Milliseconds for which a renewal is tried to be written. */
  readonly savePatience: number
}

export function createRenewalAttempts({ gate, now, log, savePatience }: AttemptSettings): RenewalAttempts {
  const saves = new Set<Promise<void>>()

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

  async function save(what: Save): Promise<VaultView | undefined> {
    try {
      return await saveRenewal(what)
    } catch (error) {
      if (!isStoreAway(error)) throw error
      const saving = keepSaving(what, savePatience).catch(() => {
        log('refreshed tokens could not be written, because Redis stayed away; that session will have to sign in again')
      })
      saves.add(saving)
      void saving.then(() => saves.delete(saving))
      throw error
    }
  }

  return {
    async make(renewal, owner, view) {
      const { vault } = renewal
      const asked = await ask(renewal, view)
      if ('failed' in asked) {
        const verdict = judge(renewal, asked.failed)
        if (verdict?.endsSession === true) return endOrFind(renewal, view, verdict.error)
        // Where this fails too, the lease expires by itself.
        await vault.settle(owner, view, noteOf(renewal, view, verdict, now)).catch(() => {})
        throw verdict?.error ?? asked.failed
      }
      const { renewed } = asked
      const failed = renewed.error && judge(renewal, renewed.error)
      const note = renewed.error === undefined ? renewedNote(renewal) : noteOf(renewal, view, failed, now)
      const noted = { discard: renewed.discard, change: (seen: VaultView) => ({ ...renewed.change(seen), ...note }) }
      const kept = await save({ vault, owner, view, renewed: noted })
      if (renewed.error !== undefined) throw failed?.error ?? renewed.error
      if (kept === undefined) throw ended()
      return kept
    },
    async settled() {
      await Promise.allSettled(saves)
    },
  }
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
  const count = (failures.find(note => note.token === about)?.count ?? 0) + 1
  const retryAt = now().getTime() / 1000 + backOff(count, error)
  return { failure: { code: error.code, count, retryAt, ...(about !== undefined && { token: about }) } }
}

function renewedNote({ token }: Renewal): { readonly renewed?: string } {
  return token === undefined ? {} : { renewed: token }
}

export function ended(): OidcError {
  return new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'the session has ended')
}
