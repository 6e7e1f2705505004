import { audit, describeRequest } from '../http/audit-request.js'
import type { HttpRequest } from '../http/node-http.js'
import type { MiddlewareServices } from '../http/request-context.js'
import { describeSession } from '../options/audit-entries.js'
import type { SessionRecord } from '../store/store.js'

/** Tells the hook `audit` of a session that a request came with, and that has expired. Nothing waits for it. */
export async function noticeExpired(
  { site, sessionBinding, store }: MiddlewareServices,
  req: HttpRequest,
  found: Promise<SessionRecord | undefined>,
): Promise<void> {
  try {
    const record = await found
    if (record?.ticket() !== undefined) return
    const described = describeRequest(req)
    for (const id of sessionBinding.idsOf(req).filter(each => each !== record?.id)) {
      const ended = await store.takeExpired(id)
      if (ended === undefined) continue
      const { handle, signedInAt } = ended
      const entry = { type: 'session-expired', signedInAt, ...describeSession(ended, handle) } as const
      audit(
        site,
        req,
        () => entry,
        () => described,
      )
    }
  } catch {
    // The next request that comes with it tells.
  }
}
