import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'

/** A redis-server that belongs to this process. */
export interface OwnRedis {
  readonly url: string
  close(): void
}

/** How long redis-server may take to come up. It needs some milliseconds. */
const startTimeout = 5_000

/**
 * Starts a redis-server on a free loopback port, without persistence and with a password of its own: the port is open to
 * every user of this machine.
 *
 * @returns `undefined` when the machine has no redis-server or it does not start.
 */
export async function startRedis(): Promise<OwnRedis | undefined> {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const port = await findFreePort()
  const password = randomBytes(24).toString('base64url')
  const child = spawnGuarded(['bind 127.0.0.1', `port ${port}`, `requirepass ${password}`, 'save ""', 'appendonly no'])
  const close = () => void child.stdin?.end()
  if (await isReady(child)) return { url: `redis://:${password}@127.0.0.1:${port}`, close }
  close()
  return undefined
}

/**
 * The shell waits for the end of its standard input, and that comes when we close it or when this process ends in whatever
 * way: no redis-server is left behind, not even by a crash. The configuration goes in through the environment, because
 * arguments can be read by every user of the machine.
 */
function spawnGuarded(configuration: readonly string[]): ChildProcess {
  const script = 'printf "%s" "$CONFIGURATION" | redis-server - & redis=$!; cat > /dev/null; kill $redis; wait $redis'
  return spawn('sh', ['-c', script], {
    env: { PATH: process.env.PATH, CONFIGURATION: configuration.join('\n') },
    cwd: '/',
    stdio: ['pipe', 'pipe', 'ignore'],
    // A process group of its own: Ctrl-C in the terminal should end the site first and Redis after it.
    detached: true,
  })
}

function isReady(child: ChildProcess): Promise<boolean> {
  return new Promise(resolve => {
    const timer = setTimeout(() => resolve(false), startTimeout)
    let output = ''
    const settle = (ready: boolean) => {
      clearTimeout(timer)
      resolve(ready)
    }
    child.once('error', () => settle(false))
    child.stdout?.on('data', (chunk: Buffer) => {
      output = (output + chunk).slice(-4096)
      if (output.includes('Ready to accept connections')) settle(true)
      if (output.includes('Failed listening')) settle(false)
    })
  })
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}
