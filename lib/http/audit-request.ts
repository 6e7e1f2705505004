import type { Audit } from '../options/audit.js'
import type { AuditEntry } from '../options/audit-entries.js'
import type { Config } from '../options/config.js'
import { asExpressRequest, type HttpRequest } from './node-http.js'
import { correlationIdOf } from './request-state.js'

/** Tells the site's hook `audit` of something that a request has caused. Without a request: of what the site did by itself. */
export function audit(
  config: Pick<Config, 'audit'>,
  req: HttpRequest | undefined,
  makeEntry: () => Parameters<Audit>[0],
  described: () => Described = () => describeRequest(req),
): void {
  if (config.audit === undefined) return
  const entry = makeEntry()
  if (req === undefined) config.audit(entry)
  else config.audit({ ...entry, ...described() }, asExpressRequest(req))
}

type Described = Pick<AuditEntry, 'correlationId' | 'ip'>

/** What an entry says about a request. When the response has left, its connection may be gone. */
export function describeRequest(req: HttpRequest | undefined): Described {
  return req === undefined ? {} : { correlationId: correlationIdOf(req), ...addressOf(req) }
}

/** A function of the site may decide about `trust proxy`, and may throw. */
function addressOf(req: HttpRequest): { readonly ip?: string } {
  try {
    const ip = (req as { readonly ip?: unknown }).ip ?? req.socket?.remoteAddress
    return typeof ip === 'string' ? { ip } : {}
  } catch {
    return {}
  }
}
