import type { AuditEntry } from '../../lib/index.js'
import { startSite } from '../support/site.js'

/** One of several processes of a site that writes an audit log: started by a test, told what to be, and ended by a signal. */
process.once('message', async (oidc: object) => {
  const entries: AuditEntry[] = []
  const hooks = { audit: (entry: AuditEntry) => void entries.push(entry) }
  const site = await startSite({ oidc: { ...oidc, hooks } })
  process.on('message', () => process.send?.({ entries }))
  process.send?.({ port: Number(new URL(site.url).port) })
})
