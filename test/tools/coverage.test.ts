import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { type Coverage, comesBy, firstDifference, readCoverage } from './coverage.js'

const text = `export function sign(n) {
  if (n < 0) {
    return 'minus'
  }
  return never(n) ?? 'plus'
}
function never(n) {
  return n === 0 ? 'nil' : undefined
}
for (const n of process.argv.slice(2)) sign(Number(n))
`

/** What is come by when the text above runs in one process for each of the lists. */
function coverageOf(...runs: readonly (readonly string[])[]): Coverage {
  const folder = mkdtempSync(join(tmpdir(), 'oidc-coverage-test-'))
  const output = join(folder, 'output')
  try {
    writeFileSync(join(folder, 'sign.mjs'), text)
    for (const args of runs) {
      const env = { ...process.env, NODE_V8_COVERAGE: output }
      assert.equal(spawnSync(process.execPath, [join(folder, 'sign.mjs'), ...args], { env }).status, 0)
    }
    return readCoverage(output, `${pathToFileURL(folder).href}/`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const isCovered = (coverage: Coverage, part: string) => comesBy(coverage.get('sign.mjs'), text.indexOf(part))

test('a branch that is never taken is not covered, and the code around it is', () => {
  const coverage = coverageOf(['5'])
  assert.deepEqual(
    ['n < 0', "'minus'", "'plus'", "'nil'", 'undefined'].map(part => isCovered(coverage, part)),
    [true, false, true, false, true],
  )
})

test('what one process of several comes by is come by', () => {
  const coverage = coverageOf(['5'], ['-5'])
  assert.deepEqual(
    ["'minus'", "'plus'", "'nil'"].map(part => isCovered(coverage, part)),
    [true, true, false],
  )
})

test('a function that is never called, and a file that is never loaded, are not covered', () => {
  const coverage = coverageOf([])
  assert.equal(isCovered(coverage, 'n < 0'), false)
  assert.equal(comesBy(coverage.get('other.mjs'), 0), false)
})

test('two texts part at the first character that differs, or where the shorter one ends', () => {
  assert.equal(firstDifference('a < b', 'a <= b'), 3)
  assert.equal(firstDifference('same', 'same'), 4)
  assert.equal(firstDifference('ab', 'abc'), 2)
})
