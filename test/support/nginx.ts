import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { findTool } from '../tools/ensure-tools.mjs'
import { send } from './http-client.js'

export interface Nginx {
  readonly port: number
  /** Takes over another `http` block, as an operator does who edits the file and reloads. */
  reload(http: string): void
  close(): Promise<void>
}

export interface NginxOptions {
  /** Default: a free one. */
  readonly port?: number
  /** The port on 127.0.0.1 that requests go to, or the name of an `upstream` block in `http`. */
  readonly upstream: number | string
  /** Directives of the `server` block. Default: none, so that nginx works with its defaults. */
  readonly directives?: string
  /** Directives beside `location`, such as another `listen`. Default: none. */
  readonly server?: string
  /** Directives of the `http` block, such as an `upstream`. Default: none. */
  readonly http?: string
  /** Whether it can be told to {@link Nginx.reload}, which takes a master and a worker. Default: one process. */
  readonly reloads?: boolean
  /** Whether it passes `Host` on. Default true; without, it sends the name of the upstream, as nginx does by itself. */
  readonly passesHost?: boolean
}

/** A real nginx in front of a server, with its own defaults for sizes and buffers. */
export async function startNginx({
  upstream,
  port,
  directives = '',
  server = '',
  http = '',
  reloads = false,
  passesHost = true,
}: NginxOptions): Promise<Nginx> {
  const program = findTool('nginx')
  if (program === undefined) throw new Error('There is no nginx: node test/tools/ensure-tools.mjs says what to do')
  const taken = port ?? (await freePort())
  const folder = mkdtempSync(join(tmpdir(), 'oidc-nginx-'))
  const write = (block: string) =>
    writeFileSync(
      join(folder, 'nginx.conf'),
      configuration(folder, { port: taken, upstream, directives, server, http: block, reloads, passesHost }),
    )
  write(http)
  const child = spawn(program, ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: 'ignore' })
  await answering(child, taken)
  return {
    port: taken,
    reload(block) {
      write(block)
      child.kill('SIGHUP')
    },
    async close() {
      const ended = new Promise(resolve => child.once('exit', resolve))
      if (child.exitCode === null) child.kill('SIGTERM')
      if (child.exitCode === null) await ended
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function configuration(
  folder: string,
  { port, upstream, directives, server, http, reloads, passesHost }: Required<NginxOptions>,
): string {
  const target = typeof upstream === 'number' ? `127.0.0.1:${upstream}` : upstream
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${join(folder, name)};`,
  )
  return `daemon off;
${reloads ? 'user root root;' : 'master_process off;'}
pid ${join(folder, 'pid')};
error_log ${join(folder, 'error.log')};
events {}
http {
  access_log off;
  ${temporary.join('\n  ')}
  ${http}
  server {
    listen 127.0.0.1:${port};
    ${server}
    location / {
      proxy_pass http://${target};
      ${passesHost ? 'proxy_set_header Host $http_host;' : ''}
      ${directives}
    }
  }
}
`
}

async function answering(child: ChildProcess, port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`)
    const response = await send({ url: `http://127.0.0.1:${port}/` }).catch(() => undefined)
    if (response !== undefined) return
    await wait(50)
  }
  throw new Error('nginx does not answer')
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
