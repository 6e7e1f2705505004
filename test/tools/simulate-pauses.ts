import { compare, formatComparisons, outagesOfTable } from '../tokens/pause-simulation.js'

/** `npm run simulate:pauses`: prints the table of docs/reliability.md that compares pauses. The same in every run. */
const comparisons = []
for (const outage of outagesOfTable()) comparisons.push(await compare(outage))
console.log(formatComparisons(comparisons))
