import { jitter } from '../time.js'

/** Work that is repeated until it succeeds, and then at intervals, so that requests need not wait for it. */
export interface KeepWarm {
  /** Tries at once and goes on in the background. @throws what this attempt throws */
  start(): Promise<void>
  stop(): void
}

const SECOND = 1000
/** The longest, as each of the pauses here: see {@link jitter}. */
const FIRST_RETRY = SECOND
const LONGEST_RETRY = 30 * SECOND
const INTERVAL = 60 * SECOND

/** The timers do not keep the process alive. Each pause is random, so that the processes of a site do not ask at the same time. */
export function createKeepWarm(attempt: () => Promise<void>, random: () => number = Math.random): KeepWarm {
  let timer: NodeJS.Timeout | undefined
  let retry = FIRST_RETRY
  let running: Promise<void> | undefined
  let isStopped = false

  function start(): Promise<void> {
    running ??= run().finally(() => {
      running = undefined
    })
    return running
  }

  async function run(): Promise<void> {
    clearTimeout(timer)
    try {
      await attempt()
      retry = FIRST_RETRY
      schedule(INTERVAL)
    } catch (error) {
      schedule(retry)
      retry = Math.min(LONGEST_RETRY, retry * 2)
      throw error
    }
  }

  function schedule(delay: number): void {
    if (isStopped) return
    timer = setTimeout(() => start().catch(() => undefined), jitter(delay, random))
    timer.unref()
  }

  return {
    start,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}
