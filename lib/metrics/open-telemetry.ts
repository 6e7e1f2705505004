import type { OidcEvent, ProviderCall } from '../diagnostics/events.js'
import { INSTRUMENTS, type Instrument, type InstrumentName } from './instruments.js'
import type { Labels, Measurement } from './measurements.js'

/** A counter of a {@link MetricsMeter}. */
export interface MetricsCounter {
  /** Adds to the sum of these attributes. */
  add(value: number, attributes: Readonly<Record<string, string>>): void
}

/** A histogram of a {@link MetricsMeter}. */
export interface MetricsHistogram {
  /** Records one duration, in seconds. */
  record(value: number, attributes: Readonly<Record<string, string>>): void
}

/** The part of a `Meter` of `@opentelemetry/api` that is used. */
export interface MetricsMeter {
  /** Makes a counter. */
  createCounter(name: string, options: { readonly description: string }): MetricsCounter
  /** Makes a histogram. */
  createHistogram(name: string, options: { readonly description: string; readonly unit: string }): MetricsHistogram
}

/** The part of a `Span` of `@opentelemetry/api` that is used. */
export interface MetricsSpan {
  /** Says that the span failed. */
  setStatus(status: { readonly code: number; readonly message?: string }): unknown
  /** Ends the span at a time, in milliseconds since the epoch. */
  end(time: number): void
}

/** The part of a `Tracer` of `@opentelemetry/api` that is used. */
export interface MetricsTracer {
  /** Begins a span at a time, in milliseconds since the epoch. */
  startSpan(
    name: string,
    options: {
      readonly startTime: number
      readonly kind: number
      readonly attributes: Readonly<Record<string, string | number>>
    },
  ): MetricsSpan
}

/** `SpanStatusCode.ERROR`, `SpanKind.INTERNAL` and `SpanKind.CLIENT` of `@opentelemetry/api`. */
const ERROR = 2
const INTERNAL = 0
const CLIENT = 2

/** `error.type` of an error that has no name. */
const UNNAMED = '_OTHER'

/** Hands measurements on to instruments of the site's meter, under the same names. */
export function createMeterSink(meter: MetricsMeter): (measurement: Measurement) => void {
  const record = new Map<InstrumentName, (value: number, labels: Labels) => void>()
  for (const [key, { kind, name, help }] of Object.entries(INSTRUMENTS) as [InstrumentName, Instrument][]) {
    if (kind === 'counter') {
      const counter = meter.createCounter(name, { description: help })
      record.set(key, (value, labels) => counter.add(value, labels))
    } else {
      const histogram = meter.createHistogram(name, { description: help, unit: 's' })
      record.set(key, (value, labels) => histogram.record(value, labels))
    }
  }
  return ({ instrument, value, labels }) => record.get(instrument)?.(value, labels)
}

/**
 * A span for each callback, each of its steps, each request to the provider and each refresh. An event is published while its cause is
 * the current context, so that the span of the request is the parent. Commands to Redis are left to the instrumentation of the client.
 */
export function traceEvent(tracer: MetricsTracer, event: OidcEvent): void {
  const described = describeSpan(event)
  if (described === undefined || !('passed' in event)) return
  const { name, kind = INTERNAL, attributes } = described
  const error = described.error ?? (event.passed ? undefined : (event.code ?? UNNAMED))
  const transaction: Attributes = event.transaction === undefined ? {} : { 'oidc.transaction': event.transaction }
  const failure: Attributes = error === undefined ? {} : { 'error.type': error }
  const startTime = event.at - event.duration
  const span = tracer.startSpan(name, { startTime, kind, attributes: { ...attributes, ...transaction, ...failure } })
  if (error !== undefined) span.setStatus({ code: ERROR, ...(event.code !== undefined && { message: event.code }) })
  span.end(event.at)
}

type Attributes = Readonly<Record<string, string | number>>

interface DescribedSpan {
  readonly name: string
  readonly kind?: number
  readonly attributes: Attributes
  /** `error.type`, where it is another than the error code: a response of HTTP that is an error did arrive. */
  readonly error?: string
}

function describeSpan(event: OidcEvent): DescribedSpan | undefined {
  if (event.type === 'sign-in-finished') return { name: 'oidc callback', attributes: { 'oidc.outcome': event.outcome } }
  if (event.type === 'step') return { name: `oidc step ${event.key}`, attributes: {} }
  if (event.type === 'token-refresh') return { name: 'oidc token refresh', attributes: {} }
  return event.type === 'provider-call' ? describeCall(event) : undefined
}

/** @see https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client */
function describeCall({ method, endpoint, status }: ProviderCall): DescribedSpan {
  const { protocol, hostname, port } = new URL(endpoint)
  const attributes = {
    'http.request.method': method,
    'url.full': endpoint,
    'server.address': hostname,
    'server.port': Number(port || (protocol === 'https:' ? 443 : 80)),
    ...(status !== undefined && { 'http.response.status_code': status }),
  }
  return {
    name: method,
    kind: CLIENT,
    attributes,
    ...(status !== undefined && status >= 400 && { error: `${status}` }),
  }
}
