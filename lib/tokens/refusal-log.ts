import type { OidcError } from '../errors.js'
import type { SiteConfig } from '../options/config.js'
import type { RefreshVerdict } from '../protocol/refused-refresh.js'
import { type Budget, createBudget } from '../provider/budget.js'

/** Seconds between two lines of one kind: ten thousand sessions that fail alike are one line a minute. */
const INTERVAL = 60

const budgets = new WeakMap<SiteConfig, Map<string, Budget>>()

/** Tells the operator that a provider did not refresh a token, and what became of the session. */
export function logRefusal(
  config: SiteConfig,
  purpose: string,
  { code, cause }: OidcError,
  verdict: RefreshVerdict,
): void {
  const { status, error } = (cause ?? {}) as { status?: number; error?: string }
  const said = [...(status === undefined ? [] : [`status ${status}`]), ...(error === undefined ? [] : [error])]
  const what = purpose === '' ? 'the tokens of a session' : 'an additional token'
  const details = said.length === 0 ? code : `${code}, ${said.join(', ')}`
  const line = `refreshing ${what} failed (${details}): the session ${verdict.endsSession ? 'ends' : 'stays'}`
  if (budgetOf(config, line).take()) config.log(line, { code, status, error })
}

function budgetOf(config: SiteConfig, line: string): Budget {
  const known = budgets.get(config) ?? new Map<string, Budget>()
  budgets.set(config, known)
  const budget = known.get(line) ?? createBudget({ burst: 1, interval: INTERVAL, now: config.now })
  known.set(line, budget)
  return budget
}
