import { randomBytes } from 'node:crypto'
import { OidcError } from '../errors.js'
import { isRecord } from '../protocol/json.js'
import { isLoopback } from '../protocol/url.js'
import type { Backend } from '../store/backend/backend.js'
import { CLUSTER_REMEDY, isNodeOfCluster } from '../store/backend/cluster-node.js'
import { createBackend } from '../store/backend/create-backend.js'
import { isOfNodeRedis, type NodeRedisClient } from '../store/backend/node-redis-client.js'
import {
  createRedisClient,
  type OwnedRedisClient,
  primariesOf,
  type RedisClient,
} from '../store/backend/redis-client.js'
import { reasonOf, withDeadline } from '../store/backend/unavailable.js'
import { type Finding, failure, good, info, warning } from './finding.js'
import { describeServer } from './redis-info.js'
import type { Setup } from './setup.js'

/** Milliseconds for the first connection. */
const CONNECT_TIMEOUT = 5000

/** Pings by which the latency is measured, and milliseconds from which on it is worth a warning. */
const PINGS = 21
const SLOW = 10

/** Seconds that the clocks of Redis and of this machine may differ without a word. */
const CLOCK_DIFFERENCE = 5

/** The store: whether it is there, may be used, keeps what it is given, and responds soon. */
export async function checkRedis({ store, config }: Setup): Promise<readonly Finding[]> {
  const { redis } = store
  if (redis === undefined) {
    const cause = 'Sessions are kept in the memory of one process: a restart ends them. In production this is refused.'
    return [info('redis.none', 'No Redis is set.', { cause, remedy: 'Set redis or REDIS_URL before production.' })]
  }
  if (isOfNodeRedis(redis)) return examineNodeRedis(redis, { store, config })
  if (typeof redis !== 'string') return examine(redis, { store, config })
  const client = createRedisClient(redis)
  try {
    const reason = await connect(client)
    if (reason !== undefined) return [describeUnreachable(reason)]
    return [...checkTransport(new URL(redis)), ...(await examine(client, { store, config }))]
  } finally {
    client.disconnect()
  }
}

async function examineNodeRedis(
  source: NodeRedisClient,
  setup: Pick<Setup, 'store' | 'config'>,
): Promise<readonly Finding[]> {
  const { adaptNodeRedis } = await import('../store/backend/node-redis-adapter.js')
  const client = adaptNodeRedis(source)
  try {
    return await examine(client, setup)
  } finally {
    client.release()
  }
}

/** Resolves with the reason where there is no connection. */
function connect(client: OwnedRedisClient): Promise<string | undefined> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve('timeout'), CONNECT_TIMEOUT)
    const end = (reason: string | undefined) => {
      clearTimeout(timer)
      resolve(reason)
    }
    client.on('ready', () => end(undefined))
    client.on('error', error => end(reasonOf(error)))
  })
}

function describeUnreachable(reason: string): Finding {
  const isPassword = reason === 'WRONGPASS' || reason === 'NOAUTH'
  const remedy = isPassword
    ? 'Correct the user name and the password in the URL: redis://user:password@host:6379.'
    : 'Start Redis, or correct its address in redis or REDIS_URL; rediss:// is for TLS.'
  const sentence = isPassword ? 'Redis does not accept the password.' : 'Redis cannot be reached.'
  return failure(isPassword ? 'redis.password' : 'redis.unavailable', sentence, { cause: reason, remedy })
}

function checkTransport(url: URL): readonly Finding[] {
  if (url.protocol === 'rediss:' || isLoopback(url)) return []
  const cause = 'Session data and tokens are encrypted; session keys, the password of Redis and times are not.'
  return [
    info('redis.plain', 'The connection to Redis is not encrypted.', {
      cause,
      remedy: 'Use rediss:// outside a private network.',
    }),
  ]
}

async function examine(
  client: RedisClient,
  { store, config }: Pick<Setup, 'store' | 'config'>,
): Promise<readonly Finding[]> {
  const backend = createBackend(
    { redis: client, prefix: store.prefix ?? 'oidc:', timeout: config.timeouts.redis, log: () => {} },
    () => config.now().getTime(),
  )
  try {
    const info = await readInfo(client)
    const prefix = store.prefix ?? 'oidc:'
    const isNode = await withDeadline('cluster', CONNECT_TIMEOUT, () => isNodeOfCluster(client, prefix))
    if (isNode) return [...describeServer(info), describeClusterNode()]
    return [
      ...describeServer(info),
      ...(await checkCommands(backend, prefix)),
      ...(await checkLatency(backend)),
      ...(await checkClock(backend, config.now)),
    ]
  } catch (error) {
    if (!(error instanceof OidcError)) throw error
    return [describeCommand(error)]
  }
}

