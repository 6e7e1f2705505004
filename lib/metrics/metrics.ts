import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { OidcEvent } from '../diagnostics/events.js'
import { channelName } from '../diagnostics/publish.js'
import type { OpenIdConnect } from '../openid-connect.js'
import { DEFAULT_BUCKETS } from './instruments.js'
import { type Measurement, measurementsOf } from './measurements.js'
import { createMeterSink, type MetricsMeter, type MetricsTracer, traceEvent } from './open-telemetry.js'
import { createPrometheusText, formatGauge } from './prometheus.js'

/** Settings of {@link createMetrics}. All of them are optional. */
export interface MetricsOptions {
  /** The middleware. With it the text has the gauges `oidc_store_up` and `oidc_provider_up`; reading them costs one `PING` of Redis. */
  readonly oidc?: Pick<OpenIdConnect, 'health'>
  /** A meter of `@opentelemetry/api`: everything that is counted is handed on to it as well. */
  readonly meter?: MetricsMeter
  /** A tracer of `@opentelemetry/api`: callbacks, their steps, requests to the provider and refreshes become spans. */
  readonly tracer?: MetricsTracer
  /** Upper bounds of the classes of durations, in seconds, ascending. Defaults to thirteen from 0.001 to 10. */
  readonly buckets?: readonly number[]
}

/** Counts what happens in this process. */
export interface Metrics {
  /** Value of `Content-Type` for {@link Metrics.text}. */
  readonly contentType: string
  /** Everything counted since the beginning, in the text format of Prometheus. */
  text(): Promise<string>
  /** Ends the counting. */
  stop(): void
}

/**
 * Counts sign-ins, requests to the provider, commands to Redis, refreshes and sign-outs of this process, from the events of the
 * diagnostics channel. No label holds anything about a user. Call it once, before the site listens.
 * @throws {TypeError} for buckets that do not ascend
 */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const { oidc, meter, tracer, buckets = DEFAULT_BUCKETS } = options
  checkBuckets(buckets)
  const prometheus = createPrometheusText(buckets)
  const sinks: ((measurement: Measurement) => void)[] = [prometheus.add]
  if (meter !== undefined) sinks.push(createMeterSink(meter))

  function receive(message: unknown): void {
    const event = message as OidcEvent
    // Node ends the process for what a subscriber throws. What a meter or a tracer of the site throws is lost.
    attempt(() => {
      for (const measurement of measurementsOf(event)) for (const sink of sinks) attempt(() => sink(measurement))
    })
    if (tracer !== undefined) attempt(() => traceEvent(tracer, event))
  }

  subscribe(channelName, receive)
  return {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    async text() {
      return prometheus.text() + (oidc === undefined ? '' : await formatHealth(oidc))
    },
    stop: () => void unsubscribe(channelName, receive),
  }
}

async function formatHealth(oidc: Pick<OpenIdConnect, 'health'>): Promise<string> {
  const { store, provider } = await oidc.health()
  return (
    formatGauge('oidc_store_up', 'Whether Redis responds.', store.reachable ? 1 : 0) +
    formatGauge(
      'oidc_provider_up',
      'Whether the last request to the provider got a response.',
      provider.reachable ? 1 : 0,
    )
  )
}

function checkBuckets(buckets: readonly number[]): void {
  const ascend = buckets.every((bound, at) => Number.isFinite(bound) && bound > (buckets[at - 1] ?? 0))
  if (!ascend || buckets.length === 0) throw new TypeError('buckets: set an ascending list of positive seconds')
}

function attempt(work: () => void): void {
  try {
    work()
  } catch {
    // Nothing to be done: see above.
  }
}
