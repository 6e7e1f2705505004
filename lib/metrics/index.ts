export { createMetrics, type Metrics, type MetricsOptions } from './metrics.js'
export type { MetricsMeter, MetricsSpan, MetricsTracer } from './open-telemetry.js'
