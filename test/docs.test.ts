import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { before, describe, test } from 'node:test'
import { FIELD } from '../lib/store/backend/record-fields.js'
import { compilerOptions, complaintsOf, createProgram, entryPoints } from './tools/compile.js'
import { anchorsOf, type Example, examplesOf, readPage, readPages, root, sectionOf } from './tools/documentation.js'

const pages = readPages()
const options = compilerOptions({
  paths: Object.fromEntries(Object.entries(entryPoints()).map(([name, source]) => [name, [source]])),
  moduleDetection: 'force',
  noUnusedLocals: false,
  noUnusedParameters: false,
})

/** What has to be found out. */
const mistakes: readonly Example[] = [
  "import { openIdConnect } from 'express-hybrid-oidc'\nopenIdConnect({ clientID: 'x' })",
  "import type { OidcRequest } from 'express-hybrid-oidc'\nexport const f = (c: OidcRequest) => c.name",
  "import { requiresClaim } from 'express-hybrid-oidc'\nrequiresClaim('role', {})",
].map((source, index) => ({ place: `mistake:${index}`, source }))

/** All of them in one program, each in a file named after its place. */
function findComplaints(examples: readonly Example[]): string[] {
  const files = new Map(
    examples.map(({ place, source }) => [join(root, '.docs', `${place.replace(/[/:]/g, '-')}.ts`), source] as const),
  )
  return complaintsOf(createProgram([...files.keys()], options, files))
}

describe('the examples of the documentation', () => {
  const examples = pages.flatMap(examplesOf)
  let complaints: readonly string[] = []

  before(() => {
    complaints = findComplaints([...examples, ...mistakes])
  })

  test('all compile, under the strict settings of this repository', () => {
    assert.ok(examples.length >= 20, `${examples.length} examples`)
    assert.deepEqual(
      complaints.filter(line => !line.startsWith('.docs/mistake-')),
      [],
    )
  })

  test('would be found out by a wrong option, a wrong member and a wrong type', () => {
    const found = complaints.filter(line => line.startsWith('.docs/mistake-'))
    assert.equal(found.length, mistakes.length, found.join('\n'))
  })

  test('are every block of TypeScript there is', () => {
    for (const page of pages) {
      const fences = page.text.match(/^ *```(ts|typescript|js|javascript|tsx|mjs)\b/gm) ?? []
      // Those of a whole site are run by test/getting-started.test.ts and test/production.test.ts.
      const isSite = ['docs/getting-started.md', 'docs/production.md'].includes(page.name)
      const ofSite = isSite ? (page.text.match(/^```js\n\/\/ [\w.-]+\.mjs$/gm) ?? []) : []
      assert.equal(examplesOf(page).length + ofSite.length, fences.length, page.name)
    }
  })

  test('go on where they are marked so', () => {
    const text = [
      '```ts\nconst a = 1\n```',
      'Words.\n\n<!-- ts: continues -->\n```ts\nconst b = a\n```',
      '<!-- ts: after\nconst hidden = 1\n-->\n```ts\nconst c = hidden\n```',
    ].join('\n\n')
    assert.deepEqual(examplesOf({ name: 'x.md', text }), [
      { place: 'x.md:1', source: 'const a = 1\n' },
      { place: 'x.md:8', source: 'const a = 1\nconst b = a\n' },
      { place: 'x.md:15', source: 'const hidden = 1\nconst c = hidden\n' },
    ])
  })
})

const everything = [...pages, readPage('CHANGELOG.md'), readPage('SECURITY.md'), readPage('CONTRIBUTING.md')]

test('every link and picture of the documentation is there, and every heading a link names', () => {
  const broken = everything.flatMap(({ name, text }) => {
    const local = targetsOf(text).filter(target => !/^[a-z]+:/.test(target))
    return local.filter(target => !leadsSomewhere(name, target)).map(target => `${name}: ${target}`)
  })
  assert.deepEqual(broken, [])
})

test('a broken link, picture or heading would be found', () => {
  const text = '[a](nowhere.md) ![b](none.png) <img alt="c" src="c.png"> <source srcset="d.png"> [e](#nothing) `[f](x)`'
  const broken = targetsOf(text).filter(target => !leadsSomewhere('README.md', target))
  assert.deepEqual(broken, ['nowhere.md', 'none.png', '#nothing', 'c.png', 'd.png'])
})

test('links and pictures of the README work on npm: relative ones of plain Markdown, which npm resolves by `repository`', () => {
  const { text } = readPage('README.md')
  assert.deepEqual(text.match(/<(?:picture|source|img)\b/g) ?? [], [], 'npm does not resolve what is in HTML')
  assert.deepEqual(
    targetsOf(text).filter(target => target.startsWith('/')),
    [],
  )
  assert.match(
    readPage('.github/workflows/release.yml').text,
    /npm pkg set repository\.type=git "repository\.url=git\+/,
  )
})

test('every picture says in words what it shows', () => {
  const pictures = everything.flatMap(({ text }) => text.match(/<img [^>]*>|!\[[^\]]*\]/g) ?? [])
  assert.deepEqual(
    pictures.filter(picture => !/alt="[^"]{20,}"|!\[[^\]]{20,}\]/.test(picture)),
    [],
  )
})

test('docs/architecture.md names every folder and file right in lib/, and every field of a record', () => {
  const { text } = readPage('docs/architecture.md')
  const rooms = sectionOf({ name: 'docs/architecture.md', text }, '## Rooms')
  for (const name of readdirSync(join(root, 'lib'))) {
    if (name !== 'tsconfig.json') assert.match(rooms, new RegExp(`[\`/]${name.replace('.', '\\.')}[\`/]`), name)
  }
  for (const field of Object.values(FIELD)) assert.ok(text.includes(`\n| \`${field}\` |`), field)
})

test('every npm script the documentation names is there', () => {
  const { scripts } = JSON.parse(readPage('package.json').text) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const named = everything.flatMap(({ text }) => [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = '']) => name))
  assert.ok(named.length > 0)
  assert.deepEqual(
    named.filter(name => !(name in scripts)),
    [],
  )
})

/** Where links and pictures outside of code lead. */
function targetsOf(text: string): string[] {
  const prose = text.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
  const pictures = [...prose.matchAll(/<(?:img|source)\b[^>]*?\b(?:src|srcset)="([^"]+)"/g)]
  return [...links, ...pictures].map(([, target = '']) => target)
}

function leadsSomewhere(from: string, target: string): boolean {
  const [path = '', anchor] = target.split('#')
  const file = path === '' ? from : posix.join(posix.dirname(from), path)
  if (!existsSync(join(root, file))) return false
  return anchor === undefined || anchorsOf(readPage(file)).has(anchor)
}

test('docs/deployment.md names every command that the scripts send to Redis, so that an ACL can be written by it', () => {
  const folder = join(root, 'lib/store/backend')
  const scripts = readdirSync(folder).map(name => readFileSync(join(folder, name), 'utf8'))
  const sent = scripts.flatMap(text => [...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, name = '']) => name))
  assert.ok(sent.includes('HSET'))
  const access = /^- \*\*Access\*\*[\s\S]*?\n\n/m.exec(readPage('docs/deployment.md').text)?.[0] ?? ''
  assert.deepEqual(
    [...new Set(sent)].filter(name => !access.includes(`\`${name}\``)),
    [],
  )
})
