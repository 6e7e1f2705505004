import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { createRecordStore, type RecordStore, type SignInInput } from '../../lib/store/store.js'
import { issuer, sealingSecret, ticket, tokens } from '../store/fixtures.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { scale } from './scale.js'

/** Seconds. Long enough that no session ends by itself while the test runs in real time. */
const idle = 600
const absolute = 30 * 24 * 3600

/** A process: a store of its own on the Redis of all, and a clock that may be wrong. */
interface Process {
  readonly store: RecordStore
  /** Seconds its clock is ahead of the right time. */
  ahead: number
}

let redis: RedisServer
/** Seconds the world has moved on beside real time. */
let moved = 0
const processes: Process[] = []

before(async () => {
  redis = await startRedis()
  for (let count = 0; count < 2; count += 1) {
    const clock = { ahead: 0 }
    const store = createRecordStore({
      idle,
      absolute,
      timeout: 10_000,
      redis: redis.url,
      secrets: [sealingSecret],
      now: () => new Date(Date.now() + (moved + clock.ahead) * 1000),
      log: () => {},
    })
    processes.push(Object.assign(clock, { store }))
    await until('the clock of the store is known', () => store.startTime() > 0)
  }
})
after(async () => {
  for (const { store } of processes) await store.close()
  await redis.stop()
})

const processOf = (index: number) => processes[index] as Process

/** A sign-in that left for the provider at one process and comes back to another. */
interface Attempt {
  readonly startedAt: number
  readonly logoutsBefore: number
}

const index = fc.nat(1)
const jump = fc.oneof(fc.integer({ min: -60, max: 60 }), fc.integer({ min: -7200, max: 7200 }))
const step = fc.oneof(
  fc.record({ do: fc.constant('set clock' as const), at: index, ahead: jump }),
  fc.record({ do: fc.constant('start' as const), at: index }),
  fc.record({ do: fc.constant('finish' as const), at: index }),
  fc.record({ do: fc.constant('log out' as const), at: index, by: fc.constantFrom('sub' as const, 'sid' as const) }),
  fc.record({ do: fc.constant('visit' as const), at: index }),
  fc.record({ do: fc.constant('time passes' as const), at: index, seconds: fc.nat(500) }),
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** What has to be true, by a single right clock: which attempts were overtaken by a logout, and which sessions live. */
class World {
  readonly #name: string
  readonly #attempts: Attempt[] = []
  #sessions: string[] = []
  #logouts = 0

  constructor(name: string) {
    this.#name = name
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const action of steps) {
      const process = processOf(action.at)
      if (action.do === 'set clock') process.ahead = action.ahead
      if (action.do === 'start') this.#start(process)
      if (action.do === 'finish') await this.#finish(process)
      if (action.do === 'log out') await this.#logOut(process, action.by)
      if (action.do === 'visit') await this.#visit(process)
      if (action.do === 'time passes') await this.#pass(action.seconds)
    }
  }

  #start({ store }: Process): void {
    this.#attempts.push({ startedAt: store.startTime(), logoutsBefore: this.#logouts })
  }

  async #finish({ store }: Process): Promise<void> {
    const attempt = this.#attempts.pop()
    if (attempt === undefined) return
    const { startedAt, logoutsBefore } = attempt
    const signedInAt = Math.floor(Date.now() / 1000) + moved
    const input: SignInInput = {
      ticket: ticket({ subject: this.#name, sid: this.#name, signedInAt, expiresAt: signedInAt + absolute }),
      tokens: tokens(),
      previous: [],
      keep: [],
      time: { startedAt, grantedAt: 0 },
    }
    const outcome = await store.signIn(input).catch((error: { code?: string }) => ({ code: error.code }))
    if (logoutsBefore < this.#logouts) {
      assert.deepEqual(outcome, { code: 'ERR_OIDC_SIGN_IN_ENDED' }, 'a sign-in from before a logout came through')
    } else {
      assert.equal(
        typeof outcome,
        'string',
        `a sign-in from after every logout was refused: ${JSON.stringify(outcome)}`,
      )
      this.#sessions.push(outcome as string)
    }
  }

  async #logOut({ store }: Process, by: 'sub' | 'sid'): Promise<void> {
    const query = by === 'sid' ? { issuer, sid: this.#name } : { issuer, subject: this.#name }
    const ended = await store.endAll(query, { logout: {}, remember: 1000 })
    assert.equal(ended, this.#sessions.length, 'a logout that was obeyed left a session')
    this.#sessions = []
    this.#logouts += 1
    // A start is given no later than it was: for the time of a response of the store it may count as earlier than a logout that is over.
    const [seconds, microseconds] = (await redis.command('TIME')) as [string, string]
    const over = Number(seconds) * 1_000_000 + Number(microseconds)
    for (let turn = 0; processes.some(({ store }) => store.startTime() <= over); turn += 1) {
      assert.ok(turn < 100_000, 'starts do not come to count as later than the logout')
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** A user who comes back within the idle life finds the session, at whichever process and whatever its clock says. */
  async #visit({ store }: Process): Promise<void> {
    for (const id of this.#sessions) {
      assert.notEqual(await store.load(id), undefined, 'a session in use has ended')
      // The life is extended in the background.
      await store.ping()
    }
  }

  async #pass(seconds: number): Promise<void> {
    await this.#visit(processOf(0))
    moved += seconds
    const keys = ((await redis.command('KEYS', 'oidc:*')) as string[]).filter(key => /^oidc:[\w-]{43}$/.test(key))
    for (const key of keys) {
      const left = Number(await redis.command('PTTL', key))
      await redis.command('PEXPIRE', key, String(left - seconds * 1000))
    }
    await this.#visit(processOf(1))
  }
}

/** A clock that was an hour ahead while it extended a session, and is right again. */
const setBack: Step[] = [
  { do: 'start', at: 0 },
  { do: 'finish', at: 0 },
  { do: 'set clock', at: 1, ahead: 3600 },
  { do: 'time passes', at: 0, seconds: 100 },
  { do: 'set clock', at: 1, ahead: 0 },
  { do: 'time passes', at: 0, seconds: 500 },
  { do: 'time passes', at: 0, seconds: 500 },
]

describe('two processes with clocks that jump and drift', () => {
  test('order sign-ins and logouts rightly, and lose no session that is in use', async t => {
    let run = 0
    const sequences = 150 * scale
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 25 }), async steps => {
        run += 1
        moved = 0
        for (const process of processes) process.ahead = 0
        await redis.command('FLUSHALL')
        await new World(`user ${run}`).run(steps)
      }),
      { numRuns: sequences, examples: [[setBack]] },
    )
    t.diagnostic(`${sequences} sequences`)
  })
})
