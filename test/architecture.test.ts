import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import {
  findCycles,
  functionsOf,
  nodesOf,
  parseSourceFile,
  readSourceFiles,
  type SourceFile,
  valuesUsedIn,
} from './tools/source-file.js'

const files = readSourceFiles(fileURLToPath(new URL('../lib', import.meta.url)))

const BASE = ['time', 'errors']
const PURE = ['protocol', ...BASE]
const STORE = ['store/backend', 'diagnostics', ...PURE]
const PROVIDER = ['diagnostics', ...PURE]
const OPTIONS = ['store', 'provider', 'validation', ...STORE]
const TOKENS = ['options', ...OPTIONS]
const HTTP = ['tokens', ...TOKENS]
const ROOMS = ['http', ...HTTP]
const MIDDLEWARE = ['sign-in', 'sign-out', 'session', 'api', ...ROOMS]
const SURFACE = ['middleware', 'inspector', ...MIDDLEWARE]

/** Each layer, and what it may import from besides itself. Files directly in lib/ are the surface, apart from errors.ts and time.ts. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  time: [],
  // Everything but the pure protocol may say what is going on.
  diagnostics: BASE,
  protocol: ['errors'],
  // How options and arguments are read.
  validation: ['protocol', 'errors'],
  provider: PROVIDER,
  'store/backend': PROVIDER,
  store: STORE,
  options: OPTIONS,
  // Never sees a request or a response.
  tokens: TOKENS,
  http: HTTP,
  api: ROOMS,
  session: ROOMS,
  // A sign-in may end the session of another user.
  'sign-in': ['sign-out', ...ROOMS],
  'sign-out': ROOMS,
  middleware: MIDDLEWARE,
  // A page about sign-ins, made of what the diagnostics say.
  inspector: ['http', 'diagnostics', ...BASE],
  surface: SURFACE,
  // Counts what the diagnostics say.
  metrics: ['surface', 'diagnostics'],
  // Tells the provider of a site.
  registration: OPTIONS.concat('options'),
  // Looks at a set-up from outside, with the parts that the middleware is made of.
  doctor: OPTIONS.concat('options', 'registration'),
  // Runs in the browser.
  'session-watch': [],
  // What a site's own tests use, from outside as a site does.
  testing: ['surface'],
}

/** Packages from outside, and the layers that may know of them. Node's own modules are free except in protocol. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  jose: ['protocol', 'provider', 'testing'],
  ioredis: ['store/backend'],
  'connect-redis': ['store'],
  'express-session': ['store', 'session', 'http', 'surface'],
  // store: for the type of the request that a session is attached to. options: for the type of the request that a hook gets.
  express: ['store', 'options', 'http', 'api', 'session', 'sign-in', 'sign-out', 'middleware', 'inspector', 'surface'],
  cookie: ['http'],
  'on-headers': ['http'],
  'raw-body': ['http'],
}

const IMPURE = new Set([
  'Date',
  'fetch',
  'process',
  'performance',
  'crypto',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'console',
  'randomBytes',
  'randomUUID',
  'randomInt',
  'getRandomValues',
])

function layerOf(name: string): string {
  if (name === 'errors.ts' || name === 'time.ts') return name.slice(0, -3)
  if (name.startsWith('store/backend/')) return 'store/backend'
  return name.includes('/') ? (name.split('/')[0] ?? '') : 'surface'
}

function forbiddenImports({ name, imports }: SourceFile): string[] {
  const layer = layerOf(name)
  const allowed = [layer, ...(LAYERS[layer] ?? [])]
  return imports.filter(target => !allowed.includes(layerOf(target))).map(target => `${name} imports ${target}`)
}

/** A package may be imported in part: `jose/jwt/decode`. */
function packageOf(module: string): string {
  return module.split('/', module.startsWith('@') ? 2 : 1).join('/')
}

function forbiddenModules({ name, modules }: SourceFile): string[] {
  const layer = layerOf(name)
  return modules
    .filter(module => {
      if (isBuiltin(module)) return layer === 'protocol' && module !== 'node:crypto'
      return !PACKAGES[packageOf(module)]?.includes(layer)
    })
    .map(module => `${name} imports ${module}`)
}

function impurities(file: SourceFile): string[] {
  const found = valuesUsedIn(file).filter(value => IMPURE.has(value))
  if (/\bMath\s*\.\s*random\b/.test(file.text)) found.push('Math.random')
  return found.map(value => `${file.name} uses ${value}`)
}

