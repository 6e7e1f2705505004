import { dirname, join } from 'node:path'
import ts from 'typescript'
import { root } from './documentation.js'

/** Files that are not on disk, by their absolute path. */
export type VirtualFiles = ReadonlyMap<string, string>

/** The entry points of the package, from the name a site imports to the file in lib/ it is built from. */
export function entryPoints(): Record<string, string> {
  const { name, exports } = JSON.parse(ts.sys.readFile(join(root, 'package.json')) ?? '') as {
    readonly name: string
    readonly exports: Readonly<Record<string, string | { readonly types: string }>>
  }
  const typed = Object.entries(exports).flatMap(([path, target]) => {
    if (typeof target === 'string') return []
    const source = target.types.replace(/^\.\/dist\//, './lib/').replace(/\.d\.ts$/, '.ts')
    return [[name + path.slice(1), source] as const]
  })
  return Object.fromEntries(typed)
}

/** The compiler's options of this repository, with others over them, as they would be in a `tsconfig.json` in its folder. */
export function compilerOptions(overrides: Readonly<Record<string, unknown>>): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
  const own = { ...config.compilerOptions, ...overrides }
  return ts.parseJsonConfigFileContent({ compilerOptions: own, files: [] }, ts.sys, root).options
}

/** A program over files of the disk and others that lie beside them in memory only. */
export function createProgram(rootNames: readonly string[], options: ts.CompilerOptions, files: VirtualFiles) {
  const folders = new Set([...files.keys()].flatMap(ancestorsOf))
  const host = ts.createCompilerHost(options)
  const { fileExists, readFile, getSourceFile, directoryExists } = host
  host.fileExists = name => files.has(name) || fileExists(name)
  host.readFile = name => files.get(name) ?? readFile(name)
  host.directoryExists = name => folders.has(name) || (directoryExists?.(name) ?? true)
  host.getSourceFile = (name, ...rest) => {
    const text = files.get(name)
    if (text === undefined) return getSourceFile.call(host, name, ...rest)
    return ts.createSourceFile(name, text, rest[0])
  }
  return ts.createProgram(rootNames, options, host)
}

function ancestorsOf(path: string): string[] {
  const folder = dirname(path)
  return folder === path ? [] : [folder, ...ancestorsOf(folder)]
}

/** What the compiler finds wrong in the files the program was made of, a line each. */
export function complaintsOf(program: ts.Program): string[] {
  const asked = program.getRootFileNames().map(name => program.getSourceFile(name))
  const found = asked.flatMap(file => [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
  ])
  return [...program.getOptionsDiagnostics(), ...found].map(({ file, start = 0, messageText }) => {
    const text = ts.flattenDiagnosticMessageText(messageText, '\n')
    if (file === undefined) return text
    const { line } = file.getLineAndCharacterOfPosition(start)
    const code = file.text.split('\n')[line]?.trim()
    return `${file.fileName.replace(`${root}`, '')}:${line + 1} (${code}): ${text}`
  })
}
