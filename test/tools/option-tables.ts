import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { optionsRule } from '../../lib/options/option-descriptions.js'
import type { Description, Rules } from '../../lib/validation/object-rule.js'
import type { Rule } from '../../lib/validation/rules.js'
import { readPage, root } from './documentation.js'

/** One option or nested option, with its full path. */
export interface OptionEntry {
  readonly path: string
  readonly name: string
  readonly expected: string
  readonly description: Partial<Description>
}

function entriesOf(members: Rules, parent: string): OptionEntry[] {
  return Object.entries(members).flatMap(([name, member]) => {
    const path = parent === '' ? name : `${parent}.${name}`
    return [{ path, name, expected: member.expected, description: member }, ...entriesOf(membersOf(member), path)]
  })
}

function membersOf(member: Rule<unknown>): Rules {
  return 'members' in member ? (member.members as Rules) : {}
}

/** All options, nested ones behind the one they belong to. */
export const optionEntries: readonly OptionEntry[] = entriesOf(optionsRule.members, '')

const defaultOf = ({ variable, required, default: otherwise }: Partial<Description>) =>
  [variable && `\`${variable}\``, otherwise, required && 'required'].filter(Boolean).join(', ')

/** The table of docs/options.md: every option, nested ones too, with what may be given. */
export function renderReference(): string {
  const rows = optionEntries.map(({ path, expected, description }) => {
    const allowed = expected.replaceAll('|', '\\|').replaceAll('*', '\\*')
    return `| \`${path}\` | ${allowed} | ${defaultOf(description)} | ${description.text ?? ''} |`
  })
  return ['| option | must be | default | what |', '|---|---|---|---|', ...rows].join('\n')
}

const page = 'docs/options.md'
const begin = '<!-- option table: written by test/tools/option-tables.ts -->'
const end = '<!-- option table ends -->'

/** The page with its table as the description of the options has it now. */
export function withTable(): string {
  const { text } = readPage(page)
  const [start, stop] = [text.indexOf(begin), text.indexOf(end)]
  if (start < 0 || stop < start) throw new Error(`${page} has no place for the table of options`)
  return `${text.slice(0, start)}${begin}\n\n${renderReference()}\n\n${text.slice(stop)}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(join(root, page), withTable())
}