function untyped({ name, tree, text }: SourceFile): string[] {
  const any = nodesOf(tree).filter(node => node.kind === ts.SyntaxKind.AnyKeyword)
  const silenced = text.match(/@ts-(ignore|nocheck|expect-error)/g) ?? []
  return [...any.map(() => 'any'), ...silenced].map(what => `${name} has ${what}`)
}

function defaultExports({ name, tree }: SourceFile): string[] {
  const found = nodesOf(tree).filter(
    node =>
      ts.isExportAssignment(node) ||
      (node.kind === ts.SyntaxKind.DefaultKeyword && !ts.isDefaultClause(node.parent)) ||
      (ts.isExportSpecifier(node) && node.name.text === 'default'),
  )
  return found.map(() => `${name} has a default export`)
}

/** Words that say something else in the field, or nothing. Each has a standard term: response, refresh, lease, return URL, expiry. */
const RETIRED_NAMES =
  /^(?:evidence|answer(?:s|ed|ing)?|arriv(?:al|es?|ed)|journey|vault|landing|visit(?:s|ors?|ed)?|edge|life|moment|settle(?:s|d|ment)?|seen|renew(?:s|ed|als?)?|note[sd]?|gate|spell(?:s|ed|ing)?|show(?:s|n|ed)?|trip|lack(?:s|ing)?|(?:some|any|every)body|nobody)$/
const RETIRED_COMPOUNDS = /^(?:setOut|giveBack|goOn|hasHappened)/
/** `allSettled` is the platform's; `lastSeenAt` is public, in the lists of sessions. */
const ALLOWED_NAMES = new Set(['allSettled', 'lastSeenAt'])

const RETIRED_PROSE =
  /\b(?:evidence|answer(?:s|ed|ing)?|renew(?:s|ed|als?|ing)?|(?:some|any|every)body|nobody|someone|whoever|vaults?|journeys?|moments?|the edge|claimed)\b/gi
/** A certificate is renewed: that is its term. */
const ALLOWED_PROSE: Readonly<Record<string, string>> = {
  'provider/client-certificate.ts': 'renewed',
  'options/options.ts': 'renewed',
}

