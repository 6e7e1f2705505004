import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { readPage, sectionOf } from './tools/documentation.js'

const require = createRequire(import.meta.url)
const page = readPage('docs/moving-here.md')

/** The members that an interface of a declaration file has at its top, in the order they stand there. */
function membersOf(declarations: string, name: string): string[] {
  const [, , body = ''] =
    new RegExp(
      `^( *)(?:export )?interface ${name}(?:<[^>]*>)?(?: extends [^{]*)? \\{\\n([\\s\\S]*?)\\n\\1\\}`,
      'm',
    ).exec(declarations) ?? []
  const depth = (/^ +/.exec(body)?.[0] ?? '').length
  return [...body.matchAll(new RegExp(`^ {${depth}}(\\w+)\\??[:(]`, 'gm'))].map(([, member = '']) => member)
}

/** Those that a section does not name in code. */
function missingFrom(heading: string, names: readonly string[]): string[] {
  const codes = [...sectionOf(page, heading).matchAll(/`([^`]*)`/g)].map(([, code]) => code)
  return names.filter(name => !codes.some(code => new RegExp(`\\b${name}\\b`).test(code ?? '')))
}

describe('docs/moving-here.md says of everything where it is found here', () => {
  test('of every option of express-session and of its cookie', () => {
    const declarations = readFileSync(require.resolve('@types/express-session/index.d.ts'), 'utf8')
    const options = membersOf(declarations, 'SessionOptions')
    const ofCookie = membersOf(declarations, 'CookieOptions').map(name => `cookie.${name}`)
    assert.ok(options.includes('saveUninitialized') && ofCookie.includes('cookie.maxAge'), 'the declarations were read')
    assert.deepEqual(missingFrom('## From express-session', [...options, 'genid', ...ofCookie]), [])
  })

  test('of every option and member of express-openid-connect', () => {
    const folder = dirname(require.resolve('express-openid-connect/package.json'))
    const declarations = readFileSync(join(folder, 'index.d.ts'), 'utf8')
    const names = ['ConfigParams', 'SessionConfigParams', 'CookieConfigParams', 'RequestContext', 'ResponseContext']
    const members = names.flatMap(name => membersOf(declarations, name))
    assert.ok(members.includes('afterCallback') && members.includes('rollingDuration'), 'the declarations were read')
    assert.deepEqual(missingFrom('## From express-openid-connect', members), [])
  })

  test('and one that is not there would be found', () => {
    assert.deepEqual(missingFrom('## From express-session', ['rolling', 'nonsense']), ['nonsense'])
  })
})
