import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, request } from 'node:http'
import { test } from 'node:test'
import { sessionCookieOf, withFixture } from '../support/handler-fixture.js'

test(
  'oidc.authenticate() returns the signed-in user of a WebSocket upgrade, and no user without a session',
  withFixture({}, async fixture => {
    await fixture.agent.visit(`${fixture.site.url}/claims`)
    const seen: unknown[] = []
    const server = createServer()
    server.on('upgrade', async (req, socket) => {
      seen.push((await fixture.site.oidc.authenticate(req))?.sub)
      socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const cookie = `sid=${sessionCookieOf(fixture)}`
    for (const value of [cookie, `${cookie}x`, 'sid=', undefined]) await upgrade(port, value)
    server.close()
    assert.deepEqual(seen, ['alice-0001', undefined, undefined, undefined])
  }),
)

function upgrade(port: number, cookie: string | undefined): Promise<IncomingMessage> {
  const headers = { connection: 'upgrade', upgrade: 'websocket', ...(cookie && { cookie }) }
  return new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', headers }, resolve).on('error', reject).end()
  })
}
