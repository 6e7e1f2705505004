import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import ts from 'typescript'
import { compilerOptions, complaintsOf, createProgram, entryPoints } from './tools/compile.js'
import { root } from './tools/documentation.js'
import { nodesOf } from './tools/source-file.js'

const published = join(root, '.published')
const sites = join(root, 'test/types')
const siteFiles = readdirSync(sites).filter(name => name.endsWith('.ts'))

/** What the package publishes as its types, by path, as its build writes it. */
function emitDeclarations(): Map<string, string> {
  const declarations = new Map<string, string>()
  const emitted = { noEmit: false, declaration: true, emitDeclarationOnly: true, stripInternal: true }
  const options = compilerOptions({ ...emitted, rootDir: 'lib', outDir: '.published' })
  const sources = Object.values(entryPoints()).map(source => join(root, source))
  ts.createProgram(sources, options).emit(undefined, (name, text) => declarations.set(name, text))
  return declarations
}

describe('the types of the package, as its sites get them', () => {
  let declarations: Map<string, string>

  before(() => {
    declarations = emitDeclarations()
    assert.ok(declarations.has(join(published, 'index.d.ts')), 'no declarations')
  })

  test('accept what is right and refuse what is wrong', () => {
    const options = compilerOptions({
      paths: { 'express-hybrid-oidc': ['./.published/index.d.ts'] },
      noUnusedParameters: false,
    })
    const program = createProgram(
      siteFiles.map(name => join(sites, name)),
      options,
      declarations,
    )
    assert.deepEqual(complaintsOf(program), [])
    assert.equal(program.getSourceFile(join(root, 'lib/index.ts')), undefined, 'the sources were not looked at')
  })

  test('say any nowhere, not even where the compiler found the type by itself', () => {
    const loose = [...declarations].flatMap(([name, text]) => {
      const tree = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
      const anys = nodesOf(tree).filter(node => node.kind === ts.SyntaxKind.AnyKeyword)
      return anys.map(node => `${name.slice(published.length)}: ${node.parent.getText(tree)}`)
    })
    assert.deepEqual(loose, [])
  })

  test('keep to themselves what is marked internal', () => {
    const context = declarations.get(join(published, 'middleware/request.d.ts')) ?? ''
    assert.match(context, /interface OidcRequest\b/)
    assert.doesNotMatch(context, /@internal/)
  })
})

test('every file of test/types refuses something', () => {
  for (const name of siteFiles.filter(file => file !== 'expect.ts')) {
    const count = readFileSync(join(sites, name), 'utf8').match(/@ts-expect-error/g)?.length ?? 0
    assert.ok(count >= 2, `${name} refuses ${count}`)
  }
})
