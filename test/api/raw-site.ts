import { connect } from 'node:net'
import type { Express } from 'express'
import type { ProxyOptions } from '../../lib/index.js'
import { type Agent, createAgent } from '../support/agent.js'
import { type RawApi, startRawApi } from '../support/raw-api.js'
import { startTokenFixture, type TokenFixture } from '../tokens/token-fixture.js'

/** A signed-in user who sends raw bytes to the site. */
export interface RawUser {
  readonly agent: Agent
  readonly cookie: string
  readonly token: string
  /** The lines without which no call is forwarded. */
  readonly lines: readonly string[]
}

export interface RawSite extends TokenFixture {
  readonly api: RawApi
  readonly port: number
  /** Signs in with a browser of its own. */
  user(): Promise<RawUser>
}

/** A site with a proxy at `/api`, in front of an API that writes down bytes and connections. */
export async function startRawSite(
  options: Partial<ProxyOptions> & { readonly before?: (app: Express) => void } = {},
): Promise<RawSite> {
  const { before, ...proxyOptions } = options
  const api = await startRawApi()
  let handler: ReturnType<TokenFixture['site']['oidc']['proxy']> | undefined
  const site = await startTokenFixture({
    oidc: { routes: { user: '/me', token: '/my-token' } },
    routes(app) {
      before?.(app)
      app.use((req, res, next) => {
        handler ??= site.site.oidc.proxy('/api', { target: `${api.origin}/v1`, ...proxyOptions })
        return handler(req, res, next)
      })
    },
  })
  return {
    ...site,
    api,
    port: Number(new URL(site.site.url).port),
    async user() {
      const agent = createAgent({ now: () => site.now() * 1000 })
      await agent.visit(`${site.site.url}/claims`)
      const token = (await agent.fetch(`${site.site.url}/fresh`)).json<{ value: string }>().value
      const cookie = agent
        .cookies(site.site.url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      return { agent, cookie, token, lines: ['Host: localhost', 'X-CSRF: 1', `Cookie: ${cookie}`] }
    },
    async close() {
      await site.close()
      await api.close()
    },
  }
}

export interface RawResponses {
  /** Everything that came back. */
  readonly text: string
  readonly statuses: readonly number[]
}

/**
 * Sends bytes and reads until `count` responses have come whole, or the server has closed. With `end`, the first
 * response, or a moment without one, is followed by the end of what is sent, and then everything is read until the server has closed.
 */
export function sendBytes(
  port: number,
  bytes: string,
  count: number | { readonly end: true } = 1,
): Promise<RawResponses> {
  return new Promise(resolve => {
    let text = ''
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(bytes, 'latin1')
      if (typeof count !== 'number') setTimeout(() => socket.end(), 150)
    })
    const timer = setTimeout(() => socket.destroy(), 10_000)
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      if (wholeResponses(text, bytes.startsWith('HEAD ')).length < (typeof count === 'number' ? count : 1)) return
      if (typeof count === 'number') socket.destroy()
      else socket.end()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve({
        text,
        statuses: [...text.matchAll(/(?:^|\r\n|[^\r\n])HTTP\/1\.1 (\d{3})/g)].map(match => Number(match[1])),
      })
    })
  })
}

/** Responses with a length or in chunks, one behind the other. The first one has no body where HEAD asked for it. */
function wholeResponses(text: string, isFirstHead: boolean): readonly string[] {
  const found: string[] = []
  for (let rest = text; ; ) {
    const end = rest.indexOf('\r\n\r\n')
    if (end === -1) return found
    const head = rest.slice(0, end)
    const length = /^content-length: (\d+)$/im.exec(head)?.[1]
    let total = end + 4
    if (isFirstHead && found.length === 0) total = end + 4
    else if (length !== undefined) total += Number(length)
    else if (/^transfer-encoding: chunked$/im.test(head)) {
      const last = /(?:^|\r\n)0\r\n\r\n/.exec(rest.slice(end + 4))
      if (last === null) return found
      total += last.index + last[0].length
    } else if (!/^HTTP\/1\.1 (?:1\d\d|204|304) /.test(head)) return found
    if (rest.length < total) return found
    if (!/^HTTP\/1\.1 1/.test(head)) found.push(rest.slice(0, total))
    rest = rest.slice(total)
  }
}
