import { showAddress } from '../diagnostics/values.js'
import { spellProviderError } from '../protocol/provider-error.js'
import type { HttpAnswer } from './answer.js'
import { createBudget } from './budget.js'
import type { Http } from './http.js'

export interface RefusalLogSettings {
  readonly now: () => Date
  readonly log: (line: string) => void
}

/** Lines at once, and the seconds after which there may be one more: a provider that refuses everything must not fill the disk. */
const BURST = 20
const INTERVAL = 3

/**
 * Writes down what the provider says when it refuses something, a line each, whoever gets the error: often it is the only place where the reason
 * stands. An access token that userinfo no longer takes is no news.
 */
export function logRefusals(http: Http, { now, log }: RefusalLogSettings): Http {
  const budget = createBudget({ burst: BURST, interval: INTERVAL, now })

  function note({ status, providerError }: HttpAnswer, url: string, about: string): void {
    if (providerError === undefined || providerError.error === 'invalid_token' || !budget.take()) return
    log(`the provider refused a request to ${showAddress(url)}${about}: ${status} ${spellProviderError(providerError)}`)
  }

  return {
    ...http,
    async getJson(url, options) {
      const answer = await http.getJson(url, options)
      note(answer, url, '')
      return answer
    },
    async postForm(url, body, headers, timeout) {
      const answer = await http.postForm(url, body, headers, timeout)
      note(answer, url, body.grant_type === undefined ? '' : ` (${body.grant_type})`)
      return answer
    },
  }
}
