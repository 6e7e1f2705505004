import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { createSelfSigned } from '../attacks/self-signed.js'

export interface TlsFront {
  /** The site as the browser sees it. */
  readonly url: string
  /** SHA-256 of the public key, in base64, for Chromium's `--ignore-certificate-errors-spki-list`. */
  readonly fingerprint: string
  close(): Promise<void>
}

/** What ends TLS in front of a site that speaks plain HTTP, as proxies do. It hands on bytes as they are. */
export async function startTlsFront(port: number): Promise<TlsFront> {
  const { key, cert } = createSelfSigned()
  const sockets = new Set<TLSSocket>()
  const server = createServer({ key, cert }, socket => {
    sockets.add(socket)
    const onward = connect(port, '127.0.0.1')
    for (const end of [socket, onward])
      end.on('error', () => {}).on('close', () => [socket, onward].forEach(each => void each.destroy()))
    socket.pipe(onward).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const publicKey = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    fingerprint: createHash('sha256').update(publicKey).digest('base64'),
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
