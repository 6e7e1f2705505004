import { describeMachine, describeServer } from '../bench/report.js'
import { type EndFigures, formatEnds, type Measured, measureEnd, openAll } from './session-end-bench.js'
import { type EndEvent, openWatchedFleet } from './watched-fleet.js'

/** `npm run bench:ending`: the table of ended sessions in docs/reliability.md, in two minutes. */
const SESSIONS = 10_000
const FEW = 10
/** How open sockets learn of it. */
const MODES = [
  { mode: 'Redis pub/sub', isTold: true },
  { mode: 'reading every 2 s', isTold: false },
]
/** Two users with a few sessions, and one with all the others. */
const USERS: readonly { readonly event: EndEvent; readonly sub: string; readonly count: number }[] = [
  { event: 'global revocation', sub: 'alice', count: FEW },
  { event: 'CAEP session-revoked', sub: 'bob', count: FEW },
  { event: 'global revocation', sub: 'carol', count: SESSIONS - 2 * FEW },
]
const rows: { readonly mode: string; readonly figures: EndFigures }[] = []
let server = ''
for (const { mode, isTold } of MODES) {
  console.error(`${mode} ...`)
  const fleet = await openWatchedFleet({ isTold })
  const measured: Omit<Measured, 'total'>[] = []
  for (const { event, sub, count } of USERS) {
    const cookies = await fleet.signIn(sub, count)
    measured.push({ event, sub, cookies, closed: await openAll(fleet.instances, cookies) })
  }
  let total = SESSIONS
  for (const one of measured) {
    rows.push({ mode, figures: await measureEnd(fleet, { ...one, total }) })
    total -= one.cookies.length
  }
  server = describeServer(String(await fleet.redis.command('INFO', 'server')))
  await fleet.close()
}
const { cpu, cores, load, node } = describeMachine(server)
console.log(formatEnds(rows))
console.log(
  `\n${new Date().toISOString().slice(0, 10)}, ${cores} cores (${cpu}), load ${load[0]}, Node ${node}, ${server}`,
)
process.exit(0)
