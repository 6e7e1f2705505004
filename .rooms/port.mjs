// Moves the files of a tree into the new rooms and renames symbols. Run in the root of a worktree. Deterministic.
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { MOVES, SYMBOLS, TYPED, TEXT } from './map.mjs'
const require = createRequire(path.join(process.cwd(), 'package.json'))
const ts = require('typescript')
const git = (...a) => execFileSync('git', a, { encoding: 'utf8', maxBuffer: 1 << 28 })
const tracked = git('ls-files').split('\n').filter(Boolean)
const moves = new Map()
for (const [from, to] of Object.entries(MOVES)) {
  if (from.endsWith('/')) { for (const f of tracked) if (f.startsWith(from) && !(f in MOVES)) moves.set(f, to + f.slice(from.length)) }
  else if (tracked.includes(from)) moves.set(from, to)
}
const newOf = f => moves.get(f) ?? f
const dirs = new Set(tracked.flatMap(f => { const r = []; let d = path.posix.dirname(f); while (d !== '.') { r.push(d); d = path.posix.dirname(d) } return r }))
const isFile = new Set(tracked)
const isText = f => /\.(ts|mjs|js|json|md|ejs|html|yml|yaml|sh|css)$/.test(f) || f === '.ci/run'
const dirMoves = Object.entries(MOVES).filter(([f]) => f.endsWith('/'))
function rel(from, to) { let r = path.posix.relative(path.posix.dirname(from), to); return r.startsWith('.') ? r : './' + r }
function rewriteRelative(file, text) {
  return text.replace(/(['"`])(\.{1,2}\/[\w./@-]*)\1/g, (all, q, spec) => {
    const clean = spec.replace(/\/$/, '')
    const resolved = path.posix.normalize(path.posix.join(path.posix.dirname(file), clean))
    for (const [cand, back] of [[resolved, x => x], [resolved.replace(/\.js$/, '.ts'), x => x.replace(/\.ts$/, '.js')]]) {
      if (isFile.has(cand)) return q + rel(newOf(file), back(newOf(cand))) + q
    }
    if (dirs.has(resolved) && newOf(file) !== file) {
      const dm = dirMoves.find(([f]) => f === resolved + '/')
      return q + rel(newOf(file), dm ? dm[1].slice(0, -1) : resolved) + (spec.endsWith('/') ? '/' : '') + q
    }
    return all
  })
}
const stems = [...moves].filter(([a, b]) => path.posix.basename(a) !== path.posix.basename(b))
const pathMap = [...moves].sort((a, b) => b[0].length - a[0].length)
const byPath = new Map(pathMap)
for (const [a, b] of moves) if (a.startsWith('lib/')) { byPath.set(a.slice(4), b.slice(4)); byPath.set(a.slice(4).replace(/\.ts$/, ''), undefined) }
const baseMap = new Map(stems.filter(([a]) => a.startsWith('lib/')).map(([a, b]) => [path.posix.basename(a), path.posix.basename(b)]))
const remaining = new Set(tracked.filter(f => !moves.has(f) || path.posix.basename(moves.get(f)) === path.posix.basename(f)).map(f => path.posix.basename(newOf(f))))
for (const f of tracked.filter(isText)) {
  if (f.startsWith('package-lock')) continue
  const before = fs.readFileSync(f, 'utf8')
  let text = before
  if (/\.(ts|mjs)$/.test(f)) text = rewriteRelative(f, text)
  if (f !== 'CHANGELOG.md') {
    text = text.replace(/(?:lib\/)?(?:handlers|state|provider|protocol|test\/[\w-]+)\/[\w-]+(?:\.test)?\.(?:ts|js)\b/g, m => {
      const key = m.replace(/\.js$/, '.ts')
      const to = byPath.get(key) ?? byPath.get('lib/' + key)
      return to === undefined ? m : to.replace(/\.ts$/, m.slice(-3))
    })
    text = text.replace(/(?<![\w/.-])[\w-]+\.ts\b/g, m => baseMap.has(m) && !remaining.has(m) ? baseMap.get(m) : m)
  }
  if (text !== before) fs.writeFileSync(f, text)
}
for (const [a, b] of moves) { fs.mkdirSync(path.posix.dirname(b), { recursive: true }); git('mv', a, b) }

// symbols
const files = git('ls-files').split('\n').filter(f => /^(lib|test|sample-app)\/.*\.ts$/.test(f) && fs.existsSync(f))
const config = ts.getParsedCommandLineOfConfigFile('tsconfig.json', {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: e => { throw new Error(e.messageText) } })
const abs = f => path.resolve(f)
const snapshots = new Map(files.map(f => [abs(f), fs.readFileSync(f, 'utf8')]))
const roots = [...new Set([...config.fileNames, ...snapshots.keys()])]
const host = {
  getScriptFileNames: () => roots, getScriptVersion: () => '1',
  getScriptSnapshot: f => { const t = snapshots.get(f) ?? ts.sys.readFile(f); return t === undefined ? undefined : ts.ScriptSnapshot.fromString(t) },
  getCurrentDirectory: () => process.cwd(), getCompilationSettings: () => config.options,
  getDefaultLibFileName: o => ts.getDefaultLibFilePath(o), fileExists: ts.sys.fileExists, readFile: ts.sys.readFile, readDirectory: ts.sys.readDirectory, directoryExists: ts.sys.directoryExists, getDirectories: ts.sys.getDirectories,
}
const ls = ts.createLanguageService(host, ts.createDocumentRegistry())
const program = ls.getProgram(); const checker = program.getTypeChecker()
const edits = new Map() // file -> Map(start -> {end, text})
let conflicts = 0
function rename(file, pos, to, why, isExport) {
  const locs = ls.findRenameLocations(file, pos, false, false, !isExport) ?? []
  if (locs.length === 0) console.log('no locations', why)
  for (const l of locs) {
    if (l.fileName.includes('node_modules')) { console.log('reaches node_modules', why, l.fileName); return }
  }
  for (const l of locs) {
    const m = edits.get(l.fileName) ?? new Map(); edits.set(l.fileName, m)
    const start = l.textSpan.start
    const e = m.get(start) ?? { end: start + l.textSpan.length }
    m.set(start, e)
    const slot = l.suffixText?.startsWith(':') ? 'prop' : l.prefixText?.endsWith(': ') ? 'local' : 'plain'
    if (slot === 'plain' && (l.suffixText || l.prefixText)) console.log('odd', why, l.prefixText, l.suffixText)
    if (e[slot] && e[slot] !== to) { console.log('CONFLICT', why, l.fileName, e[slot], to); conflicts++; continue }
    e[slot] = to
  }
}
function declOf(sf, name) {
  const [top, member] = name.split('.')
  let found
  const look = n => {
    if (found) return
    if ((ts.isInterfaceDeclaration(n) || ts.isTypeAliasDeclaration(n) || ts.isClassDeclaration(n) || ts.isFunctionDeclaration(n) || ts.isVariableDeclaration(n)) && n.name && ts.isIdentifier(n.name) && n.name.text === top) {
      if (!member) { found = n.name; return }
      const inner = k => { if (found) return; if ((ts.isPropertySignature(k) || ts.isMethodSignature(k) || ts.isPropertyDeclaration(k) || ts.isMethodDeclaration(k) || ts.isParameter(k) || ts.isVariableDeclaration(k)|| ts.isPropertyAssignment(k) || ts.isFunctionDeclaration(k)) && k.name && (ts.isIdentifier(k.name) || ts.isPrivateIdentifier(k.name)) && k.name.text === member) { found = k.name; return } ts.forEachChild(k, inner) }
      inner(n); return
    }
    ts.forEachChild(n, look)
  }
  look(sf); return found
}
for (const [file, names] of Object.entries(SYMBOLS)) {
  const sf = program.getSourceFile(abs(file))
  if (!sf) { console.log('no file', file); continue }
  for (const [name, to] of Object.entries(names)) {
    const node = declOf(sf, name)
    if (!node) { console.log('no symbol', file, name); continue }
    rename(abs(file), node.getStart(sf), to, `${file}#${name}`, !name.includes('.'))
  }
}
for (const f of files) {
  const sf = program.getSourceFile(abs(f)); if (!sf) continue
  const look = n => {
    if ((ts.isVariableDeclaration(n) || ts.isParameter(n) || ts.isBindingElement(n) || ts.isPropertySignature(n) || ts.isPropertyDeclaration(n)) && n.name && ts.isIdentifier(n.name)) {
      const rules = TYPED[n.name.text]
      if (rules) {
        const type = checker.typeToString(checker.getTypeAtLocation(n.name), undefined, ts.TypeFlags?.None)
        for (const [re, to, where] of rules) if (re.test(type) && (!where || where.test(f))) {
          rename(abs(f), n.name.getStart(sf), to, `${f}:${n.name.text}:${type}`)
          break
        }
      }
    }
    ts.forEachChild(n, look)
  }
  look(sf)
}
// 'a' in Pick<X, 'a'> and Omit<X, 'a'>
for (const f of files) {
  const sf = program.getSourceFile(abs(f)); if (!sf) continue
  const look = n => {
    if (ts.isTypeReferenceNode(n) && /^(Pick|Omit)$/.test(n.typeName.getText(sf)) && n.typeArguments?.length === 2) {
      const type = checker.getTypeAtLocation(n.typeArguments[0])
      const literals = []; const collect = k => { if (ts.isLiteralTypeNode(k) && ts.isStringLiteral(k.literal)) literals.push(k.literal); ts.forEachChild(k, collect) }; collect(n.typeArguments[1])
      for (const lit of literals) {
        const d = type.getProperty(lit.text)?.declarations?.[0]
        const e = d?.name && edits.get(d.getSourceFile().fileName)?.get(d.name.getStart())
        const to = e?.plain ?? e?.prop
        if (to) { const m = edits.get(abs(f)) ?? new Map(); edits.set(abs(f), m); m.set(lit.getStart(sf) + 1, { end: lit.getEnd() - 1, plain: to }) }
      }
    }
    ts.forEachChild(n, look)
  }
  look(sf)
}
for (const [f, m] of edits) {
  let text = snapshots.get(f) ?? fs.readFileSync(f, 'utf8')
  for (const [start, e] of [...m].sort((a, b) => b[0] - a[0])) {
    const old = text.slice(start, e.end)
    const p = e.prop ?? e.plain ?? old, l = e.local ?? e.plain ?? old
    const t = e.prop === undefined && e.local === undefined ? e.plain : p === l ? p : `${p}: ${l}`
    text = text.slice(0, start) + t + text.slice(e.end)
  }
  fs.writeFileSync(f, text)
}
// plain text
for (const f of git('ls-files').split('\n').filter(f => isText(f) && fs.existsSync(f) && f !== 'CHANGELOG.md')) {
  let text = fs.readFileSync(f, 'utf8'); const before = text
  for (const [where, re, to] of TEXT) if (where.test(f)) text = text.replace(re, to)
  if (text !== before) fs.writeFileSync(f, text)
}
console.log('conflicts', conflicts)
