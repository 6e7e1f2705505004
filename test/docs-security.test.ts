import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { nodesOf, parseSourceFile } from './tools/source-file.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = readFileSync(`${root}docs/security.md`, 'utf8')

const NUMBER = /(?:CVE-\d{4}-\d{4,}|GHSA(?:-[0-9a-z]{4}){3})/g
const numbersIn = (text: string) => [...new Set(text.match(NUMBER))].sort()

interface NamedTest {
  readonly file: string
  /** Without the numbers in front. */
  readonly name: string
  readonly numbers: readonly string[]
}

interface Row {
  readonly section: string
  readonly cells: readonly string[]
}

/** Every text the first argument of `test(…)` or `attack(…)` can be. */
function textsOf(node: ts.Node | undefined): string[] {
  if (node === undefined) return []
  if (ts.isStringLiteralLike(node)) return [node.text]
  if (ts.isConditionalExpression(node)) return [...textsOf(node.whenTrue), ...textsOf(node.whenFalse)]
  if (!ts.isElementAccessExpression(node) || !ts.isObjectLiteralExpression(node.expression)) return []
  return node.expression.properties.flatMap(property =>
    ts.isPropertyAssignment(property) ? textsOf(property.initializer) : [],
  )
}

function testsOf(file: string): NamedTest[] {
  const { tree } = parseSourceFile(file, readFileSync(`${root}test/${file}`, 'utf8'))
  const calls = nodesOf(tree).filter(
    (node): node is ts.CallExpression =>
      ts.isCallExpression(node) && ts.isIdentifier(node.expression) && /^(test|attack)$/.test(node.expression.text),
  )
  return calls.flatMap(call =>
    textsOf(call.arguments[0]).map(text => {
      const [, name = text] = /^(?:(?:CVE|GHSA)-[\w-]+ ?)+: (.*)$/s.exec(text) ?? []
      return { file, name, numbers: numbersIn(text) }
    }),
  )
}

const files = readdirSync(`${root}test`, { recursive: true, encoding: 'utf8' }).filter(name =>
  name.endsWith('.test.ts'),
)
const tests = files.flatMap(testsOf)
const attacks = tests.filter(({ file }) => file.startsWith('attacks/'))

const sections = page.split(/^## /m).slice(1)
const rows: Row[] = sections.flatMap(text => {
  const [section = '', ...lines] = text.split('\n')
  const cells = lines.filter(line => line.startsWith('| ')).map(line => line.slice(2, -2).split(' | '))
  return cells.slice(1).map(row => ({ section, cells: row }))
})
/** An attack, what stops it, and the test. */
const proven = rows.filter(({ cells }) => cells.length === 3)
const notApplicable = rows.filter(({ section }) => section === 'Not applicable')

test('every test that docs/security.md names is there, with the numbers of its row', () => {
  for (const { cells } of proven) {
    const [attack = '', , name] = cells
    const found = tests.filter(candidate => candidate.name === name)
    assert.equal(found.length, 1, `${found.length} tests are called "${name}"`)
    assert.deepEqual(numbersIn(attack), found[0]?.numbers, name)
  }
})

test('every attack of test/attacks has a row, and a name that can be read without running it', () => {
  assert.ok(attacks.length > 100, `${attacks.length} attacks`)
  const named = new Set(proven.map(({ cells }) => cells[2]))
  assert.deepEqual(
    attacks.map(({ name }) => name).filter(name => !named.has(name)),
    [],
  )
  const calls = files
    .filter(file => file.startsWith('attacks/'))
    .flatMap(file => readFileSync(`${root}test/${file}`, 'utf8').match(/^ *(test|attack)\(/gm) ?? [])
  assert.ok(calls.length <= attacks.length, `${calls.length} calls, ${attacks.length} names`)
})

test('vulnerabilities in docs/security.md and in the names of tests are the same', () => {
  const left = notApplicable.flatMap(({ cells }) => numbersIn(cells[0] ?? ''))
  const inTests = [...new Set(tests.flatMap(({ numbers }) => numbers))].sort()
  assert.deepEqual(
    numbersIn(page).filter(number => !left.includes(number)),
    inTests,
  )
  assert.deepEqual(
    left.filter(number => inTests.includes(number)),
    [],
    'tested, and not applicable',
  )
})

test('every row says what stops the attack, and no row is there twice', t => {
  for (const { cells } of rows) for (const cell of cells) assert.notEqual(cell.trim(), '', cells.join(' | '))
  const names = proven.map(({ cells }) => cells[2])
  assert.equal(new Set(names).size, names.length)
  for (const section of new Set(proven.map(row => row.section))) {
    const own = proven.filter(row => row.section === section)
    const numbers = new Set(own.flatMap(({ cells }) => numbersIn(cells[0] ?? '')))
    t.diagnostic(`${section}: ${own.length} attacks, ${numbers.size} published vulnerabilities`)
  }
})
