/** What one kind of measurement is called and means. */
export interface Instrument {
  readonly kind: 'counter' | 'histogram'
  /** By the rules of OpenTelemetry: parts with dots. In Prometheus the dots are underscores, and `_total` or `_seconds` follows. */
  readonly name: string
  /** One sentence, for dashboards. */
  readonly help: string
}

/** Everything that is measured. Durations are in seconds. */
export const INSTRUMENTS = {
  signInsStarted: counter('oidc.sign_ins.started', 'Browsers that were sent to the provider.'),
  signIns: counter('oidc.sign_ins', 'Callbacks by outcome (signed-in, repeated, signed-out, failed) and error code.'),
  signInDuration: histogram('oidc.sign_in.duration', 'Duration of callbacks.'),
  stepDuration: histogram('oidc.sign_in.step.duration', 'Duration of the steps of callbacks.'),
  providerDuration: histogram('oidc.provider.request.duration', 'Duration of requests to the provider.'),
  storeDuration: histogram('oidc.store.command.duration', 'Duration of commands to Redis.'),
  storeErrors: counter('oidc.store.errors', 'Commands that Redis did not carry out.'),
  refreshes: counter('oidc.token.refreshes', 'Refreshes of access tokens by result and error code.'),
  refreshDuration: histogram('oidc.token.refresh.duration', 'Duration of refreshes of access tokens.'),
  signOuts: counter('oidc.sign_outs', 'Sign-outs by reason.'),
  keptForms: counter(
    'oidc.kept_forms',
    'Forms of users who had to sign in first, by outcome (kept, not-kept, sent) and reason.',
  ),
  sessionsEnded: counter('oidc.sessions.ended', 'Sessions that a sign-out ended, by reason.'),
} as const satisfies Record<string, Instrument>

export type InstrumentName = keyof typeof INSTRUMENTS

/** Upper bounds of the classes of a histogram, in seconds. */
export const DEFAULT_BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

function counter(name: string, help: string): Instrument {
  return { kind: 'counter', name, help }
}

function histogram(name: string, help: string): Instrument {
  return { kind: 'histogram', name, help }
}
