import { setTimeout as sleep } from 'node:timers/promises'
import type { Instance } from './fleet.js'
import { type EndEvent, openSocket, openStream, statusOf, type WatchedFleet } from './watched-fleet.js'

/** How long it took until everything of a user was over. Milliseconds from before the event was sent. */
export interface EndFigures {
  readonly event: EndEvent
  /** Sessions of the user who is meant, each with one open socket. */
  readonly ended: number
  /** Sessions in Redis at that time. */
  readonly total: number
  /** Until the provider has its response. */
  readonly response: number
  /** Until the last of the sessions that are asked about all the time has got its first 401. */
  readonly last401: number
  readonly lastSocket: number
  /** Sessions that got the page when all of them were asked after the response. */
  readonly stillIn: number
}

/** Sessions that are asked about all the time, and the milliseconds between two requests of each. */
const ASKED = 30
const PAUSE = 25
/** Seconds until it is given up. */
const PATIENCE = 60
/** Requests, or openings, that are under way at once. */
const AT_ONCE = 50

const pick = <T>(items: readonly T[], at: number): T => items[at % items.length] as T

async function inTurn<T, U>(items: readonly T[], work: (item: T, at: number) => Promise<U>): Promise<U[]> {
  const results: U[] = []
  for (let at = 0; at < items.length; at += AT_ONCE)
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map((item, more) => work(item, at + more)))))
  return results
}

/** Opens a socket for each session: streams and WebSockets, at each of the processes. @returns when the last of them was closed */
export async function openAll(
  instances: readonly Instance[],
  cookies: readonly string[],
): Promise<() => Promise<number>> {
  let last = 0
  const opened = await inTurn(cookies, async (cookie, at) => {
    const instance = pick(instances, at)
    const { closed } = await (at % 2 === 0 ? openStream(instance, cookie) : openSocket(instance, cookie))
    const noted = closed.then(() => {
      last = performance.now()
    })
    return { noted }
  })
  return async () => {
    await Promise.all(opened.map(({ noted }) => noted))
    return last
  }
}

/** When a session gets its first 401, at whichever of the processes. */
async function first401(instances: readonly Instance[], cookie: string, signal: AbortSignal): Promise<number> {
  for (let at = 0; !signal.aborted; at += 1) {
    if ((await statusOf(pick(instances, at), cookie)) === 401) return performance.now()
    await sleep(PAUSE)
  }
  throw new Error('a session has not ended')
}

export interface Measured {
  readonly event: EndEvent
  readonly sub: string
  /** Those of the user. */
  readonly cookies: readonly string[]
  readonly total: number
  /** From {@link openAll}. */
  readonly closed: () => Promise<number>
}

export async function measureEnd(
  fleet: WatchedFleet,
  { event, sub, cookies, total, closed }: Measured,
  patience = PATIENCE,
): Promise<EndFigures> {
  const { instances } = fleet
  const step = Math.max(1, Math.floor(cookies.length / ASKED))
  const asked = cookies.filter((_, at) => at % step === 0)
  const signal = AbortSignal.timeout(patience * 1000)
  const refused = Promise.all(asked.map(cookie => first401(instances, cookie, signal)))
  const start = performance.now()
  const status = await fleet.end(event, sub, pick(instances, 0))
  const responded = performance.now()
  if (status !== 202 && status !== 204) throw new Error(`${event}: the site responded with ${status}`)
  const last401 = Math.max(...(await refused))
  const lastSocket = await closed()
  const statuses = await inTurn(cookies, (cookie, at) => statusOf(pick(instances, at), cookie))
  return {
    ...{ event, ended: cookies.length, total },
    ...{ response: responded - start, last401: last401 - start, lastSocket: lastSocket - start },
    stillIn: statuses.filter(status => status === 200).length,
  }
}

/** Markdown. */
export function formatEnds(rows: readonly { readonly mode: string; readonly figures: EndFigures }[]): string {
  const names = [
    ...['event', 'sessions of the user', 'of', 'open sockets are told by'],
    ...['last 401', 'response to the sender', 'last socket closed', 'still signed in'],
  ]
  const milliseconds = (value: number) => `${Math.round(value)} ms`
  const lines = rows.map(({ mode, figures: { event, ended, total, response, last401, lastSocket, stillIn } }) => [
    ...[event, ended.toLocaleString('en'), total.toLocaleString('en'), mode],
    ...[last401, response, lastSocket].map(milliseconds),
    String(stillIn),
  ])
  return [names, names.map(() => '---'), ...lines].map(line => `| ${line.join(' | ')} |`).join('\n')
}
