import { randomBytes } from 'node:crypto'
import { createSealer } from '../../lib/store/seal.js'
import { createSessionId } from '../../lib/store/store.js'
import { SESSION_SECRET } from './contender.js'
import { median } from './statistics.js'

/** What encryption at rest costs by itself: there is no way to leave it out. Microseconds. */
export function measureSealing() {
  const sealer = createSealer([SESSION_SECRET])
  const id = createSessionId()
  return [1024, 2048, 6144].map(bytes => {
    const text = randomBytes(bytes / 2).toString('hex')
    const sealed = sealer.seal('ticket', id, text)
    return {
      bytes,
      seal: time(() => sealer.seal('ticket', id, text)),
      open: time(() => sealer.open('ticket', id, sealed)),
    }
  })
}

function time(work: () => void): number {
  const times = Array.from({ length: 21 }, () => {
    const begin = process.cpuUsage()
    for (let each = 0; each < 2000; each += 1) work()
    const { user, system } = process.cpuUsage(begin)
    return (user + system) / 2000
  })
  return median(times)
}
