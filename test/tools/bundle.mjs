import { readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * Puts what is in dist into one file for each entry point, and what they share into others: to find and read a hundred small files takes
 * a site that imports the package longer than all the rest of it. The declarations stay as they are, and nothing for Node is made shorter.
 */
const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))
const forBrowser = exports['./session-watch'].default
const all = [
  ...Object.values(exports).flatMap(entry => (typeof entry === 'string' ? [] : [entry.default])),
  ...Object.values(bin),
]
const entryPoints = all.filter(entry => entry !== forBrowser)
const common = { outdir: 'dist', outbase: 'dist', write: false, bundle: true, format: 'esm', logLevel: 'warning' }
const forNode = build({
  ...common,
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
removeScripts('dist')
for (const { path, contents } of outputFiles) writeFileSync(path, contents)

function removeScripts(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (statSync(path).isDirectory()) removeScripts(path)
    else if (name.endsWith('.js')) rmSync(path)
  }
  if (readdirSync(folder).length === 0) rmdirSync(folder)
}
