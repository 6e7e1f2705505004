/** One request, ready to be sent. */
export interface ProviderRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** The maximum number of bytes of a response body, counted after decompression. */
  readonly limit: number
  /** A request that is made again, because the connection broke: not over a connection of before, where there is a choice. */
  readonly isRepeat: boolean
}

/** What came back, read to its end. */
export interface ProviderResponse {
  readonly status: number
  /** Whether the response is a redirect, or hides one. */
  readonly isRedirect: boolean
  readonly headers: ResponseHeaders
  readonly text: string
}

/** Headers of a response, by their names in lower case. */
export interface ResponseHeaders {
  get(name: string): string | null
}

/** A request that is under way. */
export interface PendingRequest {
  readonly response: Promise<ProviderResponse>
  /** Closes the connection. Called when the response is no longer needed. */
  cancel(): void
}

/** A way to the provider. It follows no redirect and sends nothing twice by itself. */
export type Transport = (outgoing: ProviderRequest) => PendingRequest

export function isRedirectStatus(status: number): boolean {
  return status >= 300 && status < 400
}
