import type { Request } from 'express'

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
    // The access token is still valid when we get it: the middleware renews it ahead of time. It stays on the server.
    const { value } = await req.oidc.accessToken()
    try {
      const answer = await fetch(`${apiUrl}/identity`, {
        headers: { Authorization: `Bearer ${value}`, Accept: 'application/json' },
        signal: AbortSignal.timeout(timeout),
      })
      return { status: answer.status, body: (await answer.json()) as ApiAnswer['body'] }
    } catch {
      return { status: 504, body: { error: 'The API does not answer.' } }
    }
  }
}
