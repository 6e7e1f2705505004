import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readAuthorizationResponse, readPage } from '../../lib/doctor/page-response.js'
import { describeServer, hasKnownHole } from '../../lib/doctor/redis-info.js'

const URI = 'https://shop.example/callback'

function page(status: number, { location, html = '' }: { readonly location?: string; readonly html?: string } = {}) {
  return readPage({ status, location, cookies: [], html }, 'https://login.example/authorize')
}

describe('an authorization response is read from', () => {
  for (const [mode, response] of [
    ['query', page(302, { location: `${URI}?error=login_required&state=x` })],
    ['fragment', page(303, { location: `${URI}#error=login_required` })],
    [
      'form_post',
      page(200, {
        html: `<FORM method='post' action='${URI}'><input type=hidden name="error" value="login_required"/></FORM>`,
      }),
    ],
    [
      'form_post with character references',
      page(200, {
        html: `<form action="https:&#x2F;&#x2F;shop.example&#x2F;callback"><input value=login_required name=error></form>`,
      }),
    ],
  ] as const)
    test(mode, () => assert.equal(readAuthorizationResponse(response, URI)?.get('error'), 'login_required'))

  test('no other page', () => {
    for (const other of [
      page(302, { location: 'https://login.example/login?error=login_required' }),
      page(302, { location: `${URI}-other?error=login_required` }),
      page(302, { location: `https://evil.example/?${URI}` }),
      page(200, { html: '<form action="/login"><input name="error" value="login_required"></form>' }),
      page(200, { html: `<p>${URI}</p>` }),
      page(302, { location: 'http://[' }),
    ])
      assert.equal(readAuthorizationResponse(other, URI), undefined)
  })
})

describe('a page', () => {
  test('is quoted without markup, scripts and control characters, and cut', () => {
    const { text } = page(400, {
      html: `<head><title>x</title></head><script>alert(1)</script><h1>Sorry,</h1> redirect_uri_mismatch\u001b[31m ${'y'.repeat(500)}`,
    })
    assert.match(text, /^Sorry, redirect_uri_mismatch\[31m y+$/)
    assert.equal(text.length, 160)
  })

  test('of an error is known by its address or its words', () => {
    assert.ok(page(302, { location: '/home/error?errorId=1' }).looksLikeError)
    assert.ok(page(200, { html: '<p>Error: unauthorized_client' }).looksLikeError)
    assert.ok(!page(302, { location: '/Account/Login?ReturnUrl=x' }).looksLikeError)
    assert.ok(!page(200, { html: '<h1>Sign in</h1>' }).looksLikeError)
  })
})

describe('versions of Redis', () => {
  test('with the hole and without it', () => {
    for (const version of ['5.0.14', '6.2.19', '7.0.15', '7.2.10', '7.4.5', '8.0.3', '8.2.1'])
      assert.ok(hasKnownHole('redis', version), version)
    for (const version of ['6.2.20', '7.2.11', '7.4.7', '8.0.4', '8.2.2', '8.4.0', '9.0.0'])
      assert.ok(!hasKnownHole('redis', version), version)
    for (const version of ['7.2.10', '8.0.5', '8.1.3']) assert.ok(hasKnownHole('valkey', version), version)
    for (const version of ['7.2.11', '8.0.6', '8.1.4', '9.0.0']) assert.ok(!hasKnownHole('valkey', version), version)
  })

  test('what a server does not say is not judged', () => {
    assert.deepEqual(describeServer(''), [])
    const ids = describeServer(
      'redis_version:7.2.4\nvalkey_version:8.1.4\nrole:slave\nmaxmemory:0\nmaxmemory_policy:allkeys-lru\naof_enabled:0\nrdb_last_bgsave_status:err',
    ).map(({ id, level }) => `${id} ${level}`)
    assert.deepEqual(ids, [
      'redis.version good',
      'redis.replica error',
      'redis.eviction info',
      'redis.persistence warning',
    ])
  })
})
