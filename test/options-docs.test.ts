import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import ts from 'typescript'
import { parseOptions } from '../lib/configuration.js'
import { parseRoutes, parseSession } from '../lib/option-checks.js'
import { codeIn, readPage, root, rowsOf, sectionOf } from './tools/documentation.js'
import { nodesOf, parseSourceFile } from './tools/source-file.js'

const readme = readPage('README.md')
const reference = readPage('docs/options.md')

/** The members of an interface of lib/, as they are written there. */
function membersOf(file: string, name: string): string[] {
  const tree = parseSourceFile(file, ts.sys.readFile(join(root, 'lib', file)) ?? '').tree
  const declaration = nodesOf(tree).find(node => ts.isInterfaceDeclaration(node) && node.name.text === name)
  assert.ok(declaration !== undefined && ts.isInterfaceDeclaration(declaration), `${file} has ${name}`)
  return declaration.members.map(member => member.name?.getText(tree) ?? '')
}

/** The value a parameter has in a file where nobody gives it. */
function literalDefaultsIn(file: string): Record<string, unknown> {
  const tree = parseSourceFile(file, ts.sys.readFile(join(root, 'lib', file)) ?? '').tree
  const elements = nodesOf(tree).filter(ts.isBindingElement)
  const literals = elements.flatMap(({ name, initializer }) => {
    if (initializer === undefined) return []
    if (ts.isNumericLiteral(initializer)) return [[name.getText(tree), Number(initializer.text)]]
    return ts.isStringLiteral(initializer) ? [[name.getText(tree), initializer.text]] : []
  })
  return Object.fromEntries(literals)
}

const types = {
  OidcOptions: membersOf('options.ts', 'OidcOptions'),
  SessionOptions: membersOf('options.ts', 'SessionOptions'),
  Routes: membersOf('handlers/site.ts', 'Routes'),
  Hooks: membersOf('handlers/hooks.ts', 'Hooks'),
}

const { site, state } = parseOptions(
  {
    issuer: 'https://op.example',
    clientId: 'client',
    baseUrl: 'https://rp.example',
    secret: 'abcdefghijklmnopqrstuvwxyz012345',
    log: () => {},
  },
  {},
)
const { clockTolerance, idTokenAlgorithm } = literalDefaultsIn('provider/provider.ts')

/** What is in force where a site says nothing, taken from the code itself. */
const defaults: Readonly<Record<string, unknown>> = {
  responseType: site.responseType,
  responseMode: site.responseMode,
  pkce: site.pkce,
  scope: site.scope,
  redisPrefix: state.prefix,
  rememberUserAgent: site.rememberUserAgent,
  revokeTokens: site.revokesTokens,
  userInfo: site.userInfo === 'front-channel',
  clockTolerance,
  idTokenAlgorithm,
}
const sessionDefaults: Readonly<Record<string, unknown>> = {
  name: parseSession().cookieName,
  idle: site.idle,
  absolute: site.lifetime,
  persistent: parseSession().persistent,
}

/** The entries below a heading of docs/options.md, with what each says its default is. */
function entriesOf(heading: string): Map<string, string> {
  const entries = sectionOf(reference, heading).matchAll(/^### (\w+)\n\n([\s\S]*?)(?=\n### |$(?![\s\S]))/gm)
  return new Map(
    [...entries].map(([, name = '', text = '']) => [name, /\bDefault:? ([^.\n]*)/.exec(text)?.[1] ?? ''] as const),
  )
}

function assertDefaults(said: ReadonlyMap<string, string>, inForce: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(inForce)) {
    assert.ok(value !== undefined, `${name} has a default in the code`)
    assert.ok(codeIn(said.get(name) ?? '').includes(String(value)), `${name}: "${said.get(name)}" is not ${value}`)
  }
}

describe('docs/options.md', () => {
  const sections = [
    ['## Options', types.OidcOptions],
    ['## Session', types.SessionOptions],
    ['## Routes', types.Routes],
    ['## Hooks', types.Hooks],
  ] as const
  for (const [heading, members] of sections) {
    test(`has an entry for each member below "${heading}", and for nothing else`, () => {
      assert.ok(members.length >= 4, `${members.length} members`)
      assert.deepEqual([...entriesOf(heading).keys()].sort(), [...members].sort())
    })
  }

  test('names the defaults that are in force', () => {
    assertDefaults(entriesOf('## Options'), defaults)
    assertDefaults(entriesOf('## Session'), sessionDefaults)
    assertDefaults(entriesOf('## Routes'), { ...parseRoutes() })
    assert.deepEqual(codeIn(entriesOf('## Options').get('protocolClaims') ?? ''), site.protocolClaims)
    assert.deepEqual(codeIn(entriesOf('## Options').get('timeouts') ?? ''), [
      `{ provider: ${site.timeouts.provider}, redis: ${site.timeouts.redis} }`,
    ])
  })
})

describe('the table of options in the README', () => {
  const rows = rowsOf(sectionOf(readme, '## Options'))
  const rowOf = (name: string) => rows.find(([names = '']) => codeIn(names).includes(name)) ?? []

  test('names every option, and nothing else', () => {
    assert.deepEqual(rows.flatMap(([names = '']) => codeIn(names)).sort(), [...types.OidcOptions].sort())
  })

  test('names the defaults that are in force', () => {
    assertDefaults(new Map(types.OidcOptions.map(name => [name, rowOf(name)[1] ?? ''])), defaults)
    assert.deepEqual(rowOf('protocolClaims')[1]?.split(', '), site.protocolClaims)
    assert.deepEqual(codeIn(rowOf('timeouts')[1] ?? ''), [
      `{ provider: ${site.timeouts.provider}, redis: ${site.timeouts.redis} }`,
    ])
  })

  test('names the session options and the hooks', () => {
    const said = (name: string) => rowOf(name).join(' ')
    for (const name of types.SessionOptions) assert.match(said('session'), new RegExp(`\\b${name}\\b`))
    for (const name of types.Hooks) assert.match(said('hooks'), new RegExp(`\\b${name}\\b`))
  })

  test('names the routes that are on by themselves, with their paths, and those that are not', () => {
    for (const [name, path] of Object.entries(parseRoutes())) {
      const wanted = path === false ? `\`${name}\`` : `${name}: '${path}'`
      assert.ok(rowOf('routes').join(' ').includes(wanted), wanted)
    }
  })
})
