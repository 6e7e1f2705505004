import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Files, below a folder, that processes came by; for each process how often it came by each of their parts. */
export type Coverage = ReadonlyMap<string, readonly (readonly CoveredRange[])[]>

/** V8's own words: of the ranges around a place, the shortest says how often it was come by. */
export interface CoveredRange {
  readonly startOffset: number
  readonly endOffset: number
  readonly count: number
}

interface Report {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly { readonly ranges: readonly CoveredRange[] }[]
  }[]
}

/** What the processes that were started with `NODE_V8_COVERAGE` have left behind. */
export function readCoverage(folder: string, below: string): Coverage {
  const found = new Map<string, (readonly CoveredRange[])[]>()
  for (const name of readdirSync(folder).filter(name => name.endsWith('.json'))) {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Report
    for (const { url, functions } of result) {
      if (!url.startsWith(below)) continue
      const file = url.slice(below.length)
      found.set(file, [...(found.get(file) ?? []), functions.flatMap(({ ranges }) => ranges)])
    }
  }
  return found
}

/** Whether the place, an offset in the text, was come by in any of the processes. */
export function comesBy(processes: readonly (readonly CoveredRange[])[] | undefined, place: number): boolean {
  return (processes ?? []).some(ranges => countAt(ranges, place) > 0)
}

function countAt(ranges: readonly CoveredRange[], place: number): number {
  let innermost: CoveredRange | undefined
  for (const range of ranges) {
    if (range.startOffset > place || place >= range.endOffset) continue
    if (innermost === undefined || lengthOf(range) <= lengthOf(innermost)) innermost = range
  }
  return innermost?.count ?? 0
}

function lengthOf({ startOffset, endOffset }: CoveredRange): number {
  return endOffset - startOffset
}

/** Where two texts part. */
export function firstDifference(one: string, other: string): number {
  let at = 0
  while (at < one.length && one[at] === other[at]) at += 1
  return at
}
