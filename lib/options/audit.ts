import type { Request } from 'express'
import type { Log } from '../diagnostics/log.js'
import { createRareLog } from '../diagnostics/rare-log.js'
import type { AuditEntry } from './audit-entries.js'
import type { Hooks } from './hooks.js'

type Untimed<T> = T extends AuditEntry ? Omit<T, 'at'> : never

/** Tells the site's hook. Never throws, and waits for nothing. */
export type Audit = (entry: Untimed<AuditEntry>, req?: Request) => void

/** Calls of the hook that have not settled, from which on the log says so. */
const MANY = 1000

interface AuditSettings {
  readonly now: () => Date
  readonly log: Log
}

/** `undefined` where the site has no such hook: nothing is done for it then. */
export function createAudit(hooks: Readonly<Hooks>, { now, log }: AuditSettings): Audit | undefined {
  if (hooks.audit === undefined) return undefined
  const logRarely = createRareLog(log)
  let unsettled = 0
  const finish = () => {
    unsettled -= 1
  }
  const fail = (error: unknown) => {
    const name = error instanceof Error ? error.name : typeof error
    logRarely('the hook audit failed', `the hook audit failed: ${name}`, { level: 'error' })
  }
  const watch = (result: PromiseLike<unknown>) => {
    unsettled += 1
    if (unsettled === MANY) log(`the hook audit has not finished ${MANY} entries`, { level: 'error' })
    Promise.resolve(result).catch(fail).finally(finish)
  }
  return (entry, req) => {
    try {
      const result: unknown = hooks.audit?.(Object.freeze({ at: now().getTime(), ...entry }) as AuditEntry, req)
      if (isPromiseLike(result)) watch(result)
    } catch (error) {
      fail(error)
    }
  }
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
