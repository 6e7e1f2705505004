import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findTool } from '../tools/ensure-tools.mjs'

/** A web server in front of a site. */
export interface WebServer {
  readonly port: number
  stop(): Promise<void>
}

export type WebServerKind = 'nginx' | 'nginx-connection' | 'haproxy'

/** Starts a real nginx or haproxy on a free loopback port, with the defaults of its distribution but for what a test needs. */
export async function startWebServer(kind: WebServerKind, upstream: number): Promise<WebServer> {
  const folder = mkdtempSync(join(tmpdir(), 'web-server-'))
  const port = await findFreePort()
  const isHaproxy = kind === 'haproxy'
  const file = join(folder, 'server.conf')
  writeFileSync(
    file,
    isHaproxy ? haproxyConfiguration(port, upstream) : nginxConfiguration(kind, folder, port, upstream),
  )
  const program = findTool(isHaproxy ? 'haproxy' : 'nginx') ?? ''
  const child = spawn(
    program,
    isHaproxy ? ['-db', '-f', file] : ['-p', folder, '-e', join(folder, 'error.log'), '-c', file],
    {
      stdio: 'ignore',
    },
  )
  await waitForPort(port, child)
  return {
    port,
    async stop() {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function nginxConfiguration(kind: WebServerKind, folder: string, port: number, upstream: number): string {
  const handsOn =
    'proxy_http_version 1.1; proxy_set_header Connection $http_connection; proxy_set_header Upgrade $http_upgrade;'
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    name => `${name}_temp_path ${folder}/${name};`,
  )
  return `daemon off; worker_processes 1; pid ${folder}/pid; events {}
http {
  access_log off; ${temporary.join(' ')}
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://127.0.0.1:${upstream}; ${kind === 'nginx-connection' ? handsOn : ''} }
  }
}
`
}

function haproxyConfiguration(port: number, upstream: number): string {
  return `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 127.0.0.1:${port}
  default_backend site
backend site
  server site 127.0.0.1:${upstream}
`
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function waitForPort(port: number, child: ChildProcess): Promise<void> {
  for (let round = 0; round < 200; round += 1) {
    if (child.exitCode !== null) throw new Error(`the web server ended with ${child.exitCode}`)
    const isThere = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => resolve(true))
      socket.on('error', () => resolve(false))
      socket.on('close', () => resolve(false))
      setTimeout(() => socket.destroy(), 500).unref()
    })
    if (isThere) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('the web server does not listen')
}
