import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { findTool } from '../tools/ensure-tools.mjs'

/** A real Redis, started for a test and owned by it. Nothing of it is left after `stop`. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Runs one command on a connection of its own, which stays logged in when the password changes. */
  command(name: string, ...args: (string | number)[]): Promise<unknown>
  /** CONFIG SET. */
  config(name: string, value: string | number): Promise<void>
  /** SIGSTOP: connections stay open and nothing is answered any more. */
  pause(): void
  resume(): void
  /** SIGKILL, and a new process without the data on the same port. */
  restart(): Promise<void>
  /** SIGKILL, keeping the port for {@link restart}. */
  kill(): Promise<void>
  stop(): Promise<void>
  /** Every key and every value, as one searchable whole. */
  contents(): Promise<Buffer>
}

export interface RedisServerSettings {
  /** Defaults to an unused one. */
  readonly port?: number
  /** More command line arguments, such as `['--maxmemory', '4mb']`. */
  readonly args?: readonly string[]
}

const running = new Set<ChildProcess>()
let isWatched = false
export async function startRedis({ port = 0, args = [] }: RedisServerSettings = {}): Promise<RedisServer> {
  const directory = mkdtempSync(join(tmpdir(), 'redis-'))
  const usedPort = port === 0 ? await unusedPort() : port
  const url = `redis://127.0.0.1:${usedPort}`
  const launch = () => launchRedis(directory, ['--port', String(usedPort), ...args])
  let child = await launch()
  const admin = new Redis(url, { lazyConnect: true, maxRetriesPerRequest: 2, retryStrategy: () => 50 })
  admin.on('error', () => {})

  const kill = () => end(child)
  return {
    port: usedPort,
    url,
    command: (name, ...values) => admin.call(name, ...values),
    async config(name, value) {
      await admin.call('CONFIG', 'SET', name, value)
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    kill,
    async restart() {
      await kill()
      child = await launch()
    },
    async stop() {
      admin.disconnect()
      await kill()
      rmSync(directory, { recursive: true, force: true })
    },
    contents: () => readEverything(admin),
  }
}

export interface ClusterSetup {
  /** Primaries, and the replica of the first, if there is one. */
  readonly nodes: readonly RedisServer[]
  stop(): Promise<void>
}

/** Three primaries that share all slots. */
export async function startCluster(): Promise<ClusterSetup> {
  const members = await Promise.all([startClusterNode(), startClusterNode(), startClusterNode()])
  const nodes = members.map(({ node }) => node)
  const first = nodes[0] as RedisServer
  const ranges = ['0 5460', '5461 10922', '10923 16383']
  await Promise.all(nodes.map((node, at) => node.command('CLUSTER', 'ADDSLOTSRANGE', ...(ranges[at] ?? '').split(' '))))
  for (const { node, busPort } of members.slice(1)) {
    await first.command('CLUSTER', 'MEET', '127.0.0.1', node.port, busPort)
  }
  for (const node of nodes) {
    await until('the cluster is complete', async () => {
      const info = String(await node.command('CLUSTER', 'INFO'))
      return /cluster_state:ok/.test(info) && /cluster_known_nodes:3/.test(info)
    })
  }
  return {
    nodes,
    async stop() {
      await Promise.all(nodes.map(node => node.stop()))
    },
  }
}

/** Three primaries that share all slots, and a replica of the first as the fourth node. */
export async function startClusterWithReplica(): Promise<ClusterSetup> {
  const { nodes, stop } = await startCluster()
  const [first] = nodes as [RedisServer]
  const { node: replica, busPort } = await startClusterNode()
  await first.command('CLUSTER', 'MEET', '127.0.0.1', replica.port, busPort)
  const id = String(await first.command('CLUSTER', 'MYID'))
  await until('it is a replica', () =>
    replica.command('CLUSTER', 'REPLICATE', id).then(
      () => true,
      () => false,
    ),
  )
  for (const node of nodes) {
    await until('every node knows the replica in sync', async () => {
      const isKnown = String(await node.command('CLUSTER', 'NODES')).includes(`slave ${id}`)
      return isKnown && String(await replica.command('INFO', 'replication')).includes('master_link_status:up')
    })
  }
  return {
    nodes: [...nodes, replica],
    async stop() {
      await Promise.all([stop(), replica.stop()])
    },
  }
}

export interface SentinelSetup {
  /** The name the primary is known by. */
  readonly name: string
  readonly sentinels: readonly { readonly host: string; readonly port: number }[]
  readonly primary: RedisServer
  readonly replica: RedisServer
  readonly replicas: readonly RedisServer[]
  /** A planned fail-over, as an operator begins it. */
  failOver(): Promise<void>
  stop(): Promise<void>
}

/** A primary, replicas in sync with it, and sentinels that promote one about a second after the primary is gone. */
export async function startSentinel({
  replicas: replicaCount = 1,
  sentinels: sentinelCount = 1,
} = {}): Promise<SentinelSetup> {
  const name = 'main'
  const primary = await startRedis()
  const replicas = await Promise.all(
    Array.from({ length: replicaCount }, () => startRedis({ args: ['--replicaof', `127.0.0.1 ${primary.port}`] })),
  )
  for (const replica of replicas) {
    await until('the replica is in sync', async () =>
      String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    )
  }
  const quorum = Math.floor(sentinelCount / 2) + 1
  const sentinels = await Promise.all(
    Array.from({ length: sentinelCount }, () => startOneSentinel(name, primary, quorum)),
  )
  for (const { admin } of sentinels) {
    await until('the sentinel knows the replicas and the other sentinels', async () => {
      const known = String(await admin.call('SENTINEL', 'REPLICAS', name))
      const others = (await admin.call('SENTINEL', 'SENTINELS', name)) as unknown[]
      return replicas.every(({ port }) => known.includes(String(port))) && others.length === sentinelCount - 1
    })
  }
  return {
    name,
    sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    primary,
    replica: replicas[0] as RedisServer,
    replicas,
    async failOver() {
      await until('the sentinel agrees', () =>
        (sentinels[0]?.admin.call('SENTINEL', 'FAILOVER', name) ?? Promise.reject()).then(
          () => true,
          () => false,
        ),
      )
    },
    async stop() {
      await Promise.all([...sentinels.map(({ stop }) => stop()), primary.stop(), ...replicas.map(({ stop }) => stop())])
    },
  }
}

async function startOneSentinel(name: string, primary: RedisServer, quorum: number) {
  const directory = mkdtempSync(join(tmpdir(), 'sentinel-'))
  const port = await unusedPort()
  const lines = [
    `sentinel monitor ${name} 127.0.0.1 ${primary.port} ${quorum}`,
    `sentinel down-after-milliseconds ${name} 500`,
    `sentinel failover-timeout ${name} 3000`,
  ]
  writeFileSync(join(directory, 'sentinel.conf'), `${lines.join('\n')}\n`)
  const child = await launch(directory, [
    join(directory, 'sentinel.conf'),
    '--sentinel',
    '--port',
    String(port),
    ...['--bind', '127.0.0.1', '--dir', directory],
  ])
  const admin = new Redis(port, '127.0.0.1')
  admin.on('error', () => {})
  return {
    port,
    admin,
    async stop() {
      admin.disconnect()
      await end(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/**
 * Waits for something that happens soon, and fails loudly when it does not.
 * @param describe what else is to be known when it did not happen
 */
export async function until(
  what: string,
  holds: () => Promise<boolean> | boolean,
  { patience = 30_000, describe }: { readonly patience?: number; readonly describe?: () => Promise<string> } = {},
): Promise<void> {
  for (let attempt = 0; attempt < patience / 50; attempt += 1) {
    if (await holds()) return
    await sleep(50)
  }
  throw new Error(`it never came to this: ${what}${describe ? `\n${await describe()}` : ''}`)
}

async function startClusterNode(): Promise<{ readonly node: RedisServer; readonly busPort: number }> {
  const busPort = await unusedPort()
  const node = await startRedis({
    args: ['--cluster-enabled', 'yes', '--cluster-port', String(busPort), '--cluster-node-timeout', '2000'],
  })
  return { node, busPort }
}

function launchRedis(directory: string, args: readonly string[]): Promise<ChildProcess> {
  return launch(directory, ['--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', directory, ...args])
}

async function launch(directory: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(findTool('redis-server') ?? 'redis-server', args, {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  endWithThisProcess()
  running.add(child)
  child.once('exit', () => running.delete(child))
  const output = child.stdout
  if (output === null) throw new Error('redis-server has no output')
  let text = ''
  for await (const chunk of output) {
    text += String(chunk)
    if (/Ready to accept connections|Sentinel ID is/.test(text)) break
  }
  if (child.exitCode !== null || !/Ready to accept|Sentinel ID/.test(text))
    throw new Error(`redis-server ended: ${text}`)
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

export async function unusedPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function readEverything(admin: Redis): Promise<Buffer> {
  const parts: Buffer[] = []
  for (const key of await admin.keys('*')) {
    const type = await admin.type(key)
    parts.push(Buffer.from(key))
    if (type === 'hash') {
      for (const [field, value] of Object.entries(await admin.hgetallBuffer(key))) parts.push(Buffer.from(field), value)
    } else if (type === 'zset') parts.push(...(await admin.zrangeBuffer(key, '0', '-1')))
    else parts.push((await admin.getBuffer(key)) ?? Buffer.alloc(0))
    parts.push((await admin.dumpBuffer(key)) ?? Buffer.alloc(0))
  }
  return Buffer.concat(parts.flatMap(part => [part, Buffer.of(10)]))
}

function endWithThisProcess(): void {
  if (isWatched) return
  isWatched = true
  process.on('exit', () => {
    for (const child of running) child.kill('SIGKILL')
  })
  // A test runner that gives a file up ends it by signal, and then nothing is said at the exit.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
}
