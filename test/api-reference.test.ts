import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { Application, Logger, LogLevel, type TypeDocOptions, TypeDocReader } from 'typedoc'
import { root } from './tools/documentation.js'

/** Keeps what would have been printed. */
class Listener extends Logger {
  readonly complaints: string[] = []

  override log(message: string, level: LogLevel): void {
    super.log(message, level)
    if (level >= LogLevel.Warn) this.complaints.push(message)
  }
}

/** What typedoc has to complain about, with the settings of `npm run docs:api`. Nothing is written. */
async function complaintsAbout(options: Partial<TypeDocOptions> = {}): Promise<readonly string[]> {
  const settings = { options: join(root, 'test/tools/typedoc.json'), ...options }
  const application = await Application.bootstrap(settings, [new TypeDocReader()])
  const logger = new Listener()
  application.logger = logger
  const project = await application.convert()
  assert.ok(project, logger.complaints.join('\n'))
  application.validate(project)
  return logger.complaints
}

describe('the API reference', () => {
  mkdirSync(join(root, '.tmp'), { recursive: true })
  const folder = mkdtempSync(join(root, '.tmp/api-reference-'))
  after(() => rmSync(folder, { recursive: true, force: true }))

  test('says something about every public symbol, and every link in it leads somewhere', async () => {
    assert.deepEqual(await complaintsAbout(), [])
  })

  test('would be found wanting: a symbol without a word, a broken link, a type that is not public', async () => {
    const source = [
      'export interface Silent { readonly said: number }',
      '/** See {@link Nowhere}. */ export type Broken = string',
      'interface Hidden { readonly here: true }',
      '/** Uses a type that is not exported. */ export const shown = (hidden: Hidden): boolean => hidden.here',
    ]
    const entry = join(folder, 'index.ts')
    writeFileSync(entry, source.join('\n'))
    writeFileSync(join(folder, 'tsconfig.json'), '{ "extends": "../../tsconfig.json", "include": ["."] }')
    const complaints = await complaintsAbout({ entryPoints: [entry], tsconfig: join(folder, 'tsconfig.json') })
    for (const name of ['Silent', 'Nowhere', 'Hidden'])
      assert.ok(
        complaints.some(line => line.includes(name)),
        `${name}: ${complaints.join('\n')}`,
      )
  })
})
