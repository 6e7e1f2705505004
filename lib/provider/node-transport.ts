import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { decodeText, tooLarge, unpack } from './body.js'
import { type AnswerHeaders, type Incoming, isRedirectStatus, type Transport } from './transport.js'

/** Milliseconds. Below the five seconds after which many servers close what nobody uses: a form sent just then would be lost. */
const IDLE_CONNECTION = 4000

/** Node's own client over kept connections. A sign-in asks the provider twice, and `fetch` takes twice the CPU for it. */
export function createNodeTransport(): Transport {
  const kept = { keepAlive: true, timeout: IDLE_CONNECTION }
  const http = new HttpAgent(kept)
  const https = new HttpsAgent(kept)

  return ({ method, url, headers, body = '', limit }) => {
    let request: ClientRequest | undefined
    const arrival = new Promise<Incoming>((resolve, reject) => {
      const length = method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {}
      const common = { method, headers: { ...headers, ...length } }
      request =
        url.protocol === 'https:'
          ? httpsRequest(url, { ...common, agent: https })
          : httpRequest(url, { ...common, agent: http })
      request.on('error', reject)
      request.on('response', response => void receive(response, limit).then(resolve, reject))
      // Nothing of the kind was asked for, and what is spoken now is no answer.
      request.on('upgrade', (_response, socket) => {
        socket.destroy()
        reject(new Error('upgrade'))
      })
      request.end(body)
    })
    return { arrival, cancel: () => void request?.destroy() }
  }
}

async function receive(response: IncomingMessage, limit: number): Promise<Incoming> {
  const { statusCode: status = 0, headers } = response
  const isRedirect = isRedirectStatus(status)
  if (Number(headers['content-length'] ?? 0) > limit) throw tooLarge()
  const bytes = await readBody(response, limit)
  const encoding = headers['content-encoding']?.trim().toLowerCase() || 'identity'
  const text = isRedirect ? '' : decodeText(await unpack(bytes, encoding, limit))
  return { status, isRedirect, headers: headersOf(response), text }
}

function readBody(response: IncomingMessage, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    response.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > limit) reject(tooLarge())
      else chunks.push(chunk)
    })
    response.on('end', () => resolve(Buffer.concat(chunks)))
    response.on('error', reject)
    response.on('close', () => reject(new Error('closed')))
  })
}

function headersOf({ headers }: IncomingMessage): AnswerHeaders {
  return {
    get(name) {
      const value = headers[name]
      return (Array.isArray(value) ? value.join(', ') : value) ?? null
    },
  }
}
