import type { Request } from 'express'
import { OidcError } from './oidc.js'

/** An answer of the API. */
export interface ApiAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Calls the API for the user who made the request. */
export type AskApi = (req: Request) => Promise<ApiAnswer>

/** Milliseconds. A page should not hang because the API does. */
const timeout = 5_000

export function createApiClient(apiUrl: string): AskApi {
  return async req => {
    try {
      // The middleware adds the access token, refreshed where that is needed, and the proof of its key where it is bound to one.
      const answer = await req.oidc.fetch(`${apiUrl}/identity`, {
        headers: { Accept: 'application/json' },
        signal: AbortSignal.timeout(timeout),
      })
      return { status: answer.status, body: (await answer.json()) as ApiAnswer['body'] }
    } catch (error) {
      // The session has ended, or the provider is away: that is for the error handler.
      if (error instanceof OidcError && error.code !== 'ERR_OIDC_API_UNAVAILABLE') throw error
      return { status: 504, body: { error: 'The API does not answer.' } }
    }
  }
}
