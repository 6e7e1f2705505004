import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { openIdConnect } from '../../lib/index.js'
import { startHostileProvider } from '../support/hostile-provider.js'
import { parseForms } from '../support/html-form.js'
import { secret } from '../support/secrets.js'

interface Http2Response {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

type Ask = (headers: OutgoingHttpHeaders, body?: string) => Promise<Http2Response>

/** A site of Node's own HTTP/2, without Express, which has no `Host`: clients send `:authority`. RFC 9113 section 8.3.1. */
async function withHttp2(run: (ask: Ask, issuer: string) => Promise<void>): Promise<void> {
  const provider = await startHostileProvider()
  const { issuer, clientId, clientSecret } = provider
  const oidc = openIdConnect({
    ...{ issuer, clientId, clientSecret, responseType: 'code', secret: secret('session secret'), log: () => {} },
    baseUrl: ['https://a.example.com', 'https://b.example.com'],
  })
  const server = createServer((req, res) => {
    oidc(req as never, res as never, (error?: unknown) => {
      res.statusCode = error === undefined ? 200 : 500
      res.end(JSON.stringify({ sub: (req as { oidc?: { user?: { sub: string } } }).oidc?.user?.sub ?? null }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  const ask: Ask = async (headers, body) => {
    const stream = session.request({ ':method': body === undefined ? 'GET' : 'POST', accept: 'text/html', ...headers })
    stream.end(body)
    const [received] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status': number }]
    let text = ''
    for await (const chunk of stream) text += String(chunk)
    return { status: received[':status'], headers: received, text }
  }
  try {
    await run(ask, issuer)
  } finally {
    session.destroy()
    server.close()
    await oidc.close()
    await provider.close()
  }
}

const pairsOf = ({ headers }: Http2Response) =>
  (headers['set-cookie'] ?? []).map(line => line.split(';', 1).join()).join('; ')

test('over HTTP/2, :authority says which host a request is for: a user signs in at each, and a session is none at the other', () =>
  withHttp2(async (ask, issuer) => {
    const hosts = ['a.example.com', 'b.example.com']
    for (const [at, host] of hosts.entries()) {
      const start = await ask({ ':authority': host, ':path': '/login' })
      const asked = new URL(String(start.headers.location))
      assert.equal(asked.searchParams.get('redirect_uri'), `https://${host}/callback`)
      const [form] = parseForms(await (await fetch(asked)).text(), issuer)
      const end = await ask(
        {
          ':authority': host,
          ':path': '/callback',
          cookie: pairsOf(start),
          'content-type': 'application/x-www-form-urlencoded',
        },
        new URLSearchParams(form?.fields as [string, string][]).toString(),
      )
      assert.equal(end.status, 303, end.text)
      const cookie = pairsOf(end)
      assert.match(cookie, /__Host-sid=/)
      const subAt = async (authority: string) =>
        JSON.parse((await ask({ ':authority': authority, ':path': '/', cookie })).text).sub
      assert.deepEqual([await subAt(host), await subAt(hosts[1 - at] ?? '')], ['alice-0001', null])
    }
  }))

test('over HTTP/2, another :authority or a Host that is not that of :authority gets 421', () =>
  withHttp2(async ask => {
    const wrong: OutgoingHttpHeaders[] = [
      { ':authority': 'c.example.com' },
      { ':authority': 'a.example.com', host: 'b.example.com' },
      { ':authority': 'c.example.com', 'x-forwarded-host': 'a.example.com' },
      { ':authority': 'a.example.com.' },
    ]
    for (const headers of wrong) {
      const { status, headers: received } = await ask({ ...headers, ':path': '/login' })
      assert.equal(status, 421, JSON.stringify(headers))
      assert.deepEqual([received.location, received['set-cookie']], [undefined, undefined])
    }
    const same = await ask({ ':authority': 'a.example.com', host: 'a.example.com', ':path': '/login' })
    assert.equal(same.status, 303)
  }))
