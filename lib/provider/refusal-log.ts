import type { Log } from '../diagnostics/log.js'
import { redactAddress } from '../diagnostics/values.js'
import { formatProviderError } from '../protocol/provider-error.js'
import { createBudget } from './budget.js'
import type { Http } from './http.js'
import type { HttpResponse } from './response.js'

export interface RefusalLogSettings {
  readonly now: () => Date
  readonly log: Log
}

/** Lines at once, and the seconds after which there may be one more: a provider that refuses everything must not fill the disk. */
const BURST = 20
const INTERVAL = 3

/** An access token that userinfo no longer takes, and a nonce that has to be a newer one. */
const EXPECTED: readonly string[] = ['invalid_token', 'use_dpop_nonce']

/**
 * Logs every refusal of the provider in one line, no matter which code handles the error: often this is the only place where the reason
 * stands. What is expected from time to time is left out.
 */
export function logRefusals(http: Http, { now, log }: RefusalLogSettings): Http {
  const budget = createBudget({ burst: BURST, interval: INTERVAL, now })

  function report({ status, providerError }: HttpResponse, url: string, about: string): void {
    if (providerError === undefined || EXPECTED.includes(providerError.error) || !budget.take()) return
    log(
      `the provider refused a request to ${redactAddress(url)}${about}: ${status} ${formatProviderError(providerError)}`,
      { endpoint: redactAddress(url), status, error: providerError.error },
    )
  }

  return {
    ...http,
    async getJson(url, options) {
      const response = await http.getJson(url, options)
      report(response, url, '')
      return response
    },
    async postForm(url, body, headers, timeout) {
      const response = await http.postForm(url, body, headers, timeout)
      report(response, url, body.grant_type === undefined ? '' : ` (${body.grant_type})`)
      return response
    },
  }
}
