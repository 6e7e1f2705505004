import type { OidcEvent, RedactedFields, SignInFinished, StepDone } from '../diagnostics/events.js'
import { signInSteps } from '../diagnostics/steps.js'
import { escapeHtml } from '../http/page.js'
import { buildDiagrams } from './diagram.js'
import { listIdTokenChecks } from './id-token-checks.js'
import { formatDuration, formatTime, listMessages, type Message } from './messages.js'
import type { SignInRecord } from './recorder.js'
import { style } from './style.js'

export interface InspectorPage {
  /** Newest first. */
  readonly records: readonly SignInRecord[]
  /** The one that is shown; left out, there is none. */
  readonly selected: SignInRecord | undefined
  /** Address of the site's start page. */
  readonly home: string
}

export function buildInspectorPage({ records, selected, home }: InspectorPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>How you signed in</title>
<style>${style}</style>
</head>
<body>
<main>
<a href="${escapeHtml(home)}">Back to the site</a>
<h1>How you signed in</h1>
${selected === undefined ? '<p>No user has signed in since this process started. Sign in, then open this page again.</p>' : buildRecord(selected)}
${records.length > 1 ? buildHistory(records, selected) : ''}
<p class="quiet">For development: this page shows what one process remembers, and does not exist in production. Long random values are
shortened. Secrets and personal data are not shown.</p>
</main>
</body>
</html>
`
}

function buildRecord({ events }: SignInRecord): string {
  const messages = listMessages(events)
  return `${buildOutcome(events)}
<figure>
${buildDiagrams(messages)}
<figcaption class="quiet">Times count from the first message. Dashed: between browser and provider, not seen by this site.</figcaption>
</figure>
<h2>What was checked</h2>
<ol class="steps">
${buildSteps(events)}
</ol>
<h2>Every message</h2>
${messages
  .filter(({ from, to, fields }) => from !== to || fields !== undefined)
  .map(buildMessage)
  .join('\n')}`
}

function buildOutcome(events: readonly OidcEvent[]): string {
  const finished = events.find((event): event is SignInFinished => event.type === 'sign-in-finished')
  const isPushRefused = !events.some(({ type }) => type === 'sign-in-started' || type === 'response-received')
  if (finished === undefined && isPushRefused)
    return '<p class="outcome failed">The browser was not sent to the provider: the request could not be made or pushed.</p>'
  if (finished === undefined) return '<p class="outcome">In progress: the provider has not responded yet.</p>'
  const took = formatDuration(finished.duration)
  if (finished.outcome === 'repeated')
    return `<p class="outcome">The response was used before, or it arrived too late. (${took})</p>`
  if (finished.outcome === 'signed-out')
    return `<p class="outcome">A silent sign-in, which the provider did not grant or which has failed: the user sees the page signed out. <code>${finished.code}</code> (${took})</p>`
  if (finished.outcome === 'signed-in') {
    const calls = events.filter(
      ({ type, at }) => type === 'provider-call' && at > finished.at - finished.duration,
    ).length
    return `<p class="outcome"><strong>Signed in.</strong> From the provider's response to the session it took ${took}, with ${calls} ${calls === 1 ? 'call' : 'calls'} to the provider.</p>`
  }
  const step = events.findLast((event): event is StepDone => event.type === 'step' && !event.passed)
  const where = step === undefined ? '' : ` in step ${step.step}`
  const why = step?.reason ?? 'the reason is in the log of the site'
  return `<p class="outcome failed"><strong>The sign-in failed${where}:</strong> ${escapeHtml(why)}.
${finished.code === undefined ? '' : `<code>${finished.code}</code>`} ${buildDetails(step?.details)}</p>`
}

/** Values the error carries for developers: what was there, and what should have been. */
function buildDetails(details: unknown): string {
  if (typeof details !== 'object' || details === null) return ''
  const words = Object.entries(details)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return words.length === 0 ? '' : `<br><code>${escapeHtml(words.join(', ').slice(0, 400))}</code>`
}

function buildSteps(events: readonly OidcEvent[]): string {
  const response = events.find(event => event.type === 'response-received')?.fields ?? {}
  const done = new Map(events.flatMap(event => (event.type === 'step' ? [[event.key, event] as const] : [])))
  const last = events.some(({ type }) => type === 'sign-in-finished')
  const steps = Object.entries(signInSteps).map(([key, [number, name, section]]) => {
    const event = done.get(key)
    const took = event === undefined ? '' : ` <span class="quiet">${formatDuration(event.duration)}</span>`
    const checks = event === undefined ? '' : buildChecks(event, response)
    return `<li>${mark(event?.passed)}${number} ${escapeHtml(name)}${took}<span class="section">${section}</span>${checks}</li>`
  })
  return steps.join('\n') + (last ? '' : '\n<li class="quiet">…</li>')
}

function buildChecks(event: StepDone, response: RedactedFields): string {
  if (event.key !== 'frontIdToken' && event.key !== 'idToken') return ''
  const checks = listIdTokenChecks(event.key === 'frontIdToken' ? 'first' : 'second', response, event)
  const items = checks.map(
    ({ name, section, passed }) =>
      `<li>${mark(passed)}${escapeHtml(name)}<span class="section">${escapeHtml(section)}</span></li>`,
  )
  return `<ul>${items.join('\n')}</ul>`
}

function mark(passed: boolean | undefined): string {
  const [kind, says, sign] =
    passed === undefined
      ? ['quiet', 'not needed, or not reached', '–']
      : passed
        ? ['good', 'passed', '✓']
        : ['bad', 'failed', '✗']
  return `<span class="mark ${kind}" role="img" aria-label="${says}" title="${says}">${sign}</span>`
}

function buildMessage({ time, from, to, text, duration, fields = {} }: Message): string {
  const took = duration === undefined ? '' : `, ${formatDuration(duration)}`
  const way = from === to ? from : `${from} → ${to}`
  const head = `${way}: ${escapeHtml(text)} <span class="quiet">${formatTime(time)}${took}</span>`
  const values = Object.entries(fields).map(
    ([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`,
  )
  return `<details><summary>${head}</summary>${values.length === 0 ? '<p class="quiet">Nothing more to show.</p>' : `<dl>${values.join('')}</dl>`}</details>`
}

function buildHistory(records: readonly SignInRecord[], selected: SignInRecord | undefined): string {
  const items = records.map(({ transaction, events }) => {
    const finished = events.find(event => event.type === 'sign-in-finished')
    const time = new Date(events[0]?.at ?? 0).toISOString().slice(11, 19)
    const text = `${time} ${finished?.outcome ?? 'in progress'}`
    return transaction === selected?.transaction
      ? `<li aria-current="page">${text}</li>`
      : `<li><a href="?transaction=${encodeURIComponent(transaction)}">${text}</a></li>`
  })
  return `<h2>The last sign-ins</h2>\n<nav aria-label="The last sign-ins"><ul>${items.join('')}</ul></nav>`
}
