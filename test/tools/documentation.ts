import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** A page of the documentation. */
export interface Page {
  /** Relative to the repository, such as `docs/options.md`. */
  readonly name: string
  readonly text: string
}

/** A block of TypeScript in a page, as the reader's file would be. */
export interface Example {
  /** Says where it is: `docs/options.md:12`. */
  readonly place: string
  readonly source: string
}

export function readPages(): Page[] {
  const names = readdirSync(join(root, 'docs'), { recursive: true })
    .map(String)
    .filter(name => name.endsWith('.md'))
  return ['README.md', ...names.sort().map(name => `docs/${name}`)].map(readPage)
}

export function readPage(name: string): Page {
  return { name, text: readFileSync(join(root, name), 'utf8') }
}

/**
 * The `ts` blocks of a page. Each is a file of its own, unless a comment stands right before it:
 * - `<!-- ts: continues -->` goes on in the file of the block before;
 * - `<!-- ts: after` … `-->` begins with the lines of the comment, which readers do not see.
 */
export function examplesOf({ name, text }: Page): Example[] {
  const examples: Example[] = []
  for (const match of text.matchAll(/(?:<!-- ts: (continues|after\n([\s\S]*?)) *-->\s*)?^```ts\n([\s\S]*?)^```$/gm)) {
    const [, mark, hidden = '', code = ''] = match
    const place = `${name}:${lineOf(text, match.index + match[0].lastIndexOf('```ts'))}`
    const before = mark === 'continues' ? examples.at(-1)?.source : hidden
    if (before === undefined) throw new Error(`${place} continues nothing`)
    examples.push({ place, source: before + code })
  }
  return examples
}

/**
 * The files of a page that builds a whole site: its `js` blocks, which begin with the name of their file in a comment. Blocks of one name go on in
 * one file.
 */
export function filesOf({ text }: Page): Map<string, string> {
  const files = new Map<string, string>()
  for (const [, name = '', code = ''] of text.matchAll(/^```js\n\/\/ ([\w.-]+\.mjs)\n([\s\S]*?)^```$/gm)) {
    files.set(name, `${files.get(name) ?? ''}${code}\n`)
  }
  return files
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

/** What is below a heading, up to the next one of the same or a higher level. */
export function sectionOf({ name, text }: Page, heading: string): string {
  const level = heading.indexOf(' ')
  const lines = text.split('\n')
  const start = lines.indexOf(heading)
  if (start < 0) throw new Error(`${name} has no "${heading}"`)
  const rest = lines.slice(start + 1)
  const end = rest.findIndex(line => new RegExp(`^#{1,${level}} `).test(line))
  return rest.slice(0, end < 0 ? undefined : end).join('\n')
}

/** The rows of the first table in a text, without its head, cell by cell. */
export function rowsOf(text: string): string[][] {
  const lines = text.split('\n')
  const start = lines.findIndex(line => line.startsWith('|'))
  const table = lines.slice(start, start + lines.slice(start).findIndex(line => !line.startsWith('|')))
  return table.slice(2).map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  )
}

/** Everything between backticks. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code)
}

/** The anchors of a page, as GitHub makes them of its headings: the second of two alike ends in `-1`. */
export function anchorsOf({ text }: Page): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = slugOf(heading)
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count += 1) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  return anchors
}

function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}
