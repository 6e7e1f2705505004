import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import type { Config, SessionPolicy } from '../../lib/options/config.js'
import { createSessionCookie } from '../../lib/session/session-cookie.js'
import { createSealer } from '../../lib/store/seal.js'
import { createSessionId } from '../../lib/store/session-id.js'
import { secret } from '../support/secrets.js'

const policy = { cookieName: 'sid', persistent: false } as SessionPolicy
const open = (secure: boolean) => {
  const config = { secure, lifetime: 60, routes: { keptForm: false } } as Config
  return createSessionCookie(config, policy, createSealer([secret('session secret')]))
}

function request(cookie?: string): IncomingMessage {
  const req = new IncomingMessage(new Socket())
  if (cookie !== undefined) req.headers.cookie = cookie
  return req
}

test('a session cookie counts as unreadable where a request brings some of its name, and none is ours', () => {
  for (const secure of [true, false]) {
    const cookies = open(secure)
    const name = secure ? '__Host-sid' : 'sid'
    const id = createSessionId()
    const res = new ServerResponse(request())
    cookies.write(res, { id, kind: 'user' })
    const ours = String(res.getHeader('set-cookie')).split(';')[0] ?? ''
    for (const [cookie, isUnreadable] of [
      [undefined, false],
      ['other=1', false],
      [ours, false],
      [`${name}=garbage`, true],
      [`${name}=`, true],
      [`${name}=garbage; ${ours}`, false],
      [`${ours}; ${name}=garbage`, false],
      [`${name}.anonymous=garbage`, false],
      [`${name}=garbage; ${name}.anonymous=garbage`, true],
    ] as const) {
      assert.equal(cookies.isUnreadable(request(cookie)), isUnreadable, cookie)
    }
    assert.deepEqual(cookies.read(request(`${name}=garbage; ${ours}`)), [{ id, kind: 'user' }])
    assert.deepEqual(cookies.read(request()), [])
  }
})
