import { readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'
import { build } from 'esbuild'

/**
 * Puts what is in dist into one file for each entry point, and what they share into others: to find and read a hundred small files takes
 * a site that imports the package longer than all the rest of it. Of the declarations stay those that the public ones lead to, as they are. Nothing
 * for Node is made shorter.
 */
const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))
const forBrowser = exports['./session-watch'].default
const all = [
  ...Object.values(exports).flatMap(entry => (typeof entry === 'string' ? [] : [entry.default])),
  ...Object.values(bin),
]
const entryPoints = all.filter(entry => entry !== forBrowser)
const common = { outdir: 'dist', outbase: 'dist', write: false, bundle: true, format: 'esm', logLevel: 'warning' }
/**
 * esbuild makes a file of what the same entry points need, and each module that is loaded when used counts as one: the main entry point would be in
 * fifty files. Every other entry point needs all of the main one here, which a site has loaded before. So that is one file.
 */
const main = join(process.cwd(), exports['.'].default)
const mainInOneFile = {
  name: 'main in one file',
  setup({ onResolve, onLoad }) {
    const others = new Set(entryPoints.map(entry => join(process.cwd(), entry)).filter(entry => entry !== main))
    onResolve({ filter: /^\./ }, ({ kind, path, resolveDir }) => {
      if (kind === 'dynamic-import') others.add(join(resolveDir, path))
    })
    onResolve({ filter: /^main$/ }, () => ({ path: main, sideEffects: true }))
    onLoad({ filter: /\.js$/ }, ({ path }) =>
      others.has(path) ? { contents: `${readFileSync(path, 'utf8')}\nimport 'main'` } : undefined,
    )
  },
}
const forNode = build({
  ...common,
  plugins: [mainInOneFile],
  entryPoints,
  splitting: entryPoints.length > 1,
  packages: 'external',
  platform: 'node',
  target: 'node20',
  // What is only types has no effect, and is rightly left out.
  logOverride: { 'ignored-bare-import': 'silent' },
})
/** The one file for browsers, which sites serve as it is: nothing is shared with it, and it is made short. */
const script = build({ ...common, entryPoints: [forBrowser], platform: 'browser', target: 'es2021', minify: true })
const outputFiles = (await Promise.all([forNode, script])).flatMap(({ outputFiles }) => outputFiles)
const declarations = reachableFrom(Object.values(exports).flatMap(entry => entry.types ?? []))
const written = new Set(outputFiles.map(({ path }) => relative('.', path)))
for (const { path, contents } of outputFiles) writeFileSync(path, contents)
removeUnless('dist', path => declarations.has(path) || written.has(path))

/** The declarations that entry points import, and those that these import in turn. */
function reachableFrom(entries) {
  const found = new Set()
  const waiting = entries.map(normalize)
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (found.has(path)) continue
    found.add(path)
    const specifiers = readFileSync(path, 'utf8').matchAll(/(?:\bfrom|\bimport|\bimport\()\s*['"](\.[^'"]+)\.js['"]/g)
    for (const [, specifier] of specifiers) waiting.push(join(dirname(path), `${specifier}.d.ts`))
  }
  return found
}

function removeUnless(folder, isKept) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) removeUnless(path, isKept)
    else if (!isKept(path)) rmSync(path)
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}
