import { OidcError } from '../../lib/errors.js'
import type { Services } from '../../lib/options/config.js'
import { createRecordStore } from '../../lib/store/store.js'
import { createAccessTokens } from '../../lib/tokens/access-tokens.js'
import { createLeases } from '../../lib/tokens/refresh-lease.js'
import { createRequestLimiter } from '../../lib/tokens/request-limiter.js'
import type { Revocations } from '../../lib/tokens/revocation.js'
import { secret } from '../support/secrets.js'
import { runInVirtualTime, type VirtualTime } from './virtual-time.js'

/** A provider that is away from the start, and users whose access tokens have just expired. */
export interface Outage {
  /** Sessions, each of which is asked for a token by one user. */
  readonly askers: number
  /** Seconds. */
  readonly outage: number
  /** Seconds that the provider says in `Retry-After`; left out: it refuses connections. */
  readonly retryAfter?: number
  /** Processes that share the sessions. Default: 1. */
  readonly processes?: number
  /** Seconds by which the clock of each process is ahead, in turn. Default: none. */
  readonly ahead?: readonly number[]
}

/** What came of it. */
export interface Recovery {
  /** Token requests while the provider was away. */
  readonly failed: number
  /** Token requests afterwards. */
  readonly answered: number
  /** Seconds from the return of the provider until half of the users, and until all of them have their token. */
  readonly half: number
  readonly all: number
}

export interface Comparison extends Outage {
  readonly ours: Recovery
  /** Every request of a user that needs a token asks the provider. */
  readonly everyone: Recovery
}

/** Epoch ms. Not a whole second. */
const START = 1_780_272_000_250
/** Milliseconds that the provider takes for a response, and the machine for noticing that it is away. */
const ANSWER = 20
const REFUSAL = 1
/** Milliseconds between two requests of a user who has no token yet: a twentieth of the outage, within these bounds, and up to half more or less. */
const LEAST_PATIENCE = 250
const MOST_PATIENCE = 2_000
/** Milliseconds. Users ask at multiples of it, so that there are fewer moments to go through. */
const STEP = 25
const SEED = 1

const options = { secrets: [secret('session secret')], idle: 7200, absolute: 36_000, timeout: 800, log: () => {} }
const timeouts = { provider: 10_000, redis: 800 }

type Refresh = () => Promise<{ access_token: string; token_type: string; expires_in: number }>

/** With the code of the package. */
export function recover(outage: Outage, seed = SEED): Promise<Recovery> {
  return runInVirtualTime(seed, time => simulate(time, outage, refresh => createSite(time, outage, refresh)))
}

export async function compare(outage: Outage, seed = SEED): Promise<Comparison> {
  return {
    ...outage,
    ours: await recover(outage, seed),
    everyone: await runInVirtualTime(seed, time => simulate(time, outage, async refresh => () => refresh())),
  }
}

/** @param create what the user number so-and-so asks for a token */
async function simulate(
  time: VirtualTime,
  { askers, outage, retryAfter }: Outage,
  create: (refresh: Refresh) => Promise<(asker: number) => Promise<unknown>>,
): Promise<Recovery> {
  const back = outage * 1000
  const patience = Math.max(LEAST_PATIENCE, Math.min(back / 20, MOST_PATIENCE))
  const calls = { failed: 0, answered: 0 }
  const refresh: Refresh = async () => {
    const isAway = time.now() < back
    calls[isAway ? 'failed' : 'answered'] += 1
    await time.sleep(isAway ? REFUSAL : ANSWER)
    if (!isAway) return { access_token: `second-${calls.answered}`, token_type: 'Bearer', expires_in: 3600 }
    const cause = retryAfter === undefined ? {} : { cause: { retryAfter } }
    throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'the provider is away', cause)
  }
  const ask = await create(refresh)
  const served = await Promise.all(
    Array.from({ length: askers }, async (_, asker) => {
      for (;;) {
        const isServed = await ask(asker).then(
          () => true,
          () => false,
        )
        if (isServed) return Math.max(0, time.now() - back - ANSWER) / 1000
        await time.sleep(Math.ceil((patience * (0.5 + time.random())) / STEP) * STEP)
      }
    }),
  )
  served.sort((a, b) => a - b)
  return { ...calls, half: served[Math.floor((askers - 1) / 2)] ?? 0, all: served.at(-1) ?? 0 }
}

/** The processes of a site, as lib makes them, on one store in memory. */
async function createSite(time: VirtualTime, { askers, processes = 1, ahead = [] }: Outage, refresh: Refresh) {
  const now = () => new Date(START + time.now())
  const store = createRecordStore({ ...options, now })
  const provider = { metadata: async () => ({}), refreshTokens: refresh }
  const revocations: Revocations = { inBackground() {}, async revoke() {}, async whenIdle() {} }
  const sites = Array.from({ length: processes }, (_, index) => {
    const wrong = () => new Date(now().getTime() + (ahead[index] ?? 0) * 1000)
    const site = { timeouts, hooks: {}, now: wrong, log: () => {} }
    const services = { config: site, provider, store } as unknown as Services
    return createAccessTokens({ ...services, leases: createLeases(site, createRequestLimiter(wrong)), revocations })
  })
  const second = Math.floor(START / 1000)
  const ids = await Promise.all(
    Array.from({ length: askers }, (_, asker) => {
      const times = { signedInAt: second - 3600, expiresAt: second + 32_400 }
      const ticket = { issuer: 'https://op.example.com', subject: `user ${asker}`, claims: {}, scope: '', ...times }
      const tokens = { scope: '', accessToken: 'first', refreshToken: `refresh ${asker}`, expiresAt: second - 8000 }
      return store.signIn({ ticket, tokens, previous: [], keep: [] })
    }),
  )
  let turn = 0
  return async (asker: number) => sites[turn++ % processes]?.get(ids[asker] as string)
}

const OUTAGES = [0.1, 1, 10, 120]
const ASKERS = [1, 50, 500]

/** What the table in docs/reliability.md shows. */
export function outagesOfTable(): readonly Outage[] {
  return OUTAGES.flatMap(outage =>
    ASKERS.flatMap(askers => [
      { outage, askers },
      { outage, askers, retryAfter: Math.ceil(outage) },
    ]),
  )
}

/** Markdown. */
export function formatComparisons(comparisons: readonly Comparison[]): string {
  const rows = comparisons.map(({ outage, askers, retryAfter, ours, everyone }) => {
    const cells = [`${outage} s`, askers, retryAfter === undefined ? 'none' : `${retryAfter} s`]
    const failed = [everyone.failed, ours.failed, 1]
    const times = [everyone.all, ours.half, ours.all, 0].map(seconds => `${seconds.toFixed(1)} s`)
    return [...cells, ...failed, ...times]
  })
  const head = ['outage', 'users', '`Retry-After`', 'calls in vain: every request asks', 'this package', 'ideal']
  const times = ['all served after: every request asks', 'this package: half', 'this package: all', 'ideal']
  const names = [...head, ...times]
  return [names, names.map(() => '---'), ...rows].map(line => `| ${line.join(' | ')} |`).join('\n')
}
