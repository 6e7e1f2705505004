import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { OidcError } from '../../lib/errors.js'
import { parseFailures, type RefreshFailure } from '../../lib/store/refresh-failure.js'
import type { StoredTokens } from '../../lib/store/token-store.js'
import { backOff, failuresInRow, pauseOf } from '../../lib/tokens/back-off.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import { scale } from '../faults/scale.js'
import { compare, formatComparisons, type Outage, outagesOfTable, recover } from './pause-simulation.js'

/** Seconds between the return of the provider and the last response, at most: the pause that began last, and the longest between two requests of a user. */
function longestRecovery({ outage, retryAfter = 0 }: Outage): number {
  const pause = Math.min(5, 2 * outage + 1)
  const asked = Math.min(60, retryAfter) * 1.1
  const betweenRequests = Math.max(0.25, Math.min(outage / 20, 2)) * 1.5
  return Math.max(pause + 1, asked) + betweenRequests + 0.1
}

/** User seconds of an outage that a property simulates at most. */
const MOST_WORK = 6_000

const outages: fc.Arbitrary<Outage> = fc
  .record<Outage, 'askers' | 'outage'>(
    {
      askers: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 500 })),
      outage: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 1200 })).map(tenths => tenths / 10),
      retryAfter: fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom(30, 60, 3600, 1e9)),
      processes: fc.integer({ min: 1, max: 4 }),
      ahead: fc.array(fc.integer({ min: -7200, max: 7200 }), { minLength: 0, maxLength: 4 }),
    },
    { requiredKeys: ['askers', 'outage'] },
  )
  .filter(({ askers, outage }) => askers * outage <= MOST_WORK)

describe('a pause fits its cause', () => {
  test('the table of docs/reliability.md has the lines that npm run simulate:pauses prints', async () => {
    // The largest rows take most of the time: the long runs have them.
    const outages = outagesOfTable().filter(({ askers, outage }) => scale > 1 || askers * outage <= MOST_WORK)
    const comparisons = []
    for (const outage of outages) comparisons.push(await compare(outage))
    const page = readFileSync(new URL('../../docs/reliability.md', import.meta.url), 'utf8')
    for (const line of formatComparisons(comparisons).split('\n')) {
      assert.ok(page.includes(`\n${line}\n`), `the table has no line ${line}`)
    }
  })

  test('fifty users wait about as long as one, at a provider that was away for 100 ms', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const one = await recover({ askers: 1, outage: 0.1 }, seed)
      const fifty = await recover({ askers: 50, outage: 0.1 }, seed)
      assert.ok(one.all <= 1.3, `one: ${one.all} s`)
      assert.ok(fifty.all <= 1.6, `fifty: ${fifty.all} s`)
    }
  })

  test('recovery and calls are bounded, for any number of users, processes and wrong clocks, any outage and any Retry-After', async () => {
    await fc.assert(
      fc.asyncProperty(outages, fc.integer(), async (outage, seed) => {
        const ours = await recover(outage, seed)
        const { askers, processes = 1 } = outage
        assert.ok(ours.all <= longestRecovery(outage), `${ours.all} s after ${JSON.stringify(outage)}`)
        assert.equal(ours.answered, askers, 'one token request that is answered for each user')
        // At first as many at a time as may be under way; then one at a time, at a few moments in each longest pause.
        const most = processes * (Math.min(askers, 50) + 6 + 2 * outage.outage)
        assert.ok(ours.failed <= most, `${ours.failed} calls in ${JSON.stringify(outage)}`)
      }),
      { numRuns: Math.min(20, 10 * scale), seed: 1 },
    )
  })
})

const view = (notes: readonly RefreshFailure[]) => ({ failures: notes }) as unknown as StoredTokens
const now = new Date(1_800_000_000_600)
const noted = (note: Partial<RefreshFailure>): RefreshFailure => ({
  code: 'ERR_OIDC_PROVIDER_UNAVAILABLE',
  count: 1,
  retryAt: 1_800_000_001,
  pause: 0.5,
  ...note,
})

