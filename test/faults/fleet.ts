import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { startLoopbackServer } from '../support/loopback-server.js'
import { checkNoSecrets } from '../support/secrets.js'
import type { SiteProcessMessage, SiteProcessSettings } from './site-process.js'

const program = fileURLToPath(new URL('./site-process.ts', import.meta.url))
const loader = import.meta.resolve('tsx')

/** One site process. */
export interface Instance {
  readonly port: number
  readonly url: string
  /** Everything it wrote. */
  output(): string
  /** SIGKILL. */
  kill(): Promise<void>
  /** SIGTERM: what is under way is finished. Resolves to the exit code. */
  drain(): Promise<number | null>
}

export interface InstanceOptions extends SiteProcessSettings {
  /** Another program than today's, such as one of an earlier version. */
  readonly program?: string
  readonly env?: NodeJS.ProcessEnv
}

export async function startInstance({
  program: file = program,
  env = {},
  ...settings
}: InstanceOptions): Promise<Instance> {
  const child: ChildProcess = fork(file, {
    execArgv: ['--expose-gc', '--import', loader],
    env: { ...process.env, ...env, SITE_PROCESS: JSON.stringify(settings) },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => (text += String(chunk)))
  const exited = once(child, 'exit')
  const first = await Promise.race([once(child, 'message'), exited.then(() => undefined)])
  if (first === undefined) throw new Error(`the site ended at once: ${text}`)
  const { port } = first[0] as SiteProcessMessage
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    checkNoSecrets(text, 'the output of a site process')
    return child.exitCode
  }
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    output: () => text,
    kill: () => end('SIGKILL').then(() => undefined),
    drain: () => end('SIGTERM'),
  }
}

/** A front that gives each request to another instance in turn, without any stickiness. */
export interface Front {
  readonly port: number
  readonly url: string
  instances: Instance[]
  /** Requests an instance took and did not answer. */
  readonly broken: number
  close(): Promise<void>
}

export async function startFront(): Promise<Front> {
  let turn = 0
  let broken = 0
  const pass = (req: IncomingMessage, res: ServerResponse): void => {
    const target = front.instances[turn++ % front.instances.length]
    if (target === undefined) return void res.writeHead(502).end('no instance')
    const { method, url, headers } = req
    const onward = forward(
      { host: '127.0.0.1', port: target.port, method, path: url, headers, agent: false },
      response => {
        res.writeHead(response.statusCode ?? 502, response.rawHeaders)
        response.on('error', () => res.destroy())
        response.pipe(res)
      },
    )
    onward.on('error', () => {
      broken += 1
      if (res.headersSent) res.destroy()
      else res.writeHead(502).end('the instance is gone')
    })
    req.pipe(onward)
  }
  const server = await startLoopbackServer(pass)
  const front: Front = {
    port: server.port,
    url: `http://localhost:${server.port}`,
    instances: [],
    get broken() {
      return broken
    },
    close: server.stop,
  }
  return front
}
