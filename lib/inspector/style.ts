import { createHash } from 'node:crypto'

export const style = `
:root { color-scheme: light dark; --back: #fbfbf9; --text: #1c1f22; --quiet: #5d656d; --line: #d3d8dc; --good: #13713f; --bad: #b3261e; --arrow: #2b5b9e; --panel: #fff }
@media (prefers-color-scheme: dark) {
  :root { --back: #14171a; --text: #e7eaec; --quiet: #9ba5ae; --line: #343b42; --good: #6fcf97; --bad: #ff8a80; --arrow: #8ab4f8; --panel: #1b1f23 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--back); color: var(--text); font: 1rem/1.55 system-ui, sans-serif }
main { max-width: 66rem; margin: 0 auto; padding: 1.25rem 1rem 3rem }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 }
h2 { font-size: 1.15rem; margin: 2.25rem 0 .5rem }
a { color: var(--arrow) }
p { max-width: 46rem }
.outcome { font-size: 1.1rem; padding: .7rem 1rem; border-left: .3rem solid var(--good); background: var(--panel) }
.outcome.failed { border-color: var(--bad) }
.quiet, .section { color: var(--quiet); font-size: .9rem }
.good { color: var(--good) } .bad { color: var(--bad) }
figure { margin: 1rem 0 0; padding: .75rem; background: var(--panel); border: 1px solid var(--line); border-radius: .5rem }
svg { display: block; width: 100%; height: auto; font-family: system-ui, sans-serif }
svg.narrow { display: none }
.lane { stroke: var(--line); stroke-width: 1.5 }
.head { fill: var(--text); font-size: 15px; font-weight: 600; text-anchor: middle }
.label { fill: var(--text); font-size: 12.5px; stroke: var(--panel); stroke-width: 5px; paint-order: stroke; stroke-linejoin: round }
.label.middle { text-anchor: middle }
.label.failed { fill: var(--bad); font-weight: 600 }
.clock { fill: var(--quiet); font-size: 11px }
.arrow { stroke: var(--arrow); stroke-width: 1.5 }
.arrow.inferred { stroke-dasharray: 5 4 }
.arrow.failed { stroke: var(--bad) }
marker path { fill: context-stroke }
.check circle { fill: var(--panel); stroke: var(--good); stroke-width: 1.5 }
.check path { fill: none; stroke: var(--good); stroke-width: 1.8 }
.check.failed circle, .check.failed path { stroke: var(--bad) }
ol, ul { padding: 0; list-style: none; margin: 0 }
.steps li { padding-left: 1.4rem; text-indent: -1.4rem }
.steps > li { padding-block: .55rem; border-top: 1px solid var(--line) }
.steps ul { margin: .3rem 0 0; font-size: .93rem }
.mark { display: inline-block; width: 1.4rem; font-weight: 700; text-indent: 0 }
.section { display: block; text-indent: 0 }
.steps ul .section { display: inline; margin-left: .4rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: .4rem 0 .8rem 1.2rem; font-size: .9rem }
dt { color: var(--quiet) } dd { margin: 0; overflow-wrap: anywhere }
dd, code { font-family: ui-monospace, monospace; font-size: .92em }
details { border-top: 1px solid var(--line); padding: .35rem 0 }
summary { cursor: pointer }
nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem }
@media (max-width: 44rem) {
  svg.wide { display: none } svg.narrow { display: block }
  .narrow .head { font-size: 13px } .narrow .label { font-size: 12px }
  figure { padding: .4rem }
  dl { grid-template-columns: 1fr; gap: 0 } dd { margin-bottom: .35rem }
  .steps ul .section { display: block; margin-left: 0 }
}
`

const styleHash = createHash('sha256').update(style).digest('base64')

/** The page's own style and nothing else: no script, no picture, no form, no frame. */
export const policy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`
