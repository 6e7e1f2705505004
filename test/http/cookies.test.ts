import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { clearCookie, setCookie } from '../../lib/http/cookies.js'
import { withFixture } from '../support/handler-fixture.js'

const attributes = { secure: true, sameSite: 'lax' } as const
const newResponse = () => new ServerResponse(new IncomingMessage(new Socket()))
const cookiesOf = (res: ServerResponse) => [res.getHeader('Set-Cookie')].flat().map(text => String(text).split(';')[0])

test('a cookie that a response sets twice is sent once, with the value it was given last', () => {
  const res = newResponse()
  setCookie(res, 'sid', 'first', attributes)
  setCookie(res, 'sid', 'second', attributes)
  assert.deepEqual(cookiesOf(res), ['sid=second'])
  clearCookie(res, 'sid', attributes)
  assert.deepEqual(cookiesOf(res), ['sid='])
  setCookie(res, 'sid', 'third', attributes)
  assert.deepEqual(cookiesOf(res), ['sid=third'])
})

test('a cookie does not replace a cookie of another name, whatever code has set it', () => {
  for (const theirs of ['sid.anonymous=1; Path=/', ['sid.anonymous=1; Path=/', 'Sid=2', 'xsid=3']]) {
    const res = newResponse()
    res.setHeader('Set-Cookie', theirs)
    setCookie(res, 'sid', 'ours', attributes)
    setCookie(res, 'sid', 'ours again', attributes)
    assert.deepEqual(res.getHeader('Set-Cookie'), [
      ...[theirs].flat(),
      'sid=ours%20again; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
  }
})

test(
  'no response of a sign-in, a change of the session and a sign-out sets a cookie twice',
  withFixture({}, async ({ agent, site }) => {
    const journey = [
      await agent.open(`${site.url}/session?a=1`),
      await agent.post(`${site.url}/session?a=1`, {}),
      await agent.visit(`${site.url}/claims`),
      await agent.visit(`${site.url}/login?returnTo=/claims`),
      await agent.post(`${site.url}/session?a=2`, {}),
      await agent.post(`${site.url}/logout`, {}),
    ]
    const hops = journey.flatMap(page => page.hops).filter(({ setCookies }) => setCookies.length > 0)
    assert.ok(hops.length >= 4)
    for (const { url, setCookies } of hops) {
      const names = setCookies.map(text => text.split('=')[0])
      assert.equal(new Set(names).size, names.length, `${url}: ${names}`)
    }
  }),
)
