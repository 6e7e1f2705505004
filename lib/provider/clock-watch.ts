import type { Http } from './http.js'
import type { HttpResponse } from './response.js'
import type { ResponseHeaders } from './transport.js'

export interface ClockWatchSettings {
  readonly now: () => Date
  /** Seconds. */
  readonly clockTolerance: number
  readonly log: (line: string) => void
}

/**
 * Compares the clock with the `Date` of every response of the provider, and logs a warning when they begin to differ by more than is tolerated: from
 * then on ID Tokens are refused, with errors that do not look like a clock.
 */
export function watchClock(http: Http, { now, clockTolerance, log }: ClockWatchSettings): Http {
  let isOff = false

  function look(response: HttpResponse): HttpResponse {
    const said = dateOf(response.headers)
    if (said === undefined) return response
    const seconds = Math.round((now().getTime() - said) / 1000)
    const wasOff = isOff
    isOff = Math.abs(seconds) > clockTolerance
    if (isOff && !wasOff) {
      const how = `${Math.abs(seconds)} seconds ${seconds > 0 ? 'ahead of' : 'behind'}`
      log(`the clock is ${how} the provider's; the tolerance is ${clockTolerance} seconds. Set both clocks by NTP`)
    }
    return response
  }

  return {
    ...http,
    getJson: async (url, options) => look(await http.getJson(url, options)),
    postForm: async (...request) => look(await http.postForm(...request)),
  }
}

/** Milliseconds since the epoch. What a cache kept says for how many seconds it did. RFC 9111 section 5.1. */
export function dateOf(headers: ResponseHeaders): number | undefined {
  const date = Date.parse(headers.get('date') ?? '')
  const age = Number(headers.get('age') ?? 0)
  return Number.isFinite(date) && Number.isFinite(age) ? date + age * 1000 : undefined
}
