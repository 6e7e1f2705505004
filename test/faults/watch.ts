import assert from 'node:assert/strict'
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks'

/** Collects what a process must never have: unhandled rejections and uncaught exceptions. */
export function watchProcess(): { readonly seen: readonly unknown[]; check(): void } {
  const seen: unknown[] = []
  const note = (error: unknown) => void seen.push(error)
  process.on('unhandledRejection', note)
  process.on('uncaughtExceptionMonitor', note)
  return { seen, check: () => assert.deepEqual(seen, [], 'unhandled') }
}

/** Open sockets and timers of this process, by kind. */
export function countResources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

/** The longest time the event loop stood still while `run` ran, in milliseconds. */
export async function longestPause(run: () => Promise<unknown>): Promise<number> {
  const histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: 5 })
  histogram.enable()
  await run()
  histogram.disable()
  return histogram.max / 1e6
}
