import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { OidcOptions } from '../../lib/index.js'
import type { HostileProvider } from '../support/hostile-provider.js'
import { secret } from '../support/secrets.js'
import type { Order, SiteProcessSettings } from './site-process.js'

/** One of several processes that serve the same site. */
export interface SiteProcess {
  readonly name: string
  readonly url: string
  /** SIGKILL, in the middle of whatever it does. */
  kill(): Promise<void>
  /** SIGSTOP: it gets no time of the processor until {@link SiteProcess.resume}. */
  pause(): void
  resume(): void
  setAhead(seconds: number): Promise<void>
}

export interface Farm {
  readonly sites: readonly SiteProcess[]
  /** Address of the site, which is that of its first process. */
  readonly url: string
  byName(name: string): SiteProcess
  /** Moves the clocks of all processes. */
  setAhead(seconds: number): Promise<void>
  close(): Promise<void>
}

/** Several processes of one site, with one Redis and one provider. */
export async function startFarm(
  count: number,
  provider: HostileProvider,
  redisUrl: string,
  options: OidcOptions = {},
): Promise<Farm> {
  const shared = {
    issuer: provider.issuer,
    clientId: provider.clientId,
    clientSecret: provider.clientSecret,
    scope: 'openid profile offline_access',
    redis: redisUrl,
    ...options,
    secret: secret('session secret'),
  }
  const first = await startProcess({ name: 'p0', oidc: shared })
  const more = Array.from({ length: count - 1 }, (_, at) =>
    startProcess({ name: `p${at + 1}`, oidc: { ...shared, baseUrl: first.url } }),
  )
  const sites = [first, ...(await Promise.all(more))]
  return {
    sites,
    url: first.url,
    byName(name) {
      const site = sites.find(candidate => candidate.name === name)
      if (site === undefined) throw new Error(`there is no process ${name}`)
      return site
    },
    async setAhead(seconds) {
      await Promise.all(sites.map(site => site.setAhead(seconds)))
    },
    async close() {
      await Promise.all(sites.map(site => site.kill()))
    },
  }
}

async function startProcess(settings: SiteProcessSettings): Promise<SiteProcess> {
  const child = fork(fileURLToPath(new URL('./site-process.ts', import.meta.url)), {
    execArgv: ['--import', import.meta.resolve('tsx')],
    env: { ...process.env, SITE_PROCESS: JSON.stringify(settings) },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const { port } = await messageOf<{ port: number }>(child)
  return {
    name: settings.name,
    url: `http://localhost:${port}`,
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async setAhead(ahead) {
      if (!child.connected) return
      const answered = messageOf(child)
      child.send({ ahead } satisfies Order)
      await answered
    },
  }
}

async function messageOf<T>(child: ChildProcess): Promise<T> {
  const died = once(child, 'exit').then(() => {
    throw new Error('the site process ended')
  })
  const [message] = await Promise.race([once(child, 'message'), died])
  return message as T
}
