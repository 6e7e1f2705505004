import { readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/**
 * Puts what is in dist into one file for each entry point, and what they share into others: to find and read a hundred small files takes
 * a site that imports the package longer than all the rest of it. The declarations stay as they are, and nothing is made shorter.
 */
const { exports, bin } = JSON.parse(readFileSync('package.json', 'utf8'))
const entryPoints = [
  ...Object.values(exports).flatMap(entry => (typeof entry === 'string' ? [] : [entry.default])),
  ...Object.values(bin),
]
const { outputFiles } = await build({
  entryPoints,
  outdir: 'dist',
  write: false,
  bundle: true,
  splitting: entryPoints.length > 1,
  packages: 'external',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
  // What is only types has no effect, and is rightly left out.
  logOverride: { 'ignored-bare-import': 'silent' },
})
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
