import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** Milliseconds after which a client gives up. */
export const CLIENT_PATIENCE = 15_000

export interface Answer {
  /** 0: the connection broke, or nothing came in time. */
  readonly status: number
  readonly body: string
  readonly setCookie: readonly string[]
}

export interface Ask {
  readonly url: string
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const sockets = new Agent({ keepAlive: true, maxSockets: 1000 })

export function ask({ url, method = 'GET', headers = {}, body }: Ask): Promise<Answer> {
  return new Promise(resolve => {
    const lost = () => resolve({ status: 0, body: '', setCookie: [] })
    const signal = AbortSignal.timeout(CLIENT_PATIENCE)
    const outgoing = request(url, { method, headers, agent: sockets, signal }, async response => {
      try {
        const chunks: Buffer[] = []
        for await (const chunk of response) chunks.push(chunk as Buffer)
        const setCookie = response.headers['set-cookie'] ?? []
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString(), setCookie })
      } catch {
        lost()
      }
    })
    outgoing.on('error', lost)
    outgoing.end(body)
  })
}

/** What a client saw that asks for the same thing again and again. */
export interface Watch {
  /** Ends after the request that is under way. */
  stop(): Promise<void>
  /** Answers by status. */
  readonly statuses: ReadonlyMap<number, number>
  /** Milliseconds of the monotonic clock at which the last good answer came. */
  readonly lastGood: number
  /** Seconds between two good answers, at most, without the pause between two requests. */
  readonly longest: number
}

/** @param attempt resolves to a status; 2xx is good */
export function watch(attempt: () => Promise<number>, pause: number): Watch {
  const statuses = new Map<number, number>()
  let isOver = false
  let lastGood = performance.now()
  let longest = 0
  const noteGap = () => {
    longest = Math.max(longest, (performance.now() - lastGood - pause) / 1000)
  }
  const running = (async () => {
    while (!isOver) {
      const status = await attempt().catch(() => 0)
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      noteGap()
      if (status >= 200 && status < 300) lastGood = performance.now()
      await sleep(pause)
    }
  })()
  return {
    async stop() {
      isOver = true
      await running
    },
    statuses,
    get lastGood() {
      return lastGood
    },
    get longest() {
      return longest
    },
  }
}
