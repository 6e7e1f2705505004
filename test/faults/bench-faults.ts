import { describeMachine, describeServer } from '../bench/report.js'
import { type FaultFigures, faults, formatFaults, measureFault, openFaultFixture } from './fault-bench.js'

/** `npm run bench:faults`: the table of faults in docs/reliability.md, in a few minutes. Words choose faults: `npm run bench:faults -- full SIGTERM`. */
const words = process.argv.slice(2)
const chosen = faults.filter(({ name }) => words.length === 0 || words.some(word => name.includes(word)))
const fixture = await openFaultFixture()
const figures: FaultFigures[] = []
for (const fault of chosen) {
  console.error(`${fault.name} ...`)
  figures.push(await measureFault(fixture, fault, { users: 5, calm: 2, patience: 60 }))
}
const server = describeServer(String(await fixture.redis.command('INFO', 'server')))
await fixture.close()
const { cpu, cores, load, node } = describeMachine(server)
console.log(formatFaults(figures))
console.log(
  `\n${new Date().toISOString().slice(0, 10)}, ${cores} cores (${cpu}), load ${load[0]}, Node ${node}, ${server}`,
)
process.exit(0)
