import type { Request } from 'express'
import { OidcError } from './oidc.js'

/** A response of the API. */
export interface ApiResponse {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

/** Calls the API for the user who made the request. */
export type AskApi = (req: Request) => Promise<ApiResponse>

/** Milliseconds. A page should not hang because the API does. */
const timeout = 5_000

/** The API has a path for the users of each provider, where there are several. */
export function apiPathOf({ oidc: { provider } }: Request): string {
  return provider === undefined ? '/identity' : `/${provider}/identity`
}

export function createApiClient(apiUrl: string): AskApi {
  return async req => {
    try {
      // The middleware adds the access token, refreshed where that is needed, and the proof of its key where it is bound to one.
      const response = await req.oidc.fetch(`${apiUrl}${apiPathOf(req)}`, {
        headers: { Accept: 'application/json' },
        signal: AbortSignal.timeout(timeout),
      })
      return { status: response.status, body: (await response.json()) as ApiResponse['body'] }
    } catch (error) {
      // The session has ended, or the provider is away: that is for the error handler.
      if (error instanceof OidcError && error.code !== 'ERR_OIDC_API_UNAVAILABLE') throw error
      return { status: 504, body: { error: 'The API does not answer.' } }
    }
  }
}
