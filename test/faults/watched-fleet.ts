import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import type { OidcOptions } from '../../lib/index.js'
import { createRecordStore } from '../../lib/store/store.js'
import { type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { type RedisServer, startRedis, until } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { openWebSocket } from '../support/web-socket.js'
import { ask } from './fault-clients.js'
import { type Instance, startInstance } from './fleet.js'

/** Three processes of a site whose sockets end with their sessions, a Redis, and a provider that says when. */
export interface WatchedFleet {
  readonly redis: RedisServer
  readonly provider: HostileProvider
  /** One more process. */
  start(options?: { readonly ahead?: number }): Promise<Instance>
  readonly instances: readonly Instance[]
  /** Waits until this many processes are told what is published. */
  areTold(processes: number): Promise<void>
  /** Begins sessions. @returns their cookies, as a request has them */
  signIn(sub: string, count: number): Promise<readonly string[]>
  /** Ends the sessions of a user in Redis, without any of the processes. */
  remove(sub: string): Promise<number>
  /** Has the provider end the sessions of a user, at one of the processes. Resolves to the status of the response; 0: there was none. */
  end(how: EndEvent, sub: string, at: Instance): Promise<number>
  close(): Promise<void>
}

export type EndEvent = 'global revocation' | 'CAEP session-revoked'

export interface FleetOptions {
  /** Whether the site may subscribe to what Redis publishes. Default `true`. */
  readonly isTold?: boolean
  readonly processes?: number
  /** Is stopped with the fleet. Default: one without persistence. */
  readonly redis?: RedisServer
  /** Where the processes find Redis. Default: where it is. */
  readonly redisPort?: number
}

const BASE_URL = 'http://localhost:8080'
const program = fileURLToPath(new URL('./watching-site-process.ts', import.meta.url))
const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const now = () => Math.floor(Date.now() / 1000)
/** Sign-ins under way at once. */
const BATCH = 100

export async function openWatchedFleet(options: FleetOptions = {}): Promise<WatchedFleet> {
  const { isTold = true, processes = 3 } = options
  const redis = options.redis ?? (await startRedis())
  const provider = await startHostileProvider({ alg: 'ES256' })
  const { issuer, clientId, clientSecret } = provider
  const rules = isTold ? [] : ['-subscribe']
  await redis.command('ACL', 'SETUSER', 'site', 'on', '>pass-word', '~*', '&*', '+@all', ...rules)
  const url = `redis://site:pass-word@127.0.0.1:${options.redisPort ?? redis.port}`
  const siteSecret = secret('site secret')
  const oidc: OidcOptions = {
    ...{ issuer, clientId, clientSecret, baseUrl: BASE_URL, secret: siteSecret, redis: url },
    timeouts: { redis: 5_000 },
    idTokenAlgorithm: 'ES256',
    routes: { revocation: '/revoke', signals: '/signals' },
  }
  const all: Instance[] = []
  const start = async ({ ahead = 0 } = {}) => {
    const instance = await startInstance({ program, oidc, ahead })
    all.push(instance)
    return instance
  }
  const instances = await Promise.all(Array.from({ length: processes }, () => start()))
  const store = createRecordStore({
    ...{ redis: redis.url, secrets: [siteSecret], realm: JSON.stringify([issuer, clientId]), timeout: 10_000 },
    ...{ idle: 3600, absolute: 36_000, now: () => new Date(), log: () => {} },
  })

  async function signInOne(sub: string): Promise<string> {
    const times = { signedInAt: now(), expiresAt: now() + 36_000 }
    const ticket = { issuer, subject: sub, claims: { sub }, scope: 'openid', ...times }
    const tokens = { scope: 'openid', accessToken: secret('access token') }
    const id = await store.signIn({ ticket, tokens, previous: [], keep: [] })
    return `sid=${store.sealer.signId(id)}`
  }

  return {
    redis,
    provider,
    start,
    instances,
    areTold: processes =>
      until(`${processes} processes have subscribed`, async () => {
        const [, count] = (await redis.command('PUBSUB', 'NUMSUB', 'oidc:ended')) as [string, number]
        return count === processes
      }),
    async signIn(sub, count) {
      const cookies: string[] = []
      while (cookies.length < count) {
        const batch = Math.min(BATCH, count - cookies.length)
        cookies.push(...(await Promise.all(Array.from({ length: batch }, () => signInOne(sub)))))
      }
      return cookies
    },
    remove: sub => store.endAll({ issuer, subject: sub }, { reason: 'revoked' }),
    async end(how, sub, { url: at }) {
      const shared = { iss: issuer, iat: now(), jti: secret('event id') }
      const subject = { format: 'iss_sub', iss: issuer, sub }
      if (how === 'global revocation') {
        const claims = { ...shared, aud: `${BASE_URL}/revoke`, exp: now() + 300 }
        const token = await provider.keys.sign(claims, undefined, 'global-token-revocation+jwt')
        const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
        const body = JSON.stringify({ sub_id: subject })
        return post(`${at}/revoke`, headers, body)
      }
      const claims = { ...shared, aud: clientId, sub_id: subject, events: { [SESSION_REVOKED]: {} } }
      const body = await provider.keys.sign(claims, undefined, 'secevent+jwt')
      const headers = { 'content-type': 'application/secevent+jwt' }
      return post(`${at}/signals`, headers, body)
    },
    async close() {
      await Promise.all(all.map(instance => instance.kill()))
      await store.close()
      await redis.stop()
      await provider.close()
    },
  }
}

const post = (url: string, headers: Readonly<Record<string, string>>, body: string) =>
  send({ url, method: 'POST', headers, body }).then(
    ({ status }) => status,
    () => 0,
  )

/** What was opened, and what is known of its end. */
export interface Opened {
  /** What the site has said last, and `undefined` where it has said nothing: its process was killed. */
  readonly closed: Promise<string | undefined>
}

/** A stream of server-sent events. Resolves when it has begun. */
export function openStream({ port }: Instance, cookie: string): Promise<Opened> {
  return new Promise((resolve, reject) => {
    const sent = request({ port, host: '127.0.0.1', path: '/events', headers: { cookie }, agent: false }, response => {
      if (response.statusCode !== 200) return reject(new Error(`the stream was refused with ${response.statusCode}`))
      let text = ''
      response.on('data', chunk => (text += String(chunk)))
      const closed = new Promise<string | undefined>(end => {
        response.on('close', () => end(/^event: end\ndata: (.*)$/m.exec(text)?.[1]))
      })
      response.on('error', () => undefined)
      resolve({ closed })
    })
    sent.on('error', reject)
    sent.end()
  })
}

export async function openSocket({ port }: Instance, cookie: string): Promise<Opened> {
  const { closed } = await openWebSocket(port, cookie)
  return { closed: closed.then(([code, reason]) => (code === 4401 ? reason : undefined)) }
}

/** How a page of the site responds to a session at one of the processes. */
export async function statusOf({ url }: Instance, cookie: string): Promise<number> {
  return (await ask({ url: `${url}/claims`, headers: { cookie, accept: 'application/json' } })).status
}
