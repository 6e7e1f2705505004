import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listen } from '../../sample-app/listen.js'

test('a port of the sample answers 503 with Retry-After until its application is there', async () => {
  const listener = await listen(0, 'localhost')
  try {
    const early = await fetch(`${listener.url}/claims`)
    assert.deepEqual([early.status, early.headers.get('retry-after')], [503, '1'])
    assert.match(await early.text(), /is starting/)
    listener.serve((_req, res) => void res.end('ready'))
    const late = await fetch(listener.url)
    assert.deepEqual([late.status, await late.text()], [200, 'ready'])
  } finally {
    await listener.close()
  }
})
