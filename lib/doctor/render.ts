import type { Report } from './doctor.js'
import type { Finding, Level } from './finding.js'

/** How a level is shown: a sign that does not depend on its colour, a word, and the colour (SGR of ECMA-48). */
const LOOKS: Readonly<Record<Level, readonly [sign: string, word: string, colour: number]>> = {
  good: ['✓', 'good', 32],
  info: ['·', 'info', 36],
  warning: ['!', 'warning', 33],
  error: ['✗', 'error', 31],
}

const ORDER: readonly Level[] = ['error', 'warning', 'info', 'good']

/** The report as text for a terminal. */
export function renderReport({ findings, registration }: Report, { colours }: { readonly colours: boolean }): string {
  const paint = (code: number, text: string) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text)
  const lines = findings.flatMap(finding => renderFinding(finding, paint))
  const width = Math.max(0, ...registration.map(({ name }) => name.length))
  const providers = [...new Set(registration.map(({ provider }) => provider))]
  const fields = providers.flatMap(provider => [
    '',
    paint(1, `To register at the provider${provider === undefined ? '' : ` ${provider}`}`),
    ...registration
      .filter(field => field.provider === provider)
      .map(({ name, value }) => `  ${name.padEnd(width)}  ${value}`),
  ])
  return [...lines, ...fields, '', summarize(findings), ''].join('\n')
}

function renderFinding(
  { id, level, sentence, cause, remedy, provider }: Finding,
  paint: (code: number, text: string) => string,
): readonly string[] {
  const [sign, , colour] = LOOKS[level]
  return [
    `${paint(colour, sign)} ${provider === undefined ? '' : `${provider}: `}${sentence} ${paint(2, `[${id}]`)}`,
    ...(cause === undefined ? [] : [`    Cause:  ${cause}`]),
    ...(remedy === undefined ? [] : [`    Remedy: ${remedy}`]),
  ]
}

function summarize(findings: readonly Finding[]): string {
  const count = (level: Level) => findings.filter(finding => finding.level === level).length
  const parts = ORDER.filter(level => count(level) > 0).map(level => {
    const [, word] = LOOKS[level]
    const isPlural = count(level) > 1 && (level === 'error' || level === 'warning')
    return `${count(level)} ${word}${isPlural ? 's' : ''}`
  })
  return `${findings.length} findings: ${parts.join(', ')}.`
}
