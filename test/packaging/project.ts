import { execFile, execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const manifest = readJson(join(root, 'package.json')) as {
  readonly files: readonly string[]
  readonly scripts: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, unknown>>
}

const run = promisify(execFile)
const tsc = join(root, 'node_modules/typescript/bin/tsc')

export interface Packed {
  readonly folder: string
  readonly tarball: string
  /** Bytes. */
  readonly size: number
  readonly files: readonly string[]
  remove(): void
}

/** What `npm publish` would send, made from a copy: a test must not rebuild a `dist` that another process is reading. */
export function pack(): Packed {
  const folder = mkdtempSync(join(tmpdir(), 'oidc-package-'))
  const stage = join(folder, 'stage')
  mkdirSync(stage)
  for (const name of ['package.json', 'README.md', 'LICENSE', ...manifest.files]) {
    if (name !== 'dist' && existsSync(join(root, name)))
      cpSync(join(root, name), join(stage, name), { recursive: true })
  }
  execFileSync(process.execPath, [tsc, '-p', 'lib/tsconfig.json', '--outDir', join(stage, 'dist')], { cwd: root })
  execFileSync(process.execPath, [join(root, 'test/tools/bundle.mjs')], { cwd: stage })
  const options = ['--ignore-scripts', '--json', '--pack-destination', folder, '--loglevel', 'error']
  const output = execFileSync('npm', ['pack', ...options], { cwd: stage, encoding: 'utf8' })
  // npm 12 answers with an object by name, earlier ones with a list.
  const [packed] = Object.values(JSON.parse(output) as Record<string, PackReport>)
  if (packed === undefined) throw new Error('npm pack made nothing')
  const { filename, size, files } = packed
  return {
    folder,
    tarball: join(folder, filename),
    size,
    files: files.map(({ path }) => path),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

interface PackReport {
  readonly filename: string
  readonly size: number
  readonly files: readonly { readonly path: string }[]
}

/** A project with the package in it. */
export interface Project {
  readonly folder: string
  write(name: string, text: string): void
  /** Runs a file of the project, and returns what it says. */
  node(file: string, options?: { readonly binary?: string; readonly env?: NodeJS.ProcessEnv }): Promise<string>
  /** Compiles files of the project, and returns the complaints. */
  compile(files: readonly string[], module: 'nodenext' | 'bundler'): Promise<string>
}

export interface Peers {
  readonly express: 4 | 5
  readonly ioredis: 5 | 6
}

/** The client of Redis of a site that has no ioredis. */
export interface NodeRedisPeers {
  readonly express: 4 | 5
  readonly redis: 5 | 6
}

/** Takes everything but the package from this repository's own packages: no network, and quick. */
export function linkProject({ folder, tarball }: Packed, { express, ...client }: Peers | NodeRedisPeers): Project {
  const project = mkdtempSync(join(folder, `linked-${express}-${Object.entries(client).flat().join('-')}-`))
  const packages = join(project, 'node_modules')
  mkdirSync(join(packages, 'express-hybrid-oidc'), { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(packages, 'express-hybrid-oidc')])
  link(packages, 'express', express === 4 ? 'express4' : 'express')
  if ('redis' in client) link(packages, 'redis', client.redis === 5 ? 'redis5' : 'redis')
  else link(packages, 'ioredis', client.ioredis === 5 ? 'ioredis5' : 'ioredis')
  for (const name of installedWithThePackage()) link(packages, name)
  return openProject(project)
}

/** As a user does it, from the registry. */
export async function installProject({ folder, tarball }: Packed, { express, ioredis }: Peers): Promise<Project> {
  const project = mkdtempSync(join(folder, `installed-${express}-${ioredis}-`))
  writeFileSync(join(project, 'package.json'), '{"private":true}')
  const wanted = [tarball, `express@${express}`, `ioredis@${ioredis}`, `@types/express@${express}`]
  await npmInstall(project, wanted)
  return openProject(project)
}

/** Another version of Node, which the npm package `node` brings. Returns its binary. */
export async function installNode({ folder }: Packed, major: number): Promise<string> {
  const place = mkdtempSync(join(folder, `node-${major}-`))
  writeFileSync(join(place, 'package.json'), '{"private":true}')
  await npmInstall(place, [`node@${major}`])
  return join(place, 'node_modules/node/bin/node')
}

async function npmInstall(cwd: string, what: readonly string[]): Promise<void> {
  const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel', 'error', '--prefer-offline']
  await run('npm', ['install', ...quiet, ...what], { cwd })
}

function openProject(folder: string): Project {
  return {
    folder,
    write: (name, text) => writeFileSync(join(folder, name), text),
    async node(file, { binary = process.execPath, env = {} } = {}) {
      const { stdout, stderr } = await run(binary, [file], { cwd: folder, env: { PATH: process.env.PATH, ...env } })
      return stdout + stderr
    },
    async compile(files, module) {
      const kind = module === 'nodenext' ? ['nodenext', 'nodenext'] : ['esnext', 'bundler']
      const how = ['--module', kind[0] ?? '', '--moduleResolution', kind[1] ?? '', '--types', 'node']
      const strict = [
        '--noEmit',
        '--strict',
        '--exactOptionalPropertyTypes',
        '--skipLibCheck',
        'false',
        '--target',
        'es2023',
      ]
      try {
        const { stdout } = await run(process.execPath, [tsc, ...strict, ...how, ...files], { cwd: folder })
        return stdout
      } catch (error) {
        return (error as { stdout: string }).stdout
      }
    },
  }
}

interface LockedPackage {
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
}

/** Every package that comes along with this one, by name, as the lock has it. */
export function lockedPackages(): readonly (LockedPackage & { readonly name: string })[] {
  const { packages } = readJson(join(root, 'package-lock.json')) as { packages: Record<string, LockedPackage> }
  return Object.entries(packages).flatMap(([path, locked]) =>
    path === '' || locked.dev === true ? [] : [{ ...locked, name: path.slice('node_modules/'.length) }],
  )
}

function installedWithThePackage(): string[] {
  return lockedPackages()
    .map(({ name }) => name)
    .filter(name => !name.includes('/node_modules/'))
}

function link(packages: string, name: string, from = name): void {
  mkdirSync(dirname(join(packages, name)), { recursive: true })
  symlinkSync(join(root, 'node_modules', from), join(packages, name))
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'))
}
