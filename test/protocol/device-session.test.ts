import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  formatChallenge,
  formatEnd,
  formatInstructions,
  formatRegistration,
  isCookieFresh,
  isFresh,
  judgeDevice,
  parseIdentifier,
} from '../../lib/protocol/device-session.js'

const NOW = 1_800_000_000

test('a registration is offered with its algorithms, its path and a challenge', () => {
  assert.equal(
    formatRegistration('/app/session/device', 'c-1'),
    '(ES256 RS256);path="/app/session/device";challenge="c-1"',
  )
})

test('a challenge names its session', () => {
  assert.equal(formatChallenge('S-1', 'c-1'), '"c-1";id="S-1"')
})

describe('the identifier of a session', () => {
  const cases: readonly [header: string | string[] | undefined, identifier: string | undefined][] = [
    ['S-1_a', 'S-1_a'],
    ['"S-1_a"', 'S-1_a'],
    ['a'.repeat(512), 'a'.repeat(512)],
    ['a'.repeat(513), undefined],
    ['', undefined],
    ['""', undefined],
    ['a b', undefined],
    ['a;b', undefined],
    ['=a', undefined],
    [['a', 'b'], undefined],
    [undefined, undefined],
  ]
  for (const [header, identifier] of cases)
    test(`is ${String(identifier).slice(0, 20)} in ${JSON.stringify(header)?.slice(0, 20)}`, () => {
      assert.equal(parseIdentifier(header), identifier)
    })
})

describe('the instructions for a browser', () => {
  const session = {
    identifier: 'S-1',
    baseUrl: 'https://site.example:8443',
    refreshPath: '/session/device',
    cookie: { name: '__Host-sid.device', secure: true },
  }

  test('cover the whole origin of a site without a path', () => {
    assert.deepEqual(formatInstructions(session), {
      session_identifier: 'S-1',
      refresh_url: '/session/device',
      scope: { origin: 'https://site.example:8443', include_site: false, scope_specification: [] },
      credentials: [
        { type: 'cookie', name: '__Host-sid.device', attributes: 'Path=/; Secure; HttpOnly; SameSite=Lax' },
      ],
    })
  })

  test('leave out what lies beside a site with a path', () => {
    assert.deepEqual(formatInstructions({ ...session, baseUrl: 'https://site.example/app' }), {
      ...formatInstructions(session),
      scope: {
        origin: 'https://site.example',
        include_site: false,
        scope_specification: [
          { type: 'exclude', domain: 'site.example', path: '/' },
          { type: 'include', domain: 'site.example', path: '/app' },
        ],
      },
    })
  })

  test('name the attributes that the cookie has on plain http', () => {
    const { credentials } = formatInstructions({ ...session, cookie: { name: 'sid.device', secure: false } }) as {
      credentials: unknown
    }
    assert.deepEqual(credentials, [
      { type: 'cookie', name: 'sid.device', attributes: 'Path=/; HttpOnly; SameSite=Lax' },
    ])
  })

  test('end a session', () => {
    assert.deepEqual(formatEnd('S-1'), { session_identifier: 'S-1', continue: false })
  })
})

describe('a request without a proof', () => {
  const cases: readonly [name: string, times: { signedInAt: number; boundAt?: number }, status: string][] = [
    ['just after the sign-in', { signedInAt: NOW }, 'pending'],
    ['30 seconds after the sign-in', { signedInAt: NOW - 30 }, 'pending'],
    ['31 seconds after the sign-in', { signedInAt: NOW - 31 }, 'unbound'],
    ['30 seconds after the registration', { signedInAt: NOW - 100, boundAt: NOW - 30 }, 'pending'],
    ['31 seconds after the registration', { signedInAt: NOW - 100, boundAt: NOW - 31 }, 'unproved'],
    ['of a session that another process has just begun, by its clock', { signedInAt: NOW + 5 }, 'pending'],
  ]
  for (const [name, { signedInAt, boundAt }, status] of cases)
    test(`${name} is ${status}`, () => {
      assert.equal(judgeDevice({ now: NOW, signedInAt, boundAt }), status)
    })
})

describe('what was issued at a time', () => {
  test('is fresh to the last second of its lifetime', () => {
    assert.ok(isFresh(NOW - 120, NOW, 120))
    assert.ok(!isFresh(NOW - 121, NOW, 120))
    assert.ok(isFresh(NOW + 3, NOW, 120))
  })

  test('is not fresh where the time is no whole number', () => {
    for (const time of [Number.NaN, Number.POSITIVE_INFINITY, NOW + 0.5]) assert.ok(!isFresh(time, NOW, 120))
  })

  test('counts half a minute longer in a cookie', () => {
    assert.ok(isCookieFresh(NOW - 630, NOW, 600))
    assert.ok(!isCookieFresh(NOW - 631, NOW, 600))
  })
})
