import { escapeHtml } from '../http/page.js'
import { formatDuration, formatTime, type Lane, lanes, type Message } from './messages.js'

/** Where things stand in a drawing, in its own units. */
interface Layout {
  readonly name: string
  readonly width: number
  /** Middle of each lane. */
  readonly x: Readonly<Record<Lane, number>>
  readonly rowHeight: number
  /** Whether the text of a line stands over its arrow; otherwise at the left, where a narrow page has room. */
  readonly centred: boolean
}

const wide: Layout = {
  name: 'wide',
  width: 960,
  x: { Browser: 130, Site: 390, Provider: 670, Redis: 900 },
  rowHeight: 34,
  centred: true,
}

const narrow: Layout = {
  name: 'narrow',
  width: 360,
  x: { Browser: 34, Site: 124, Provider: 232, Redis: 330 },
  rowHeight: 42,
  centred: false,
}

const head = 44

/** The same messages twice, for wide and for narrow pages; the style shows one of them. */
export function buildDiagrams(messages: readonly Message[]): string {
  const used = lanes.filter(lane => messages.some(({ from, to }) => from === lane || to === lane))
  return [wide, narrow].map(layout => buildDiagram(messages, used, layout)).join('\n')
}

function buildDiagram(messages: readonly Message[], used: readonly Lane[], layout: Layout): string {
  const { name, width, x, rowHeight } = layout
  const height = head + messages.length * rowHeight + 12
  const heads = used.map(
    lane => `<line class="lane" x1="${x[lane]}" y1="30" x2="${x[lane]}" y2="${height}"/>
<text class="head" x="${x[lane]}" y="20">${lane}</text>`,
  )
  const rows = messages.map((message, index) => buildRow(message, head + index * rowHeight, layout))
  return `<svg class="${name}" viewBox="0 0 ${width} ${height}" role="img" aria-label="Sequence diagram; the same messages are listed below.">
<defs><marker id="tip-${name}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse"><path d="M0 0 8 4 0 8z"/></marker></defs>
${[...heads, ...rows].join('\n')}
</svg>`
}

function buildRow(message: Message, top: number, layout: Layout): string {
  const { from, to, passed, isInferred } = message
  const { x, centred } = layout
  const line = top + (centred ? 18 : 26)
  const label = buildLabel(message, top, layout)
  const failed = passed === false ? ' failed' : ''
  if (from === to) {
    const mark = passed === false ? 'M-3.5 -3.5 3.5 3.5M-3.5 3.5 3.5 -3.5' : 'M-4 0 -1 3.5 4 -3.5'
    const place = `translate(${x[from]} ${centred ? line - 4 : line})`
    return `${label}<g class="check${failed}" transform="${place}"><circle r="8"/><path d="${mark}"/></g>`
  }
  const style = `arrow${isInferred ? ' inferred' : ''}${failed}`
  return `${label}<line class="${style}" x1="${x[from]}" y1="${line}" x2="${x[to]}" y2="${line}" marker-end="url(#tip-${layout.name})"/>`
}

function buildLabel({ time, from, to, text, duration, passed }: Message, top: number, layout: Layout): string {
  const { x, width, centred } = layout
  const failed = passed === false ? ' failed' : ''
  const took = duration === undefined ? '' : ` · ${formatDuration(duration)}`
  const at = formatTime(time)
  if (!centred) {
    // What failed is bold, and so takes more room.
    const words = escapeHtml(cut(`${at}  ${text}`, (passed === false ? 49 : 54) - took.length) + took)
    return `<text class="label${failed}" x="2" y="${top + 10}">${words}</text>`
  }
  const clock = `<text class="clock" x="2" y="${top + 18}">${at}</text>`
  if (from === to) {
    const words = escapeHtml(cut(text, 84 - took.length) + took)
    return `${clock}<text class="label${failed}" x="${x[from] + 16}" y="${top + 18}">${words}</text>`
  }
  const room = Math.abs(x[from] - x[to]) / 7
  const words = escapeHtml(cut(text, Math.max(12, Math.floor(room) - took.length)) + took)
  const middle = Math.min((x[from] + x[to]) / 2, width)
  return `${clock}<text class="label middle${failed}" x="${middle}" y="${top + 13}">${words}</text>`
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`
}
