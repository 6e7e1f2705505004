import { describeMachine } from '../bench/report.js'
import { type EndFigures, formatEnds, type Measured, measureEnd, openAll } from './session-end-bench.js'
import { type EndEvent, openWatchedFleet } from './watched-fleet.js'

/** `npm run bench:ending`: the table of ended sessions in docs/reliability.md, in two minutes. */
const SESSIONS = 10_000
const FEW = 10
/** Without pub/sub the event makes no difference. */
const MODES: readonly { readonly mode: string; readonly isTold: boolean; readonly events: readonly EndEvent[] }[] = [
  { mode: 'Redis pub/sub', isTold: true, events: ['global revocation', 'CAEP session-revoked'] },
  { mode: 'reading every 2 s', isTold: false, events: ['global revocation'] },
]
const rows: { readonly mode: string; readonly figures: EndFigures }[] = []
let version = ''
for (const { mode, isTold, events } of MODES) {
  const fleet = await openWatchedFleet({ isTold })
  for (const event of events) {
    console.error(`${event}, ${mode} ...`)
    // One user with a few sessions, and one with all the others.
    const users = [
      { sub: `few, ${event}`, count: FEW },
      { sub: `many, ${event}`, count: SESSIONS - FEW },
    ]
    const measured: Omit<Measured, 'event' | 'total'>[] = []
    for (const { sub, count } of users) {
      const cookies = await fleet.signIn(sub, count)
      measured.push({ sub, cookies, closed: await openAll(fleet.instances, cookies) })
    }
    let total = SESSIONS
    for (const one of measured) {
      rows.push({ mode, figures: await measureEnd(fleet, { ...one, event, total }) })
      total -= one.cookies.length
    }
  }
  version = /redis_version:(\S+)/.exec(String(await fleet.redis.command('INFO', 'server')))?.[1] ?? ''
  await fleet.close()
}
const { cpu, cores, load, node, redis } = describeMachine(version)
console.log(formatEnds(rows))
console.log(
  `\n${new Date().toISOString().slice(0, 10)}, ${cores} cores (${cpu}), load ${load[0]}, Node ${node}, Redis ${redis}`,
)
process.exit(0)
