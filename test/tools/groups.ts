import type { FileResult } from './test-file.js'

/** How many tests ran, by folder below `test/`; files beside the folders are under `test`. */
export function countByGroup(results: readonly Pick<FileResult, 'file' | 'outcomes'>[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const { file, outcomes } of results) {
    const group = file.split('/').at(-2) ?? 'test'
    const tests = outcomes.filter(({ isSuite }) => !isSuite).length
    counts.set(group, (counts.get(group) ?? 0) + tests)
  }
  return new Map([...counts].sort(([a], [b]) => a.localeCompare(b)))
}

/** The counts a page lists, as rows of a table such as `` | `test/attacks`: what it is | 120 | ``. */
export function listedCounts(page: string): ReadonlyMap<string, number> {
  const rows = page.matchAll(/^\| `test\/(\w+)`[^|]*\| ([\d,]+) \|$/gm)
  return new Map([...rows].map(([, group = '', count = '']) => [group, Number(count.replaceAll(',', ''))]))
}

/** What is wrong with the list of a page, in sentences. */
export function findWrongCounts(counts: ReadonlyMap<string, number>, page: string, name: string): readonly string[] {
  const listed = listedCounts(page)
  if (listed.size === 0) return [`${name} lists no counts`]
  return [...listed]
    .filter(([group, count]) => counts.get(group) !== count)
    .map(([group, count]) => `${name} lists ${count} tests of ${group}, and ${counts.get(group) ?? 0} ran`)
}
