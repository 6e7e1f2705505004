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
