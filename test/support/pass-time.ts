import type { TestContext } from 'node:test'

/**
 * Lets the time of mocked timers pass by the millisecond, as it does: `tick` with more than that runs a timer that another one sets only at
 * the next `tick`.
 */
export function passTime(t: TestContext, milliseconds: number): void {
  for (let passed = 0; passed < milliseconds; passed += 1) t.mock.timers.tick(1)
}