describe('the note of a pause', () => {
  test('binds no longer than its pause and a second, and never longer than 67 s, whatever it says', () => {
    const text = fc
      .tuple(fc.nat(999_999), fc.nat(4_000_000_000), fc.nat(999), fc.nat(999), fc.nat(999))
      .map(([count, at, thousandths, pause, rest]) => {
        const three = (part: number) => String(part).padStart(3, '0')
        return `${count}:${at}.${three(thousandths)}:${pause}.${three(rest)}:ERR_OIDC_PROVIDER_UNAVAILABLE`
      })
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), fc.double({ min: -3, max: 100, noNaN: true }), (written, before) => {
        const notes = parseFailures(written)
        const retryAt = notes[0]?.retryAt ?? 0
        const at = new Date((retryAt - before) * 1000)
        const pause = pauseOf(view(notes), undefined, at)
        if (pause !== undefined) assert.ok(before <= Math.min(67.01, pause.pause + 1.01), `${before} s left`)
      }),
      { numRuns: 2000 },
    )
  })

  test('binds until its end, and not until the end of that second', () => {
    const notes = view([noted({ retryAt: 1_800_000_000.7 })])
    assert.ok(pauseOf(notes, undefined, now), 'it is over too early')
    assert.equal(pauseOf(notes, undefined, new Date(now.getTime() + 150)), undefined)
  })

  test('of a process whose clock is 25 s ahead does not bind for 25 s', () => {
    assert.equal(pauseOf(view([noted({ retryAt: 1_800_000_026 })]), undefined, now), undefined)
  })

  test('counts as one in a row only for a while', () => {
    assert.equal(failuresInRow(undefined, now), 1)
    assert.equal(failuresInRow(noted({ count: 5 }), now), 6)
    assert.equal(failuresInRow(noted({ count: 5, retryAt: now.getTime() / 1000 - 3600 }), now), 1)
    assert.equal(failuresInRow(noted({ count: 5, retryAt: now.getTime() / 1000 + 3600 }), now), 1)
  })

  test('is 1, 2, 4 ... s long, up to 60 or for a provider that is away 5, of which up to half is chance', () => {
    const lengths = (count: number, error: OidcError) => Array.from({ length: 500 }, () => backOff(count, error))
    const cases = [
      ['ERR_OIDC_PROVIDER_UNAVAILABLE', 5],
      ['ERR_OIDC_TOKEN_RESPONSE', 60],
    ] as const
    for (const [code, most] of cases) {
      for (const count of [1, 2, 3, 4, 5, 6, 7, 8, 1000, 999_999]) {
        const longest = Math.min(most, 2 ** (count - 1))
        const all = lengths(count, new OidcError(code, ''))
        assert.ok(Math.min(...all) >= longest / 2 && Math.max(...all) <= longest, `${code} ${count}`)
        assert.ok(Math.max(...all) - Math.min(...all) > longest / 4, 'chance')
      }
    }
  })

  test('is as long as Retry-After says, up to 60 s, and up to a tenth longer by chance', () => {
    for (const [retryAfter, heeded] of [
      [0, 0],
      [7, 7],
      [60, 60],
      [86_400, 60],
      [Number.MAX_SAFE_INTEGER, 60],
    ] as const) {
      const error = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', '', { cause: { retryAfter } })
      const all = Array.from({ length: 500 }, () => backOff(1, error))
      assert.ok(Math.min(...all) >= heeded && Math.max(...all) <= Math.max(1, heeded * 1.1), `${retryAfter}`)
      assert.ok(new Set(all).size > 400, 'chance')
    }
  })
})

describe('the limiter of a process', () => {
  const away = new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'away')

  /** Seconds until a request is let pass again. */
  async function restOf(limiter: ReturnType<typeof createRequestLimiter>, clock: { ms: number }): Promise<number> {
    const began = clock.ms
    for (;;) {
      const leave = await limiter.enter(1).catch(() => undefined)
      if (leave !== undefined) {
        leave()
        return (clock.ms - began) / 1000
      }
      clock.ms += 100
    }
  }

  test('gives a rest of a second at most after one failure an hour after a long outage', async () => {
    for (let round = 0; round < 30; round += 1) {
      const clock = { ms: 0 }
      const limiter = createRequestLimiter(() => new Date(clock.ms))
      for (let count = 0; count < 10; count += 1) {
        limiter.report(away)
        await restOf(limiter, clock)
      }
      clock.ms += 3_600_000
      limiter.report(away)
      const rest = await restOf(limiter, clock)
      assert.ok(rest <= 1.1, `${rest} s`)
    }
  })
})
