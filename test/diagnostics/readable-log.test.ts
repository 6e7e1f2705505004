import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { formatEvent } from '../../lib/diagnostics/readable-log.js'
import type { OidcEvent } from '../../lib/index.js'

const run = promisify(execFile)
const base = { at: 0, site: 'https://rp.example', transaction: 'abc' }
const passed = { duration: 1.234, passed: true }

const lines: readonly (readonly [OidcEvent, string])[] = [
  [
    {
      ...base,
      type: 'sign-in-started',
      path: '/claims',
      endpoint: 'https://op.example/authorize',
      params: { scope: 'a b' },
      pushed: false,
      duration: 1,
    },
    '[abc] /claims sends the browser to https://op.example/authorize scope="a b"',
  ],
  [
    { ...base, type: 'response-received', method: 'POST', path: '/callback', fields: { code: 'x…' } },
    '[abc] POST /callback receives a response code="x…"',
  ],
  [
    { ...base, ...passed, type: 'step', step: 5, key: 'frontIdToken', name: 'It is genuine', section: 'Core' },
    '[abc] step 5: It is genuine, 1.2 ms',
  ],
  [
    {
      ...base,
      ...{
        type: 'step',
        step: 5,
        key: 'frontIdToken',
        name: 'It is genuine',
        section: 'Core',
        duration: 2,
        passed: false,
      },
      ...{ code: 'ERR_OIDC_ID_TOKEN_AUDIENCE', reason: 'aud is another', details: { expected: 'me\nyou' } },
    },
    String.raw`[abc] step 5: It is genuine, 2.0 ms, FAILED ERR_OIDC_ID_TOKEN_AUDIENCE: aud is another: {"expected":"me\nyou"}`,
  ],
  [
    {
      ...base,
      ...passed,
      type: 'provider-call',
      method: 'POST',
      endpoint: 'https://op.example/token',
      fields: {},
      status: 200,
    },
    '[abc] POST https://op.example/token 200, 1.2 ms',
  ],
  [
    {
      ...base,
      ...passed,
      type: 'provider-call',
      method: 'POST',
      endpoint: 'https://op.example/par',
      fields: { client_id: 'me' },
      status: 400,
      refusal: { error: 'use_dpop_nonce' },
      dpop: { nonce: true },
    },
    '[abc] POST https://op.example/par 400 with a DPoP proof and nonce client_id="me" error="use_dpop_nonce", 1.2 ms',
  ],
  [
    {
      ...base,
      ...passed,
      type: 'jwt',
      token: 'authorization-response',
      alg: 'PS256',
      encryption: { alg: 'ECDH-ES', enc: 'A256GCM' },
      issuer: 'https://op.example',
    },
    '[abc] authorization-response alg="PS256" encryption="ECDH-ES A256GCM" iss="https://op.example", 1.2 ms',
  ],
  [
    { ...base, ...passed, type: 'jwt', token: 'request-object', alg: 'PS256' },
    '[abc] request-object alg="PS256", 1.2 ms',
  ],
  [
    {
      at: 0,
      type: 'provider-call',
      method: 'GET',
      endpoint: 'https://op.example/jwks',
      fields: {},
      duration: 9,
      passed: false,
    },
    'GET https://op.example/jwks no response, 9.0 ms, FAILED',
  ],
  [{ at: 0, ...passed, type: 'store-command', command: 'HMGET' }, 'Redis HMGET, 1.2 ms'],
  [{ at: 0, type: 'store-trouble', command: 'HMGET', reason: 'timeout' }, 'Redis HMGET: timeout'],
  [{ at: 0, ...passed, type: 'token-refresh' }, 'tokens refreshed, 1.2 ms'],
  [{ at: 0, type: 'sign-out', reason: 'back-channel', sessions: 2 }, 'sign-out (back-channel): 2 ended'],
  [{ ...base, ...passed, type: 'sign-in-finished', outcome: 'signed-in' }, '[abc] sign-in finished: signed-in, 1.2 ms'],
]

/** What a process says that makes the middleware and then has an event, after `strange` ones of something else. */
async function errorsOf(environment: NodeJS.ProcessEnv, strange: readonly string[] = []): Promise<string> {
  const script = `
    import { channel } from 'node:diagnostics_channel'
    import { startReadableLog } from './lib/diagnostics/readable-log.ts'
    import { openIdConnect } from './lib/index.ts'
    const oidc = openIdConnect({
      issuer: 'https://op.example',
      clientId: 'client',
      baseUrl: 'https://rp.example',
      secret: 'abcdefghijklmnopqrstuvwxyz012345',
      fetch: () => Promise.reject(new Error('away')),
      log() {},
    })
    startReadableLog()
    const events = channel('express-hybrid-oidc')
    console.error('has a listener:', events.hasSubscribers)
    ${strange.map(message => `events.publish(${message})`).join('\n')}
    events.publish({ at: 0, type: 'store-trouble', command: 'PING', reason: '100 %s' })
    await oidc.close()`
  const { stderr } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: new URL('../..', import.meta.url),
    env: { PATH: process.env.PATH, ...environment },
  })
  return stderr
}

describe('the readable log', () => {
  test('has a line for every kind of event', () => {
    for (const [event, line] of lines) assert.equal(formatEvent(event), line)
  })

  test('is written where NODE_DEBUG names the package, each event once', async () => {
    const text = await errorsOf({ NODE_DEBUG: 'express-hybrid-oidc' })
    assert.match(text, /has a listener: true/)
    assert.equal(text.split('Redis PING: 100 %s').length, 2, text)
  })

  test('passes over what something else has published on the channel', async () => {
    const strange = [
      'null',
      'undefined',
      '7',
      '{ type: "step" }',
      '{ passed: false }',
      '{ type: "provider-call", passed: true }',
    ]
    const text = await errorsOf({ NODE_DEBUG: 'express-hybrid-oidc' }, strange)
    assert.equal(text.split('Redis PING: 100 %s').length, 2, text)
    assert.ok(!/TypeError/.test(text), text)
  })

  test('is not there otherwise, and no listener is added', async () => {
    const text = await errorsOf({})
    assert.match(text, /has a listener: false/)
    assert.ok(!text.includes('PING'), text)
  })
})