function describeClusterNode(): Finding {
  return failure('redis.cluster', 'redis leads to one node of a Redis Cluster.', {
    cause: 'A client for one node is refused (MOVED) for most keys.',
    remedy: sentenceOf(CLUSTER_REMEDY),
  })
}

function sentenceOf(text: string): string {
  return `${text[0]?.toUpperCase()}${text.slice(1)}.`
}

/** All sections of all primaries. Hosted services allow INFO, too; without it the checks that need it say nothing. */
async function readInfo(client: RedisClient): Promise<string> {
  const ask = (node: RedisClient) => (node as { info?(): Promise<string> }).info?.() ?? ''
  const asked = async () => Promise.all(primariesOf(client).map(node => ask(node)))
  const texts = await withDeadline('info', CONNECT_TIMEOUT, asked).catch(() => [])
  return texts.join('\n').replaceAll('\r', '')
}

/** Does with a record of its own what the middleware does with sessions, so that a command which is not allowed is found. */
async function checkCommands(backend: Backend, prefix: string): Promise<readonly Finding[]> {
  const id = randomBytes(16).toString('hex')
  const [record, text, mark, members] = ['r', 't', 'm', 'i'].map(kind => `${prefix}doctor:${kind}${id}`) as [
    string,
    string,
    string,
    string,
  ]
  const now = Math.floor(Date.now() / 1000)
  const steps: readonly (() => Promise<unknown>)[] = [
    () => backend.create(record, { s: 'doctor' }, 60),
    () => backend.read(record, ['s']),
    () => backend.extend(record, now, 60),
    () => backend.remove(record),
    () => backend.setText(text, 'doctor', 60),
    () => backend.getText(text),
    () => backend.consume(mark, 60),
    () => backend.removeMark(mark),
    () => backend.addMember(members, 'doctor', now + 60, now),
    () => backend.members(members, now),
    () => backend.removeMember(members, 'doctor'),
    () => backend.keys(`${prefix}doctor:`, 33),
    () => backend.time(),
  ]
  for (const step of steps) await step()
  await backend.removeMark(text)
  return [good('redis.commands', 'Redis accepts every kind of command that sessions need.')]
}

function describeCommand(error: OidcError): Finding {
  const { command = 'a command', reason = 'unknown' } = (isRecord(error.cause) ? error.cause : {}) as {
    readonly command?: string
    readonly reason?: string
  }
  const remedies: Readonly<Record<string, string>> = {
    NOPERM: 'Allow the commands and the keys of docs/deployment.md to this user of Redis (ACL).',
    OOM: 'Give Redis more memory: it is full and refuses new sessions.',
    READONLY: 'Give the address of the primary: this is a replica.',
    MOVED: sentenceOf(CLUSTER_REMEDY),
    NOSCRIPT: 'Scripts (EVAL, EVALSHA) must be allowed.',
  }
  return failure('redis.command', `Redis refused the command "${command}".`, {
    cause: reason,
    remedy: remedies[reason] ?? 'Check that this server is Redis or Valkey, and responds within timeouts.redis.',
  })
}

async function checkLatency(backend: Backend): Promise<readonly Finding[]> {
  const times: number[] = []
  for (let count = 0; count < PINGS; count++) {
    const start = performance.now()
    await backend.ping()
    times.push(performance.now() - start)
  }
  const median = times.sort((a, b) => a - b)[Math.floor(PINGS / 2)] ?? 0
  const figure = `${median < 10 ? median.toFixed(1) : Math.round(median)} ms`
  if (median < SLOW) return [good('redis.latency', `Redis responds in ${figure}.`)]
  const cause = 'Every page of a signed-in user waits for Redis once.'
  return [warning('redis.latency', `Redis responds in ${figure}.`, { cause, remedy: 'Run Redis near the site.' })]
}

async function checkClock(backend: Backend, now: () => Date): Promise<readonly Finding[]> {
  const seconds = Math.round((await backend.time()) / 1_000_000 - now().getTime() / 1000)
  if (Math.abs(seconds) <= CLOCK_DIFFERENCE) return []
  const sentence = `The clock of Redis is ${Math.abs(seconds)} seconds ${seconds > 0 ? 'ahead of' : 'behind'} that of this machine.`
  return [warning('redis.clock', sentence, { remedy: 'Set both clocks by NTP.' })]
}
