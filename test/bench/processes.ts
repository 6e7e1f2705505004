import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ContenderSettings } from './contender.js'
import type { Usage } from './contender-process.js'
import type { ProviderCommand } from './stub-provider-process.js'

const SITE_CORE = 0
const OTHER_CORE = 1
const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1))

/** This process and what it starts from now on stay off the core of the contender. */
export function leaveSiteCore(): void {
  pin(process.pid, OTHER_CORE)
}

function pin(pid: number | undefined, core: number): void {
  const { status } = spawnSync('taskset', ['-a', '-p', '-c', String(core), String(pid)])
  if (status !== 0) throw new Error('a process cannot be pinned to a core: is there taskset, and a second core?')
}

/** A process that answers every message by one. */
async function start(
  file: string,
  args: readonly string[],
  core: number,
): Promise<{ child: ChildProcess; first: unknown }> {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = fork(path, args, { execArgv: ['--expose-gc'], env: { ...process.env, NODE_ENV: 'production' } })
  children.add(child)
  pin(child.pid, core)
  return { child, first: await answerOf(child) }
}

function answerOf(child: ChildProcess, question?: object | string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(`a process ended: ${child.spawnargs.slice(2).join(' ')}`))
    child.once('exit', fail).once('message', response => {
      child.off('exit', fail)
      resolve(response)
    })
    if (question !== undefined) child.send(question)
  })
}

async function stop(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
  children.delete(child)
}

export interface Contender {
  readonly name: string
  readonly baseUrl: string
  usage(): Promise<Usage>
  /** After a garbage collection. */
  settledUsage(): Promise<Usage>
  stop(): Promise<void>
}

export async function startContender(name: string, settings: Omit<ContenderSettings, 'baseUrl'>): Promise<Contender> {
  const { child, first } = await start('./contender-process.js', [name, JSON.stringify(settings)], SITE_CORE)
  return {
    name,
    baseUrl: (first as { baseUrl: string }).baseUrl,
    usage: async () => (await answerOf(child, 'usage')) as Usage,
    settledUsage: async () => (await answerOf(child, 'settled usage')) as Usage,
    stop: () => stop(child),
  }
}

export interface StubProvider {
  readonly issuer: string
  /** Calls by path since the last command. */
  command(command: ProviderCommand): Promise<Readonly<Record<string, number>>>
  stop(): Promise<void>
}

export async function startStubProvider(): Promise<StubProvider> {
  const { child, first } = await start('./stub-provider-process.js', [], OTHER_CORE)
  return {
    issuer: (first as { issuer: string }).issuer,
    command: async command => (await answerOf(child, command)) as Readonly<Record<string, number>>,
    stop: () => stop(child),
  }
}
