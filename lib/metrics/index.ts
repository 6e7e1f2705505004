export { createMetrics, type Metrics, type MetricsOptions } from './metrics.js'
export type { MetricsCounter, MetricsHistogram, MetricsMeter, MetricsSpan, MetricsTracer } from './open-telemetry.js'
