/** What a line of the log says for programs. No member holds a token, a code or a secret. */
export interface LogFields {
  /** Default `warn`. */
  readonly level?: 'info' | 'warn' | 'error'
  /** Of the {@link OidcError}. */
  readonly code?: string
  /** The one that the error page or the JSON response shows. */
  readonly correlationId?: string
  /** Of the HTTP request or of a response of the provider. */
  readonly [name: string]: string | number | undefined
}

/** Takes a line for people, and what it says for programs. */
export type Log = (line: string, fields?: LogFields) => void
