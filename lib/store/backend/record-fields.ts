/** The fields of one session's record; the letters are what Redis stores. */
export const FIELD = {
  /** Sealed {@link Ticket}. */
  ticket: 't',
  /** Sealed {@link Tokens}. */
  tokens: 'k',
  /** Sealed JSON of the site's session data. */
  session: 's',
  /** Version of `session`, a plain number that counts its writes. */
  version: 'n',
  /** When the lifetime was last extended and when it ends for good; see `expiry.ts`. */
  expiry: 'e',
  /** Sealed {@link SessionSummary} that can be opened without the session id. */
  summary: 'i',
  /** Who is refreshing the tokens, and until when; see `lease.ts`. */
  lease: 'l',
  /** A refresh that failed, and when the next may be tried. Not sealed, and nothing secret. */
  failure: 'f',
  /** Keys of earlier sessions of the same user in the same browser, separated by commas. They end when the browser shows this session. */
  previous: 'p',
  /** What its user has to do before the next guarded page; see `sign-in-demands.ts`. Not sealed, and nothing secret. */
  demand: 'd',
  /** Sealed {@link DeviceBinding}: the key of the browser that the session is bound to. Written once. */
  device: 'b',
  /** `1` on a session that another one takes the place of: what is still changed in it is stored there. */
  replaced: 'r',
  /** The absolute end, in seconds since the epoch, of a session whose end the site has brought nearer; `expiry` has the nearer one. */
  limit: 'c',
} as const

export type FieldName = (typeof FIELD)[keyof typeof FIELD]

export type Fields = Readonly<Partial<Record<FieldName, string | Buffer>>>

export interface RemoveResult {
  readonly existed: boolean
  /** The summary the record had. */
  readonly summary: Buffer | undefined
  /** The tokens it had. */
  readonly tokens?: Buffer | undefined
}
