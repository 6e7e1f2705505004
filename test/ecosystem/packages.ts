import { execFile } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const source = fileURLToPath(new URL('.', import.meta.url))
const folder = fileURLToPath(new URL('../../.tmp/ecosystem', import.meta.url))
const lock = 'package-lock.json'

/** Packages of others are not typed here: they are installed only for the long run. */
// biome-ignore lint/suspicious/noExplicitAny: the types come with the packages
export type Untyped = any

let installing: Promise<void> | undefined

/** Installs the packages of the lock from the registry, where they are not installed yet: once, whoever asks. */
export function installPackages(): Promise<void> {
  installing ??= install()
  return installing
}

async function install(): Promise<void> {
  const isInstalled =
    existsSync(join(folder, 'node_modules/.package-lock.json')) &&
    readFileSync(join(folder, lock), 'utf8') === readFileSync(join(source, lock), 'utf8')
  if (isInstalled) return
  mkdirSync(folder, { recursive: true })
  for (const name of ['package.json', lock]) copyFileSync(join(source, name), join(folder, name))
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error', '--prefer-offline']
  await promisify(execFile)('npm', ['ci', ...quiet], { cwd: folder })
}

/** A package, as `require` loads it. */
export function load(name: string): Untyped {
  return createRequire(join(folder, 'package.json'))(name)
}

/** What the manifest asks for, and what the lock has. */
export function readManifest() {
  const read = (name: string) => JSON.parse(readFileSync(join(source, name), 'utf8')) as Untyped
  const { dependencies } = read('package.json') as { dependencies: Record<string, string> }
  const { packages } = read(lock) as { packages: Record<string, { integrity?: string; resolved?: string }> }
  return { dependencies, packages }
}
