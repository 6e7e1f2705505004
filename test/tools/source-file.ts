import { readdirSync, readFileSync } from 'node:fs'
import { join, posix, sep } from 'node:path'
import ts from 'typescript'

/** One file of lib/, read with the compiler's parser. */
export interface SourceFile {
  /** Relative to lib/, with forward slashes. */
  readonly name: string
  readonly text: string
  readonly lines: number
  /** Files of lib/ it imports, type-only imports included, relative to lib/. */
  readonly imports: readonly string[]
  /** Modules outside lib/, as written. */
  readonly modules: readonly string[]
  readonly tree: ts.SourceFile
}

export function readSourceFiles(root: string): SourceFile[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => name.split(sep).join('/'))
    .sort()
    .map(name => parseSourceFile(name, readFileSync(join(root, name), 'utf8')))
}

export function parseSourceFile(name: string, text: string): SourceFile {
  const tree = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const specifiers = nodesOf(tree).flatMap(importOf)
  const isLocal = (specifier: string) => specifier.startsWith('.')
  return {
    name,
    text,
    lines: text.trimEnd().split('\n').length,
    imports: [...new Set(specifiers.filter(isLocal).map(specifier => resolveLocal(name, specifier)))],
    modules: [...new Set(specifiers.filter(specifier => !isLocal(specifier)))],
    tree,
  }
}

/** import, export … from, import() and the type import('…'). */
function importOf(node: ts.Node): string[] {
  const literal =
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
        ? node.arguments[0]
        : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
          ? node.argument.literal
          : undefined
  return literal && ts.isStringLiteral(literal) ? [literal.text] : []
}

function resolveLocal(from: string, specifier: string): string {
  return posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts')
}

export function nodesOf(root: ts.Node): ts.Node[] {
  const nodes: ts.Node[] = []
  const visit = (node: ts.Node) => {
    nodes.push(node)
    ts.forEachChild(node, visit)
  }
  visit(root)
  return nodes
}

/** Chains of imports that come back to where they began. */
export function findCycles(files: readonly SourceFile[]): string[] {
  const byName = new Map(files.map(file => [file.name, file]))
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (name: string, path: readonly string[]) => {
    if (path.includes(name)) return void cycles.push([...path.slice(path.indexOf(name)), name].join(' -> '))
    if (done.has(name)) return
    for (const next of byName.get(name)?.imports ?? []) visit(next, [...path, name])
    done.add(name)
  }
  for (const { name } of files) visit(name, [])
  return cycles
}

export interface FunctionSize {
  readonly name: string
  readonly lines: number
  readonly parameters: number
}

export function functionsOf({ name, tree }: SourceFile): FunctionSize[] {
  return nodesOf(tree)
    .filter(node => ts.isFunctionLike(node) && 'body' in node && node.body !== undefined)
    .map(node => {
      const line = (position: number) => tree.getLineAndCharacterOfPosition(position).line
      const { parameters } = node as ts.FunctionLikeDeclaration
      const begin = line(node.getStart(tree))
      return {
        name: `${name}:${begin + 1} ${nameOf(node as ts.FunctionLikeDeclaration)}`,
        lines: line(node.getEnd()) - begin + 1,
        parameters: parameters.length,
      }
    })
}

function nameOf(node: ts.FunctionLikeDeclaration): string {
  if (node.name) return node.name.getText()
  return ts.isVariableDeclaration(node.parent) ? node.parent.name.getText() : 'anonymous function'
}

/** Identifiers that stand for a value, as opposed to names of members and properties. */
export function valuesUsedIn({ tree }: SourceFile): string[] {
  return nodesOf(tree)
    .filter(ts.isIdentifier)
    .filter(({ parent, text }) => {
      if (ts.isPropertyAccessExpression(parent)) return [text, 'globalThis'].includes(parent.expression.getText())
      const isNameOfMember =
        ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent) || ts.isMethodSignature(parent)
      return !(isNameOfMember && parent.name.getText() === text)
    })
    .map(node => node.text)
}
