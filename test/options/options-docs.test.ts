import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import ts from 'typescript'
import { parseOptions } from '../../lib/options/parse-options.js'
import { codeIn, readPage, root, rowsOf, sectionOf } from '../tools/documentation.js'
import { optionEntries, withTable } from '../tools/option-tables.js'
import { nodesOf, parseSourceFile } from '../tools/source-file.js'

const reference = readPage('docs/options.md')

/** The members of an interface of lib/, as they are written there. */
function membersOf(file: string, name: string): string[] {
  const tree = parseSourceFile(file, ts.sys.readFile(join(root, 'lib', file)) ?? '').tree
  const declaration = nodesOf(tree).find(node => ts.isInterfaceDeclaration(node) && node.name.text === name)
  assert.ok(declaration !== undefined && ts.isInterfaceDeclaration(declaration), `${file} has ${name}`)
  return declaration.members.map(member => member.name?.getText(tree) ?? '')
}

/** The value a parameter has in a file that does not set it. */
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
  OidcOptions: membersOf('options/options.ts', 'OidcOptions'),
  ProviderChoice: membersOf('options/provider-options.ts', 'ProviderChoice'),
  SessionOptions: membersOf('options/options.ts', 'SessionOptions'),
  Routes: membersOf('options/config.ts', 'Routes'),
  Hooks: membersOf('options/hooks.ts', 'Hooks'),
}

const { config: site, store: state } = parseOptions(
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
  pushedAuthorization: site.pushedAuthorization,
  dpop: site.proofAlgorithm !== undefined,
  scope: site.scope,
  redisPrefix: state.prefix,
  rememberUserAgent: site.rememberUserAgent,
  clearSiteData: site.clearsSiteData,
  revokeTokens: site.revokesTokens,
  userInfo: site.userInfo === 'front-channel',
  clockTolerance,
  idTokenAlgorithm,
}
assert.ok(site.session !== false)
const sessionDefaults: Readonly<Record<string, unknown>> = {
  name: site.session.cookieName,
  idle: site.idle,
  absolute: site.lifetime,
  persistent: site.session.persistent,
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
    assertDefaults(entriesOf('## Routes'), { ...site.routes })
    assert.deepEqual(codeIn(entriesOf('## Options').get('protocolClaims') ?? ''), site.protocolClaims)
    assert.deepEqual(codeIn(entriesOf('## Options').get('timeouts') ?? ''), [
      `{ provider: ${site.timeouts.provider}, redis: ${site.timeouts.redis} }`,
    ])
  })
})

describe('the description of the options', () => {
  const described = new Map(optionEntries.map(entry => [entry.path, entry]))
  const namesBelow = (parent: string) =>
    optionEntries.filter(({ path, name }) => path === `${parent}.${name}`).map(({ name }) => name)

  test('is what the table of docs/options.md says (npx tsx test/tools/option-tables.ts writes it)', () => {
    assert.equal(reference.text, withTable())
    const rows = rowsOf(reference.text.slice(reference.text.indexOf('<!-- option table')))
    assert.equal(rows.length, optionEntries.length)
  })

  test('has each member of the types, and no other', () => {
    const named = optionEntries.filter(({ path, name }) => path === name).map(({ name }) => name)
    assert.deepEqual(named.sort(), [...types.OidcOptions, ...types.ProviderChoice].sort())
    assert.deepEqual(namesBelow('session').sort(), [...types.SessionOptions].sort())
    assert.deepEqual(namesBelow('routes').sort(), [...types.Routes].sort())
    assert.deepEqual(namesBelow('hooks').sort(), [...types.Hooks].sort())
  })

  test('has a sentence for each option', () => {
    for (const { path, description } of optionEntries) assert.ok((description.text ?? '').length > 5, path)
  })

  test('names the defaults that are in force', () => {
    const inForce = {
      ...defaults,
      ...prefixed('session', sessionDefaults),
      ...prefixed('routes', site.routes),
      ...prefixed('timeouts', site.timeouts),
    }
    for (const [path, value] of Object.entries(inForce))
      assert.equal(described.get(path)?.description.default, `\`${value}\``, path)
    assert.deepEqual(codeIn(described.get('protocolClaims')?.description.default ?? ''), site.protocolClaims)
  })
})

function prefixed(parent: string, members: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).map(([name, value]) => [`${parent}.${name}`, value]))
}
