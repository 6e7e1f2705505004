import assert from 'node:assert/strict'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import type { Response } from 'express'
import { respondToProvider } from '../../lib/sign-out/provider-response.js'
import { send } from '../support/http-client.js'
import { startLoopbackServer } from '../support/loopback-server.js'

async function responseOf(status: number, body?: object) {
  const server = await startLoopbackServer((_req, res: ServerResponse) =>
    respondToProvider(res as Response, status, body),
  )
  try {
    const { headers, text } = await send({ url: `http://127.0.0.1:${server.port}/`, method: 'POST' })
    const { date: _, connection: __, 'keep-alive': ___, ...own } = headers
    return { own, text }
  } finally {
    await server.stop()
  }
}

const always = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

test('a response to the provider is whole, is stored nowhere, and says what its body is', async () => {
  const text = '{"error":"invalid_request"}'
  const json = { 'content-type': 'application/json', 'content-length': String(text.length) }
  assert.deepEqual(await responseOf(400, { error: 'invalid_request' }), { own: { ...always, ...json }, text })
  assert.deepEqual(await responseOf(200), { own: { ...always, 'content-length': '0' }, text: '' })
})

test('the provider is told when to try again where that helps', async () => {
  assert.equal((await responseOf(503)).own['retry-after'], '5')
  for (const status of [200, 400, 405, 413, 500]) {
    assert.equal((await responseOf(status)).own['retry-after'], undefined, `${status}`)
  }
})
