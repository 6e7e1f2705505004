import assert from 'node:assert/strict'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { parseCookie } from 'cookie'
import { clearCookie, readCookieValues, setCookie } from '../../lib/http/cookies.js'
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

test('the values of a name are those that a parser finds in each pair, whatever is sent', () => {
  const names = ['sid', '__Host-sid', 'sid.anonymous', 'a']
  const pieces = [
    'sid',
    '__Host-sid',
    'sid.anonymous',
    'SID',
    '=',
    '=',
    ';',
    '; ',
    ' ',
    '"',
    'x',
    '%73id',
    'a',
    ',',
    '\t',
    '',
  ]
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return Math.floor((seed / 2 ** 31) * below)
  }
  let found = 0
  for (let each = 0; each < 20_000; each += 1) {
    const cookie = Array.from({ length: random(14) }, () => pieces[random(pieces.length)]).join('')
    for (const name of names) {
      const expected = cookie
        .split(';')
        .map(pair => parseCookie(pair)[name])
        .filter(value => value !== undefined)
      assert.deepEqual(
        readCookieValues({ headers: { cookie } } as IncomingMessage, name),
        expected,
        `${name} in ${cookie}`,
      )
      found += expected.length
    }
  }
  assert.ok(found > 1000, String(found))
  assert.deepEqual(readCookieValues({ headers: {} } as IncomingMessage, 'sid'), [])
})
