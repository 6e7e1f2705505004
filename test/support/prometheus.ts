import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findTool } from '../tools/ensure-tools.mjs'
import { until, unusedPort } from './redis.js'

export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [time: number, value: string]
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing'
}

/** A real Prometheus, started for a test and owned by it. */
export interface Prometheus {
  readonly url: string
  /** An instant query. */
  query(expression: string): Promise<readonly Sample[]>
  /** What a variable of a dashboard offers. */
  labelValues(label: string, selector: string): Promise<readonly string[]>
  alerts(): Promise<readonly Alert[]>
  stop(): Promise<void>
}

/** @param target host and port of what is scraped, each half second @param rules a file of rules */
export async function startPrometheus(target: string, rules: string): Promise<Prometheus> {
  const program = findTool('prometheus')
  if (program === undefined) throw new Error('There is no Prometheus: node test/tools/ensure-tools.mjs says what to do')
  const folder = mkdtempSync(join(tmpdir(), 'oidc-prometheus-'))
  const port = await unusedPort()
  writeFileSync(join(folder, 'rules.yml'), rules)
  writeFileSync(
    join(folder, 'prometheus.yml'),
    `global: { scrape_interval: 500ms, evaluation_interval: 500ms }
rule_files: [rules.yml]
scrape_configs:
  - job_name: shop
    static_configs: [{ targets: ['${target}'] }]
`,
  )
  const flags = [`--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`]
  const child = spawn(program, [...flags, `--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' })
  const url = `http://127.0.0.1:${port}`
  await until('Prometheus responds', async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true)

  async function ask(path: string, fields: Readonly<Record<string, string>> = {}): Promise<unknown> {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(fields)}`)
    const { status, data, error } = (await response.json()) as { status: string; data: unknown; error?: string }
    if (status !== 'success') throw new Error(`${error}: ${JSON.stringify(fields)}`)
    return data
  }

  return {
    url,
    query: async query => ((await ask('query', { query })) as { result: readonly Sample[] }).result,
    labelValues: async (label, selector) =>
      (await ask(`label/${label}/values`, { 'match[]': selector })) as readonly string[],
    alerts: async () => ((await ask('alerts')) as { alerts: readonly Alert[] }).alerts,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Runs promtool with files in a folder of their own. What it says, where it fails. */
export function runPromtool(args: readonly string[], files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'oidc-promtool-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const program = join(dirname(findTool('prometheus') ?? ''), 'promtool')
    const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' })
    return status === 0 ? '' : `${error ?? ''}${stdout}${stderr}`
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
