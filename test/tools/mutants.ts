import ts from 'typescript'

/** One small change to a source text that a test should notice. */
export interface Mutant {
  /** What was done, in a word or two. */
  readonly kind: string
  readonly start: number
  readonly end: number
  readonly replacement: string
  /** 1 for the first line. */
  readonly line: number
  /** The text it takes the place of, on one line and cut short. */
  readonly original: string
}

type Change = readonly [kind: string, node: ts.Node, replacement: string]

const SWAPPED: Partial<Record<ts.SyntaxKind, string>> = {
  [ts.SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [ts.SyntaxKind.ExclamationEqualsEqualsToken]: '===',
  [ts.SyntaxKind.LessThanToken]: '<=',
  [ts.SyntaxKind.LessThanEqualsToken]: '<',
  [ts.SyntaxKind.GreaterThanToken]: '>=',
  [ts.SyntaxKind.GreaterThanEqualsToken]: '>',
  [ts.SyntaxKind.AmpersandAmpersandToken]: '||',
  [ts.SyntaxKind.BarBarToken]: '&&',
}

/** Every mutant of a source text, in the order of the text. */
export function findMutants(name: string, text: string): Mutant[] {
  const tree = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true)
  const mutants: Mutant[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node)) return
    for (const [kind, changed, replacement] of changesOf(node)) {
      const start = changed.getStart(tree)
      const end = changed.getEnd()
      const original = text.slice(start, end).replace(/\s+/g, ' ').slice(0, 90)
      mutants.push({
        kind,
        start,
        end,
        replacement,
        line: tree.getLineAndCharacterOfPosition(start).line + 1,
        original,
      })
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return mutants
}

export function applyMutant(text: string, { start, end, replacement }: Mutant): string {
  return text.slice(0, start) + replacement + text.slice(end)
}

function changesOf(node: ts.Node): Change[] {
  if (ts.isIfStatement(node))
    return [
      ['condition never true', node.expression, 'false'],
      ['condition always true', node.expression, 'true'],
    ]
  if (ts.isThrowStatement(node)) return [['throw left out', node, ';']]
  if (ts.isExpressionStatement(node) && isCheck(node.expression)) return [['check left out', node, ';']]
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken)
    return [['not left out', node, `(${node.operand.getText()})`]]
  if (ts.isArrayLiteralExpression(node) && node.elements.length > 1)
    return node.elements.map(element => ['element left out', element, elementGone(element)])
  if (ts.isReturnStatement(node) && node.expression !== undefined) return returned(node.expression)
  if (ts.isBinaryExpression(node)) {
    const swapped = SWAPPED[node.operatorToken.kind]
    return swapped === undefined ? [] : [['operator swapped', node.operatorToken, swapped]]
  }
  return []
}

/** A hole in an array would be `undefined`; spreading nothing leaves nothing. */
function elementGone(element: ts.Expression): string {
  return ts.isOmittedExpression(element) ? '' : '...[]'
}

function returned(expression: ts.Expression): Change[] {
  if (expression.kind === ts.SyntaxKind.TrueKeyword) return [['answer turned round', expression, 'false']]
  if (expression.kind === ts.SyntaxKind.FalseKeyword) return [['answer turned round', expression, 'true']]
  return []
}

/** Calls for the sake of what they refuse or do: their value is not used. */
function isCheck(expression: ts.Expression): boolean {
  const call = ts.isAwaitExpression(expression) ? expression.expression : expression
  return ts.isCallExpression(call) && !call.getText().startsWith('super')
}

/** A small generator, so that a sample is the same on every machine. */
export function sample<T>(items: readonly T[], size: number, seed: number): T[] {
  let state = seed
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return state / 2_147_483_648
  }
  const keyed = items.map((item, at) => ({ item, at, key: random() }))
  const chosen = keyed.sort((a, b) => a.key - b.key).slice(0, size)
  return chosen.sort((a, b) => a.at - b.at).map(({ item }) => item)
}
