import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, describe, test } from 'node:test'
import express from 'express'
import { OidcError } from '../../lib/index.js'
import { parseAuthorizationResponse } from '../../lib/protocol/authorization-response.js'
import { parseResponseType } from '../../lib/protocol/response-type.js'
import { parseReturnTo } from '../../lib/protocol/return-to.js'
import { parseTokenResponse } from '../../lib/protocol/token-response.js'
import { assertCivil, openFuzzFixture } from '../fuzz/fuzz.js'
import { createAgent } from '../support/agent.js'
import { type RawResponse, send } from '../support/http-client.js'
import { startRedis } from '../support/redis.js'
import { scale } from './scale.js'
import { longestPause, watchProcess } from './watch.js'

/** Requests that are too much, too many or too strange. */

const watch = watchProcess()
const fixture = await openFuzzFixture()
const parsed = await openFuzzFixture({
  site: {
    // The parsers' own errors carry their status, which Express heeds.
    handlesErrors: false,
    before: app => {
      app.set('env', 'test')
      app.use(express.urlencoded({ extended: true }))
      app.use(express.json())
    },
  },
})
after(async () => {
  await fixture.close()
  await parsed.close()
  watch.check()
})

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const targets = ['/callback', '/logout/backchannel', '/logout']
const sites = { 'no body parser': fixture, 'a body parser before': parsed }

/** Sends a body that never ends, and gives back what was said to it. */
function pour(url: string): Promise<{ status: number; sent: number }> {
  return new Promise((resolve, reject) => {
    let sent = 0
    const outgoing = request(url, { method: 'POST', headers: form, agent: false }, response => {
      outgoing.destroy()
      resolve({ status: response.statusCode ?? 0, sent })
    })
    const piece = Buffer.alloc(16_384, 'a')
    const more = () => {
      if (outgoing.destroyed) return
      sent += piece.length
      outgoing.write(piece, () => setImmediate(more))
    }
    outgoing.on('error', reject)
    more()
  })
}

for (const [kind, { site }] of Object.entries(sites)) {
  describe(`bodies, with ${kind}`, () => {
    const bodies: Record<string, { readonly body?: string; readonly headers?: Record<string, string> }> = {
      'no body and no type': {},
      'no body': { headers: form },
      'an empty body of no length': { headers: { ...form, 'transfer-encoding': 'chunked' }, body: '' },
      'every parameter empty': {
        headers: form,
        body: 'state=&code=&id_token=&access_token=&token_type=&iss=&error=&logout_token=',
      },
      'every parameter twice and empty': {
        headers: form,
        body: 'state=&state=&code=&code=&logout_token=&logout_token=',
      },
      'separators only': { headers: form, body: '&&&==&;;&=&' },
      '100 000 parameters': { headers: form, body: Array.from({ length: 15_000 }, (_, n) => `a${n}=1`).join('&') },
      '100 000 times the same parameter': { headers: form, body: 'a&'.repeat(60_000) },
      'brackets 10 000 deep': { headers: form, body: `state${'[a]'.repeat(10_000)}=1` },
      'a prototype': {
        headers: form,
        body: '__proto__[polluted]=1&constructor[prototype][polluted]=1&__proto__=1&state=a',
      },
      'lists of lists': { headers: form, body: 'state[][][]=1&code[0]=a&code[1]=b&logout_token[]=x' },
      'a megabyte of dots': {
        headers: form,
        body: `id_token=${'.'.repeat(1_000_000)}&state=a&logout_token=${'.'.repeat(100)}`,
      },
      'a token of 100 KB made of dots': {
        headers: form,
        body: `logout_token=${'.'.repeat(100_000)}&state=a&id_token=${'.'.repeat(20_000)}`,
      },
      '10 MiB': { headers: form, body: `logout_token=${'a'.repeat(10 * 1024 * 1024)}` },
      JSON: { headers: { 'content-type': 'application/json' }, body: '{"state":"a","logout_token":"a"}' },
      'JSON nested deep': { headers: { 'content-type': 'application/json' }, body: '['.repeat(50_000) },
      compressed: { headers: { ...form, 'content-encoding': 'gzip' }, body: 'x' },
    }
    for (const [name, { body, headers = {} }] of Object.entries(bodies)) {
      test(`${name}: refused`, async () => {
        for (const path of targets.slice(0, 2)) {
          const response: RawResponse | undefined = await send({
            url: site.url + path,
            method: 'POST',
            headers,
            ...(body !== undefined && { body }),
          }).catch((error: NodeJS.ErrnoException) => {
            // Refused before all of it was read: the connection is closed under the rest.
            assert.match(error.code ?? '', /^(EPIPE|ECONNRESET)$/)
            return undefined
          })
          if (response === undefined) continue
          assert.ok(
            response.status >= 400 && response.status < 500,
            `${path}: ${response.status} ${response.text.slice(0, 200)}`,
          )
          assert.deepEqual(response.setCookies, [])
        }
        assert.equal(({} as { polluted?: unknown }).polluted, undefined)
      })
    }
  })
}

