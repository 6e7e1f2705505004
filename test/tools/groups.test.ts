import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { countByGroup } from './groups.js'
import type { Outcome } from './test-file.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const good = { isSuite: false } as Outcome
const suite = { isSuite: true } as Outcome

describe('counts by group', () => {
  test('are those of tests, not of suites, by folder', () => {
    const counts = countByGroup([
      { file: 'test/fuzz/a.test.ts', outcomes: [good, suite] },
      { file: 'test/attacks/a.test.ts', outcomes: [good, good] },
      { file: 'test/fuzz/b.test.ts', outcomes: [good] },
      { file: 'test/docs.test.ts', outcomes: [good] },
    ])
    assert.deepEqual(
      [...counts],
      [
        ['attacks', 2],
        ['fuzz', 2],
        ['test', 1],
      ],
    )
  })
})

describe('npm run test:long', () => {
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { scripts: Record<string, string> }
  const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.test.ts'))
    .map(name => `test/${name}`)
  const filters = scripts['test:long']?.split(' -- ')[1]?.split(' ') ?? []

  test('runs the files that have more to show then, and no other', () => {
    const scaled = files.filter(file => /from '[./\w]*(?:scale|fuzz)\.js'/.test(readFileSync(root + file, 'utf8')))
    assert.ok(scaled.length > 10, `${scaled.length} files`)
    assert.deepEqual(files.filter(file => filters.some(filter => file.includes(filter))).sort(), scaled.sort())
  })
})
