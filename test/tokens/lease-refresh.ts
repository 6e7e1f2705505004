import type { StoredTokens } from '../../lib/store/token-store.js'
import type { LeaseRequest, Leases } from '../../lib/tokens/refresh-lease.js'
import type { Refreshed } from '../../lib/tokens/refresh-save.js'

export type TestRequest = (view: StoredTokens) => Promise<Refreshed>

/** Refreshes as the grants do: one request under the lease, and then a commit or a failure. */
export async function refreshUnder(
  leases: Leases,
  { request, ...wanted }: LeaseRequest & { readonly request: TestRequest },
): Promise<StoredTokens> {
  const lease = await leases.acquire(wanted)
  if (!lease.isAcquired) return lease.view
  return lease.complete(request(lease.view).then(lease.commit, lease.fail))
}
