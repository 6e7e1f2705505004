import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

const others = [
  'express',
  'ioredis',
  'redis',
  '@types',
  'typescript',
  'jose',
  'express-session',
  'connect-redis',
  'express-rate-limit',
]
const transitive = [
  'cookie',
  'on-headers',
  'raw-body',
  'bytes',
  'http-errors',
  'iconv-lite',
  'unpipe',
  'ip-address',
  'debug',
  'ms',
]

/** A new folder of a reader who has installed this package, compiled as it is published, beside Express and ioredis. */
export interface ReadersFolder {
  readonly path: string
  /** Writes a file. Returns its path. */
  write(name: string, text: string): string
  /** What the TypeScript compiler complains about. */
  check(...args: readonly string[]): string
  remove(): void
}

export function createReadersFolder(): ReadersFolder {
  const path = mkdtempSync(join(tmpdir(), 'oidc-reader-'))
  const packages = join(path, 'node_modules')
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  mkdirSync(join(packages, 'express-hybrid-oidc'), { recursive: true })
  for (const name of [...others, ...transitive]) symlinkSync(join(root, 'node_modules', name), join(packages, name))
  const compile = ['-p', 'lib/tsconfig.json', '--outDir', join(packages, 'express-hybrid-oidc', 'dist')]
  execFileSync(process.execPath, [compiler, ...compile], { cwd: root })
  writeFileSync(join(packages, 'express-hybrid-oidc/package.json'), readFileSync(join(root, 'package.json')))
  writeFileSync(join(path, 'package.json'), '{"type":"module"}')
  return {
    path,
    write(name, text) {
      writeFileSync(join(path, name), text)
      return join(path, name)
    },
    check(...args) {
      return spawnSync(process.execPath, [compiler, '--noEmit', ...args], { cwd: path, encoding: 'utf8' }).stdout
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  }
}