test('a body without an end is cut off', async () => {
  for (const path of targets.slice(0, 2)) {
    const { status, sent } = await pour(fixture.site.url + path)
    assert.equal(status, 413)
    assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`)
  }
})

describe('headers', () => {
  const headers: Record<string, Record<string, string>> = {
    'ten thousand semicolons for cookies': { cookie: ';'.repeat(10_000) },
    'a cookie of 15 KB': { cookie: `sid=${'a'.repeat(15_000)}` },
    'more cookies than a browser sends': { cookie: Array.from({ length: 1500 }, (_, n) => `c${n}=1`).join('; ') },
    'cookies without names': { cookie: '=a; ; =; b' },
    'a thousand attempts': {
      cookie: Array.from({ length: 300 }, (_, n) => `oidc.AAAAAA.${n}=${'A'.repeat(30)}`).join('; '),
    },
    'more than Node reads': { cookie: 'a'.repeat(20_000) },
    'an accept list of 10 KB': { accept: 'text/html;q=0.1,'.repeat(600) },
    'a referer of 10 KB': { referer: `http://localhost/${'a/'.repeat(5000)}` },
  }
  for (const [name, given] of Object.entries(headers)) {
    test(`${name}: no unexpected server error`, async () => {
      for (const path of ['/claims', '/login', '/session', '/logout', '/callback']) {
        assertCivil(await send({ url: fixture.site.url + path, headers: given }), [])
      }
    })
  }
})

test('an attempt to sign in a thousand times leaves seven cookies in a browser', async () => {
  const agent = createAgent()
  for (let n = 0; n < 20; n += 1) await agent.open(`${fixture.site.url}/login`, { redirect: 'manual' })
  assert.ok(agent.cookies(fixture.site.url).length <= 7, `${agent.cookies(fixture.site.url).length} cookies`)
})

test('no input of any length keeps a regular expression busy', t => {
  const size = 100_000
  const probes = ['a', ' ', '=', '/', '.', '%', '\t', '(', 'a.', 'a ', '/a', '%2', 'aA', '[a]', '=&', ';a='].map(unit =>
    unit.repeat(size / unit.length),
  )
  const inputs: Record<string, (probe: string) => unknown> = {
    'return address': probe => parseReturnTo(`/${probe}`.slice(0, 2048), 'https://rp.example'),
    'return address, too long': probe => parseReturnTo(probe, 'https://rp.example'),
    'response field': probe =>
      parseAuthorizationResponse([
        ['state', 'a'],
        ['id_token', `${probe.slice(0, 65_000)}\0`],
      ]),
    'response field name': probe =>
      parseAuthorizationResponse([
        ['state', 'a'],
        [probe, 'a'],
      ]),
    'provider error': probe =>
      parseAuthorizationResponse([
        ['state', 'a'],
        ['error', probe],
      ]),
    'token response': probe =>
      parseTokenResponse(
        { access_token: `${probe}\0`, token_type: 'Bearer', expires_in: probe },
        { idTokenRequired: false },
      ),
    'response type': probe => parseResponseType(probe),
  }
  let longest = ['', 0] as [string, number]
  for (const [name, read] of Object.entries(inputs)) {
    for (const probe of probes) {
      const begin = performance.now()
      try {
        read(probe)
      } catch (error) {
        if (!(error instanceof OidcError)) throw error
      }
      const took = performance.now() - begin
      if (took > longest[1]) longest = [name, took]
    }
  }
  t.diagnostic(`longest: ${longest[0]}, ${longest[1].toFixed(1)} ms for ${size} characters`)
  // Of a quadratic one 100 000 characters would take many seconds.
  assert.ok(longest[1] < 2000, longest.join(' '))
})

test('a person with very many sessions is signed out of all of them by one logout token, while pages are served', async t => {
  const redis = await startRedis()
  const many = await openFuzzFixture({ oidc: { redis: redis.url, responseType: 'id_token' } })
  try {
    const { site, provider } = many
    const count = Math.min(10_000, 300 * scale)
    const agents = []
    for (let n = 0; n < count; n += 1) {
      const agent = createAgent()
      await agent.visit(`${site.url}/login?returnTo=/user`)
      if (n % 100 === 0) agents.push(agent)
    }
    const token = await provider.createLogoutToken({ sid: undefined })
    const begin = performance.now()
    const pause = await longestPause(async () => {
      const told = createAgent().post(`${site.url}/logout/backchannel`, { logout_token: token })
      assert.equal((await createAgent().open(`${site.url}/`)).status, 200)
      assert.equal((await told).status, 200)
    })
    t.diagnostic(
      `${count} sessions ended in ${(performance.now() - begin).toFixed(0)} ms, longest pause ${pause.toFixed(0)} ms`,
    )
    for (const agent of agents) {
      const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
      assert.equal(page.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
    }
    const keys = (await redis.command('KEYS', '*')) as string[]
    const types = await Promise.all(keys.map(key => redis.command('TYPE', key)))
    assert.equal(types.filter(type => type === 'hash').length, 0)
  } finally {
    await many.close()
    await redis.stop()
  }
})
