import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { applyMutant, findMutants, sample } from './mutants.js'

const changed = (text: string) => findMutants('x.ts', text).map(mutant => applyMutant(text, mutant))

describe('mutants', () => {
  const cases: Record<string, readonly string[]> = {
    'if (a) b = 1': ['if (false) b = 1', 'if (true) b = 1'],
    'throw new Error()': [';'],
    'checkIssuer(a)': [';'],
    'await save()': [';'],
    'const a = !b': ['const a = (b)'],
    'const a = b && c': ['const a = b || c'],
    'const a = b < 3': ['const a = b <= 3'],
    'const a = b === c': ['const a = b !== c'],
    "const a = ['b', 'c']": ["const a = [...[], 'c']", "const a = ['b', ...[]]"],
    'function f() { return true }': ['function f() { return false }'],
    'const a: (1 | 2)[] = b': [],
    "import { a } from 'b'": [],
  }
  for (const [text, expected] of Object.entries(cases)) {
    test(`of ${text}`, () => assert.deepEqual(changed(text), expected))
  }

  test('say where they are and what they replace', () => {
    const [mutant] = findMutants('x.ts', 'const a = 1\n\n  throw   new\nError()')
    assert.deepEqual([mutant?.line, mutant?.original], [3, 'throw new Error()'])
  })
})

test('a sample is in order, without repetition, and always the same', () => {
  const items = [...Array(100).keys()]
  const some = sample(items, 10, 7)
  assert.equal(new Set(some).size, 10)
  assert.deepEqual(
    some,
    [...some].sort((a, b) => a - b),
  )
  assert.deepEqual(sample(items, 10, 7), some)
  assert.notDeepEqual(sample(items, 10, 8), some)
})
