import type { Backend } from './backend/backend.js'
import { isLater } from './backend/logout-time.js'
import { FIELD } from './backend/record-fields.js'
import type { StoreClock } from './backend/store-clock.js'
import { mapInBatches } from './batches.js'
import type { SessionIndex, SessionQuery } from './session-index.js'
import type { SessionSummary } from './ticket.js'

/**
 * What sessions that are here already still have to do: `reauthenticate`, the user has to authenticate again at the provider; `sign-in`, the
 * provider has to be asked again, and need not ask the user.
 */
export type SignInDemand = 'reauthenticate' | 'sign-in'

export interface SignInDemands {
  /**
   * Leaves a mark in the records of sessions. A sign-in that is later than `issuedAt` (seconds since the epoch) is not meant, nor is one that is
   * under way: its user is at the provider just now.
   *
   * @param only - which of them
   * @returns how many there were
   * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, and then it may be done again
   */
  demandSignIn(
    query: SessionQuery,
    demand: SignInDemand,
    options: { readonly issuedAt: number; readonly only?: (summary: SessionSummary) => boolean },
  ): Promise<number>
}

export function createSignInDemands(
  backend: Backend,
  index: SessionIndex,
  clock: Pick<StoreClock, 'latest'>,
): SignInDemands {
  return {
    async demandSignIn(query, demand, { issuedAt, only = () => true }) {
      const at = await clock.latest()
      const marked = await mapInBatches(await index.find(query), async key => {
        const summary = index.openSummary(key, (await backend.read(key, [FIELD.summary]))[0])
        if (summary === undefined || isLater(summary, { at, issuedAt }) || !only(summary)) return false
        return backend.demand(key, demand)
      })
      return marked.filter(Boolean).length
    },
  }
}

/** What a record says. Anything else than the weaker demand is the stronger one. */
export function parseDemand(text: Buffer | null | undefined): SignInDemand | undefined {
  if (!text) return undefined
  return text.toString() === 'sign-in' ? 'sign-in' : 'reauthenticate'
}
