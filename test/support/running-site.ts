import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createAgent } from './agent.js'
import { until } from './redis.js'

/** A site that runs in a process of its own, as its author starts it. */
export interface RunningSite {
  readonly output: () => string
  /** Ends it by SIGTERM. Resolves with its exit code, or `null` if the signal alone has ended it. */
  stop(): Promise<number | null>
}

/** Starts Node in a folder, and waits until the address is answered. */
export async function startSiteProcess(
  folder: string,
  args: readonly string[],
  { url, env }: { readonly url: string; readonly env: NodeJS.ProcessEnv },
): Promise<RunningSite> {
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk))
  await firstResponse(url, child, () => output)
  return {
    output: () => output,
    async stop() {
      if (child.exitCode !== null) return child.exitCode
      child.kill()
      const [code] = await once(child, 'exit')
      return code
    },
  }
}

async function firstResponse(url: string, child: ChildProcess, output: () => string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await createAgent().open(url)
      return
    } catch (error) {
      if (attempt === 200 || child.exitCode !== null)
        throw new Error(`the site did not start: ${output()}`, { cause: error })
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

/** A port that was free a moment ago. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  return port
}

/** Waits for what a process writes to its standard output or error, which comes by another way than its responses, and so may come after them. */
export async function untilSaid({ output }: { output(): string }, pattern: RegExp): Promise<void> {
  await until(`the process says ${pattern}`, () => pattern.test(output()), { describe: async () => output() })
}