function wordsOf(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[ _#-]+/)
    .map(word => word.toLowerCase())
}

function retiredNames({ name, tree }: SourceFile): string[] {
  const names = nodesOf(tree).filter(node => ts.isIdentifier(node) || ts.isPrivateIdentifier(node))
  const all = [...new Set(names.map(({ text }) => text)), (name.split('/').at(-1) ?? '').slice(0, -3)]
  return all
    .filter(text => !ALLOWED_NAMES.has(text))
    .filter(text => RETIRED_COMPOUNDS.test(text) || wordsOf(text).some(word => RETIRED_NAMES.test(word)))
    .map(text => `${name} has ${text}`)
}

function retiredProse({ name, text }: SourceFile): string[] {
  const comments = text.match(/\/\*\*?[\s\S]*?\*\/|(?<=^|\s)\/\/.*$/gm) ?? []
  return comments
    .flatMap(comment => comment.match(RETIRED_PROSE) ?? [])
    .filter(word => word !== ALLOWED_PROSE[name])
    .map(word => `${name} says ${word}`)
}

/** Words that hide who does something: the user, another user, the caller, another process, an attacker. */
const RETIRED_SUBJECTS = /\b(?:nobody|somebody|whoever|everybody|anybody)\b/gi
const NAME_OF_TEST = /^\s*(?:test|attack|describe|it)\(\s*(['"`])(.*?)\1,/gm

interface Text {
  readonly name: string
  readonly text: string
}

function retiredSubjects({ name, text }: Text): string[] {
  return (text.match(RETIRED_SUBJECTS) ?? []).map(word => `${name} says ${word}`)
}

function testNames({ name, text }: Text): Text[] {
  return [...text.matchAll(NAME_OF_TEST)].map(([, , of = '']) => ({ name: `${name}: ${of}`, text: of }))
}

/** The texts below a directory of the project. */
function textsBelow(directory: string, extension: RegExp): Text[] {
  const root = new URL(`../${directory}/`, import.meta.url)
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(name => extension.test(name) && !name.includes('node_modules'))
    .map(name => ({ name: `${directory}/${name}`, text: readFileSync(new URL(name, root), 'utf8') }))
}

describe('lib', () => {
  test('every file lies in a layer of the table', () => {
    assert.ok(files.length > 10, `${files.length} files`)
    assert.deepEqual(
      files.map(file => layerOf(file.name)).filter(layer => !(layer in LAYERS)),
      [],
    )
  })

  test('a file imports only from its own layer and from below', () => {
    assert.deepEqual(files.flatMap(forbiddenImports), [])
  })

  test('a file imports only files that are there', () => {
    const names = new Set(files.map(file => file.name))
    assert.deepEqual(
      files.flatMap(file => file.imports).filter(name => !names.has(name)),
      [],
    )
  })

  test('no file imports itself over others', () => {
    assert.deepEqual(findCycles(files), [])
  })

  test('packages are known to the layers that need them, and to no other', () => {
    assert.deepEqual(files.flatMap(forbiddenModules), [])
  })

  test('every package that is imported is installed with this one', () => {
    const { dependencies, peerDependencies } = JSON.parse(
      readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
    ) as Record<string, Record<string, string>>
    const declared = Object.keys({ ...dependencies, ...peerDependencies })
    const imported = new Set(files.flatMap(file => file.modules).filter(module => !isBuiltin(module)))
    assert.deepEqual(
      [...imported].filter(module => !declared.includes(packageOf(module))),
      [],
    )
  })

  test('protocol has no clock, no chance, no network and no process', () => {
    const protocol = files.filter(file => layerOf(file.name) === 'protocol')
    assert.ok(protocol.length > 0, 'no file of protocol')
    assert.deepEqual(protocol.flatMap(impurities), [])
  })

  test('nothing is typed any, and no compiler message is silenced', () => {
    assert.deepEqual(files.flatMap(untyped), [])
  })

  test('there are no default exports', () => {
    assert.deepEqual(files.flatMap(defaultExports), [])
  })

  test('files and functions stay small', t => {
    const functions = files.flatMap(functionsOf)
    const smells = [
      ...files.filter(({ lines }) => lines > 150).map(({ name, lines }) => `${name}: ${lines} lines`),
      ...functions.filter(({ lines }) => lines > 40).map(({ name, lines }) => `${name}: ${lines} lines`),
      ...functions
        .filter(({ parameters }) => parameters > 4)
        .map(({ name, parameters }) => `${name}: ${parameters} parameters`),
    ]
    for (const smell of smells) t.diagnostic(smell)
    assert.deepEqual(
      files.filter(({ lines }) => lines > 300).map(({ name }) => name),
      [],
    )
    assert.deepEqual(
      functions.filter(({ lines }) => lines > 80).map(({ name }) => name),
      [],
    )
  })

  test('the files that the architecture page names are there', () => {
    const page = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8')
    const named = [...page.matchAll(/`lib\/([\w/.-]+\.ts)`/g)].map(([, name]) => name)
    assert.ok(named.length >= 20, `${named.length} files`)
    const names = new Set(files.map(file => file.name))
    assert.deepEqual(
      named.filter(name => name === undefined || !names.has(name)),
      [],
    )
  })

  test('names use the terms of the field', () => {
    assert.deepEqual(files.flatMap(retiredNames), [])
  })

  test('comments use the terms of the field', () => {
    assert.deepEqual(files.flatMap(retiredProse), [])
  })

  test('exports these values and no other', async () => {
    assert.deepEqual(Object.keys(await import('../lib/index.js')).sort(), [
      'OidcError',
      'attemptSilentLogin',
      'oidcErrorCodes',
      'openIdConnect',
      'requiresAuth',
      'requiresClaim',
      'requiresSameSession',
      'requiresScope',
    ])
    assert.deepEqual(Object.keys(await import('../lib/metrics/index.js')), ['createMetrics'])
    assert.deepEqual(Object.keys(await import('../lib/registration/index.js')).sort(), [
      'deleteClient',
      'readClient',
      'registerClient',
      'updateClient',
    ])
    assert.deepEqual(Object.keys(await import('../lib/testing/index.js')), ['startFakeProvider'])
    assert.deepEqual(Object.keys(await import('../lib/session-watch/index.js')), ['watchSession'])
  })
})

describe('the project', () => {
  test('texts name the user, the caller or another process', () => {
    const pages = ['README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].map(name => ({
      name,
      text: readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'),
    }))
    const texts = [
      ...pages,
      ...textsBelow('docs', /\.md$/),
      ...textsBelow('lib', /\.ts$/),
      ...textsBelow('sample-app', /\.(?:ts|js|ejs|css)$/),
    ]
    assert.ok(texts.length > 200, `${texts.length} texts`)
    assert.deepEqual(texts.flatMap(retiredSubjects), [])
  })

  test('names of tests name the user, the caller or another process', () => {
    const names = textsBelow('test', /\.test\.ts$/).flatMap(testNames)
    assert.ok(names.length > 1500, `${names.length} names`)
    assert.deepEqual(names.flatMap(retiredSubjects), [])
  })
})

describe('these rules would notice', () => {
  const parse = (text: string, name = 'protocol/a.ts') => parseSourceFile(name, text)

  test('an import from above, however it is written', () => {
    const imports = [
      "import { x } from '../store/x.js'",
      "import type { x } from '../store/x.js'",
      "export * from '../store/x.js'",
      "export type { x } from '../store/x.js'",
      "const x = await import('../store/x.js')",
      "type X = import('../store/x.js').X",
    ]
    for (const text of imports)
      assert.deepEqual(forbiddenImports(parse(text)), ['protocol/a.ts imports store/x.ts'], text)
    assert.equal(forbiddenImports(parse("import '../store/x.js'", 'provider/a.ts')).length, 1)
    assert.equal(forbiddenImports(parse("import '../provider/x.js'", 'store/a.ts')).length, 1)
    assert.equal(forbiddenImports(parse("import '../middleware/x.js'", 'http/a.ts')).length, 1)
    assert.equal(forbiddenImports(parse("import './protocol/x.js'", 'errors.ts')).length, 1)
  })

  test('a cycle of type-only imports', () => {
    const cycle = [parse("import type { b } from './b.js'"), parse("import type { a } from './a.js'", 'protocol/b.ts')]
    assert.deepEqual(findCycles(cycle), ['protocol/a.ts -> protocol/b.ts -> protocol/a.ts'])
  })

  test('impure code, and not words in comments or names of members', () => {
    const impure = [
      'Date.now()',
      'new Date(0)',
      'fetch(x)',
      'globalThis.fetch(x)',
      'process.env.X',
      'setTimeout(f)',
      'Math.random()',
      'const { now } = Date',
    ]
    for (const text of impure) assert.equal(impurities(parse(text)).length, 1, text)
    assert.equal(impurities(parse("import { randomBytes } from 'node:crypto'")).length, 1)
    assert.deepEqual(
      impurities(parse('// Date.now()\ninterface A { fetch: string }; const a = { process: 1 }; a.process')),
      [],
    )
    for (const module of ['node:fs', 'http', 'node:net', 'express']) {
      assert.equal(forbiddenModules(parse(`import '${module}'`)).length, 1, module)
    }
  })

  test('any, in every position, and silenced messages', () => {
    for (const text of [
      'let a: any',
      'f(x as any)',
      'type A = Record<string, any[]>',
      '// @ts-ignore',
      '// @ts-expect-error x',
    ]) {
      assert.equal(untyped(parse(text)).length, 1, text)
    }
    assert.deepEqual(untyped(parse('// any\nconst any = 1')), [])
  })

  test('a retired word, as a name or in a comment', () => {
    for (const text of [
      'const answer = 1',
      'f({ isSettled: 1 })',
      'class A { #renewed = 1 }',
      'const LONGEST_LIFE = 1',
    ])
      assert.equal(retiredNames(parse(text)).length, 1, text)
    assert.equal(retiredNames(parse('', 'protocol/own-answer.ts')).length, 1)
    assert.deepEqual(retiredNames(parse('// answer\nPromise.allSettled([lifetime, showcase])')), [])
    assert.equal(retiredProse(parse('/** Nobody waits. */')).length, 1)
    assert.equal(retiredProse(parse('f() // the answer')).length, 1)
    assert.deepEqual(retiredProse(parse("const a = 'https://answer'")), [])
  })

  test('a text or a name of a test without a subject', () => {
    const text = "test('somebody waits', () => {})\n  attack(\n    `nobody's`,\n    {})\ntest('one', () => 'whoever')"
    const names = testNames({ name: 'a', text })
    assert.deepEqual(
      names.map(({ text }) => text),
      ['somebody waits', "nobody's", 'one'],
    )
    assert.deepEqual(names.flatMap(retiredSubjects), ['a: somebody waits says somebody', "a: nobody's says nobody"])
    assert.equal(retiredSubjects({ name: 'b', text: 'Everybody, or anybody; a body of some kind' }).length, 2)
  })

  test('a default export', () => {
    for (const text of ['export default 1', 'export default function f() {}', 'const a = 1; export { a as default }']) {
      assert.equal(defaultExports(parse(text)).length, 1, text)
    }
    assert.deepEqual(defaultExports(parse('switch (a) { default: f() }')), [])
  })
})
