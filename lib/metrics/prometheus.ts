import { INSTRUMENTS, type Instrument, type InstrumentName } from './instruments.js'
import type { Labels, Measurement } from './measurements.js'

/** Sets of labels of one instrument that are kept apart. Further ones are counted together, so that memory is bounded whatever comes. */
const MOST_SERIES = 500

const OTHER: Labels = { other: 'true' }

interface Series {
  readonly labels: Labels
  sum: number
  /** Histograms: how many values lie in each class, the last one being all that are larger. */
  readonly classes: number[]
}

/** Counts in memory and says it in the text format of Prometheus, version 0.0.4. */
export interface PrometheusText {
  add(measurement: Measurement): void
  text(): string
}

export function createPrometheusText(buckets: readonly number[]): PrometheusText {
  const all = new Map<InstrumentName, Map<string, Series>>()

  function seriesOf(instrument: InstrumentName, labels: Labels): Series {
    const ofInstrument = all.get(instrument) ?? new Map<string, Series>()
    all.set(instrument, ofInstrument)
    const key = formatLabels(labels)
    const known = ofInstrument.get(key)
    if (known !== undefined) return known
    if (ofInstrument.size >= MOST_SERIES && labels !== OTHER) return seriesOf(instrument, OTHER)
    const series: Series = { labels, sum: 0, classes: buckets.map(() => 0).concat(0) }
    ofInstrument.set(key, series)
    return series
  }

  return {
    add({ instrument, value, labels }) {
      if (!Number.isFinite(value) || value < 0) return
      const series = seriesOf(instrument, labels)
      series.sum += value
      const found = buckets.findIndex(bound => value <= bound)
      const at = found === -1 ? buckets.length : found
      series.classes[at] = (series.classes[at] ?? 0) + 1
    },
    text() {
      const names = Object.keys(INSTRUMENTS) as InstrumentName[]
      return names
        .map(name => formatInstrument(INSTRUMENTS[name], [...(all.get(name)?.values() ?? [])], buckets))
        .join('')
    },
  }
}

/** A value that is read when the text is made. */
export function formatGauge(name: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`
}

function formatInstrument(
  { kind, name, help }: Instrument,
  series: readonly Series[],
  buckets: readonly number[],
): string {
  const full = `${name.replaceAll('.', '_')}${kind === 'counter' ? '_total' : '_seconds'}`
  const lines = series.flatMap(one =>
    kind === 'counter' ? [`${full}${formatLabels(one.labels)} ${one.sum}`] : formatHistogram(full, one, buckets),
  )
  return [`# HELP ${full} ${help}`, `# TYPE ${full} ${kind}`, ...lines, ''].join('\n')
}

function formatHistogram(name: string, { labels, sum, classes }: Series, buckets: readonly number[]): string[] {
  let total = 0
  const bounds = [...buckets.map(String), '+Inf']
  const lines = classes.map((count, at) => {
    total += count
    return `${name}_bucket${formatLabels({ ...labels, le: bounds[at] ?? '+Inf' })} ${total}`
  })
  return [...lines, `${name}_sum${formatLabels(labels)} ${sum}`, `${name}_count${formatLabels(labels)} ${total}`]
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeValue(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escapeValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
