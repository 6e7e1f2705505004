import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { gzipSync } from 'node:zlib'
import express from 'express'
import { type Agent, createAgent } from '../support/agent.js'
import { deny, startHostileProvider } from '../support/hostile-provider.js'
import { send } from '../support/http-client.js'
import { startRedis } from '../support/redis.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'
import { attack, cookieHeader, sessionCookiesSet, startAttempt, whoIs } from './fixture.js'

const attempts = (agent: Agent, url: string) => agent.cookies(url).filter(({ name }) => name.includes('oidc.'))
const form = 'application/x-www-form-urlencoded'

/** Seconds by which the clock of a site is ahead: as if the browsers had got their cookies that long ago. */
let later = 0
const aWhileLater = { oidc: { now: () => new Date(Date.now() + later * 1000) } }

describe('an authorization response that this browser did not ask for', () => {
  attack(
    'CVE-2017-1000069 CVE-2023-27490 CVE-2023-31999 CVE-2025-68158 CVE-2026-33757 CVE-2025-65107 CVE-2025-14546 CVE-2025-68481: an authorization response of the attacker has no effect in the browser of a victim',
    aWhileLater,
    async ({ victim, provider, site, evil, ...fixture }) => {
      later = 0
      const attacker = createAgent()
      const newcomer = createAgent()
      const busy = createAgent()
      await startAttempt({ site }, busy)
      later = 65
      for (const browser of [victim, newcomer, busy]) {
        const fields = await startAttempt({ site }, attacker)
        const before = provider.requests.length
        const user = await whoIs({ site }, browser)
        const page = await browser.post(`${site.url}/callback`, fields, { from: `${evil.url}/` })
        assert.equal(page.status, 400)
        assert.equal(site.lastCode(), 'ERR_OIDC_TRANSACTION_MISSING')
        assert.deepEqual(page.hops[0]?.setCookies, [])
        assert.equal(provider.requests.length, before, 'not one request to the provider')
        assert.equal(await whoIs({ site }, browser), user)
      }
      assert.equal(fixture.agent.page, undefined)
    },
  )

  attack(
    'CVE-2021-21310: two browsers share no value, and a response is accepted only in the browser that started the attempt',
    aWhileLater,
    async ({ site, provider }) => {
      later = 0
      const [a, b] = [createAgent(), createAgent()]
      for (const agent of [a, b]) await startAttempt({ site }, agent)
      later = 65
      const ofA = await startAttempt({ site }, a)
      const ofB = await startAttempt({ site }, b)
      const before = provider.requests.length
      for (const [agent, fields] of [
        [a, ofB],
        [b, ofA],
      ] as const) {
        await agent.post(`${site.url}/callback`, fields, { from: provider.issuer })
        assert.equal(site.lastCode(), 'ERR_OIDC_TRANSACTION_MISSING')
      }
      assert.equal(provider.requests.length, before)
      const [first, second] = provider.requestsTo('authorize').slice(-2)
      for (const name of ['state', 'nonce', 'code_challenge']) {
        assert.notEqual(first?.query[name], second?.query[name], name)
      }
    },
  )

  attack(
    'CVE-2021-29652: a sealed attempt or a state with one changed character is refused',
    {},
    async ({ site, provider }) => {
      const agent = createAgent()
      const fields = await startAttempt({ site }, agent)
      const [cookie] = attempts(agent, site.url)
      assert.ok(cookie, 'no cookie')
      const before = provider.requests.length
      const send2 = async (value: string, changed: typeof fields) => {
        const body = new URLSearchParams(changed as [string, string][]).toString()
        const headers = { cookie: `${cookie.name}=${value}`, 'content-type': form }
        return (await send({ url: `${site.url}/callback`, method: 'POST', headers, body })).status
      }
      for (let at = 0; at < cookie.value.length; at += 1) {
        assert.equal(await send2(flipped(cookie.value, at), fields), 400, `cookie character ${at}`)
      }
      const state = fields.find(([name]) => name === 'state')?.[1] ?? ''
      for (let at = 0; at < state.length; at += 1) {
        const others = fields.filter(([name]) => name !== 'state')
        assert.equal(
          await send2(cookie.value, [...others, ['state', flipped(state, at)]]),
          400,
          `state character ${at}`,
        )
      }
      assert.equal(provider.requests.length, before)
      assert.equal(await send2(cookie.value, fields), 303, 'unchanged it works')
    },
  )

  attack(
    'CVE-2026-73419: a response of one provider is refused at the callback of another, even under the same secret',
    {},
    async ({ site, provider }) => {
      const other = await startHostileProvider()
      const shared = secret('shared secret')
      const settings = ({ issuer, clientId, clientSecret }: typeof other) => ({ issuer, clientId, clientSecret })
      const [siteA, siteB] = await Promise.all([
        startSite({ oidc: { ...settings(provider), secret: shared } }),
        startSite({ oidc: { ...settings(other), secret: shared } }),
      ])
      try {
        const agent = createAgent()
        const fields = await startAttempt({ site: siteA }, agent)
        const [cookie] = attempts(agent, siteA.url)
        await startAttempt({ site: siteB }, agent)
        const prefixOfB = /^.*\./.exec(attempts(agent, siteB.url).at(-1)?.name ?? '')?.[0]
        const renamed = `${prefixOfB}${cookie?.name.split('.').at(-1)}=${cookie?.value}`
        for (const cookies of [cookieHeader({ site: siteB }, agent), renamed]) {
          const response = await agent.post(`${siteB.url}/callback`, fields, { headers: { cookie: cookies } })
          assert.equal(response.status, 400)
          assert.equal(siteB.lastCode(), 'ERR_OIDC_TRANSACTION_MISSING')
        }
        assert.equal(provider.count('token') + other.count('token'), 1, 'that of the one who is signed in')
      } finally {
        await Promise.all([siteA.close(), siteB.close(), other.close()])
      }
      assert.equal(site.errors.length, 0)
    },
  )
})

describe('an incomplete or malformed response', () => {
  attack(
    'CVE-2023-27496: a response with a missing or an empty field is refused and crashes nothing',
    {},
    async ({ site, provider }) => {
      const names = ['state', 'code', 'id_token', 'access_token', 'token_type']
      const before = provider.count('token')
      for (const name of names) {
        for (const change of ['left out', 'empty']) {
          const agent = createAgent()
          const fields = await startAttempt({ site }, agent)
          const rest = fields.filter(field => field[0] !== name)
          const changed = change === 'empty' ? [...rest, [name, ''] as const] : rest
          const page = await agent.post(`${site.url}/callback`, changed, { from: provider.issuer })
          assert.equal(page.status, 400, `${name} ${change}`)
          assert.equal(site.lastCode(), 'ERR_OIDC_REQUEST_MALFORMED', `${name} ${change}`)
        }
      }
      for (const body of ['', '&', '=', '&&&=&=', '%', 'state', 'state=%', '?', 'code=x&state']) {
        const page = await createAgent().post(`${site.url}/callback`, body)
        assert.equal(page.status, 400, JSON.stringify(body))
      }
      assert.equal(provider.count('token'), before)
    },
  )

  for (const parser of ['no', 'a plain', 'an extended'] as const) {
    attack(
      {
        no: 'a field that comes twice is refused, brackets included, without a body parser',
        'a plain': 'a field that comes twice is refused, brackets included, behind a plain body parser',
        'an extended': 'a field that comes twice is refused, brackets included, behind an extended body parser',
      }[parser],
      {
        site: {
          before: app => parser !== 'no' && app.use(express.urlencoded({ extended: parser === 'an extended' })),
        },
      },
      async ({ site, provider }) => {
        const before = provider.count('token')
        for (const name of ['state', 'code', 'id_token', 'access_token', 'iss', 'error']) {
          for (const spelling of [name, `${name}[]`, `${name}[a]`, `${name}[0]`]) {
            const agent = createAgent()
            const fields = await startAttempt({ site }, agent)
            const changed = [
              ...fields,
              ...(name === 'error' ? [['error', 'x'] as const] : []),
              [spelling, 'x'] as const,
            ]
            const page = await agent.post(`${site.url}/callback`, changed, { from: provider.issuer })
            assert.equal(page.status, 400, `${spelling}: ${page.text}`)
            assert.equal(site.lastCode(), 'ERR_OIDC_REQUEST_MALFORMED', spelling)
            assert.equal(await whoIs({ site }, agent), undefined)
          }
        }
        assert.equal(provider.count('token'), before)
      },
    )
  }

  attack(
    'a body of another type, another encoding or another charset is refused without being parsed',
    {},
    async ({ site, provider }) => {
      const before = provider.count('token')
      const cases: [string, Record<string, string>, (body: string) => string | Buffer][] = [
        [
          'JSON',
          { 'content-type': 'application/json' },
          body => JSON.stringify(Object.fromEntries(new URLSearchParams(body))),
        ],
        ['broken JSON', { 'content-type': 'application/json' }, () => '{'],
        ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }, body => `--x\r\n\r\n${body}\r\n--x--`],
        ['text', { 'content-type': 'text/plain' }, body => body],
        ['no type', {}, body => body],
        ['two types', { 'content-type': `text/plain, ${form}` }, body => body],
        ['utf-16', { 'content-type': `${form}; charset=utf-16` }, body => Buffer.from(body, 'utf16le')],
        ['gzip', { 'content-type': form, 'content-encoding': 'gzip' }, body => gzipSync(body)],
        ['a bomb', { 'content-type': form, 'content-encoding': 'gzip' }, () => gzipSync(Buffer.alloc(20_000_000))],
        ['two encodings', { 'content-type': form, 'content-encoding': 'identity, gzip' }, body => gzipSync(body)],
      ]
      for (const [what, headers, encode] of cases) {
        const agent = createAgent()
        const fields = await startAttempt({ site }, agent)
        const body = encode(new URLSearchParams(fields as [string, string][]).toString())
        const cookie = cookieHeader({ site }, agent)
        const response = await send({
          url: `${site.url}/callback`,
          method: 'POST',
          headers: { ...headers, cookie },
          body,
        })
        assert.ok(response.status === 400 || response.status === 415, `${what}: ${response.status}`)
        assert.deepEqual(response.setCookies, [], what)
      }
      assert.equal(provider.count('token'), before)
    },
  )

  attack(
    'a response by another response mode than the requested one is refused: in the URL, or by another method',
    {},
    async ({ site, provider, agent }) => {
      const before = provider.count('token')
      for (const responseMode of ['query', 'fragment'] as const) {
        provider.break({ responseMode })
        const page = await createAgent().visit(`${site.url}/claims`)
        assert.equal(page.status, 405, responseMode)
        assert.equal(site.lastCode(), 'ERR_OIDC_REQUEST_METHOD')
      }
      provider.heal()
      const fields = await startAttempt({ site }, agent)
      const body = new URLSearchParams(fields as [string, string][]).toString()
      for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD', 'QUERY']) {
        const headers = { cookie: cookieHeader({ site }, agent), 'content-type': form }
        const response = await send({ url: `${site.url}/callback`, method, headers, body })
        assert.equal(response.status, 405, method)
      }
      const inBoth = await agent.post(`${site.url}/callback?${body}`, '', { from: provider.issuer })
      assert.equal(inBoth.status, 400)
      assert.equal(provider.count('token'), before)
    },
  )

  attack(
    'response_mode, response_type, client_id and redirect_uri in a response are ignored',
    {},
    async ({ site, agent, evil, provider }) => {
      const fields = await startAttempt({ site }, agent)
      const planted = Object.entries({
        response_mode: 'query',
        response_type: 'code',
        client_id: 'other',
        redirect_uri: evil.url,
        returnTo: evil.url,
        nonce: 'x',
        code_verifier: 'x',
      })
      const page = await agent.post(`${site.url}/callback`, [...fields, ...planted], { from: provider.issuer })
      assert.equal(page.url, `${site.url}/claims`)
      assert.equal(page.status, 200)
      assert.deepEqual(provider.problems, [])
    },
  )

  attack(
    'a response in the URL may contain a question mark: nothing behind it is lost',
    { oidc: { responseType: 'code', responseMode: 'query' } },
    async ({ site, agent, provider }) => {
      provider.break({ response: fields => [['x', 'a?b'], ...fields] })
      const page = await agent.open(`${site.url}/claims`, { redirect: 'manual' })
      const authorization = await agent.open(page.hops[0]?.location ?? '', { redirect: 'manual' })
      const callback = authorization.hops[0]?.location?.replaceAll('%3F', '?') ?? ''
      assert.match(callback, /x=a\?b&/)
      const response = await agent.open(callback, { redirect: 'manual' })
      assert.equal(response.status, 303, response.text)
    },
  )
})

describe('errors of the provider', () => {
  attack(
    'count only with the state of this browser, leave the attempt open, and say nothing of their own on a page',
    { site: { handlesErrors: false } },
    async ({ site, provider }) => {
      const marker = 'MARKER<script>alert(1)</script>'
      const text = { error_description: marker, error_uri: `https://evil.example/${marker}` }
      for (const [what, status] of [
        ['the right state', 403],
        ['no state', 400],
        ['another state', 400],
      ] as const) {
        const agent = createAgent()
        const good = await startAttempt({ site }, agent)
        const error = deny('access_denied', text)(good, {}).flatMap(([name, value]) => {
          if (name !== 'state' || what === 'the right state') return [[name, value] as const]
          return what === 'no state' ? [] : [[name, flipped(value, 3)] as const]
        })
        const page = await agent.post(`${site.url}/callback`, error, { from: provider.issuer })
        assert.equal(page.status, status, what)
        assert.ok(!page.text.includes('MARKER') && !page.text.includes('evil'), `${what}: ${page.text}`)
        assert.deepEqual(sessionCookiesSet(page), [])
        // The user goes back and agrees after all: the attempt is still open, whatever was said about it before.
        const before = provider.count('token')
        const late = await agent.post(`${site.url}/callback`, good, { from: provider.issuer, redirect: 'manual' })
        assert.equal(late.status, 303, what)
        assert.equal(provider.count('token') - before, 1, what)
        assert.equal(await whoIs({ site }, agent), 'alice-0001', what)
      }
      const said = site.log.filter(line => line.includes('MARKER'))
      assert.equal(said.length, 1, 'the response with the right state, and no other, is in the log')
      assert.match(said[0] ?? '', /access_denied "MARKER‹script›alert\(1\)‹\/script›"/)
    },
  )

  attack('a response that is an error and a success at once is refused', {}, async ({ refuses }) => {
    await refuses({
      what: 'both',
      faults: { response: fields => [...fields, ['error', 'access_denied']] },
      code: 'ERR_OIDC_REQUEST_MALFORMED',
    })
  })

  attack(
    'a provider that always responds with login_required gets one request, and there is no redirect loop',
    {
      site: {
        routes: app => app.get('/silent', (req, _res, next) => void req.oidc.login({ prompt: 'none' }).catch(next)),
      },
    },
    async ({ site, agent, provider }) => {
      provider.break({ response: deny('login_required') })
      const before = provider.count('authorize')
      const page = await agent.visit(`${site.url}/silent`)
      assert.equal(page.status, 400)
      assert.equal(site.lastCode(), 'ERR_OIDC_AUTHORIZATION_FAILED')
      assert.equal(provider.count('authorize') - before, 1)
    },
  )

  attack(
    'an iss that is missing, another, there twice or longer by a slash is refused before a code goes anywhere',
    { oidc: { responseType: 'code' } },
    async ({ refuses, provider }) => {
      const { issuer } = provider
      const withIss = (...values: string[]) => ({
        response: (fields: readonly (readonly [string, string])[]) => [
          ...fields.filter(([name]) => name !== 'iss'),
          ...values.map(value => ['iss', value] as const),
        ],
      })
      const code = 'ERR_OIDC_RESPONSE_ISSUER'
      await refuses({ what: 'missing', faults: withIss(), code })
      await refuses({ what: 'slash', faults: withIss(`${issuer}/`), code })
      await refuses({ what: 'upper case', faults: withIss(issuer.toUpperCase()), code })
      await refuses({ what: 'another', faults: withIss('https://evil.example'), code })
      await refuses({ what: 'twice', faults: withIss(issuer, issuer), code: 'ERR_OIDC_REQUEST_MALFORMED' })
      await refuses({ what: 'empty', faults: withIss(''), code })
    },
  )
})

describe('starting a sign-in', () => {
  attack(
    'CVE-2015-9284: images, frames of scripts, prefetches and calls of another site start nothing; its links change nothing',
    {},
    async ({ site, victim, provider, evil }) => {
      const from = `${evil.url}/`
      const before = provider.count('authorize')
      const cookies = cookieHeader({ site }, victim)
      for (const [mode, dest] of [
        ['no-cors', 'image'],
        ['no-cors', 'script'],
        ['cors', 'empty'],
        ['navigate', 'object'],
        ['navigate', 'embed'],
      ]) {
        const headers = { 'sec-fetch-mode': mode, 'sec-fetch-dest': dest }
        const page = await victim.fetch(`${site.url}/login`, {
          from,
          headers,
          credentials: 'include',
          redirect: 'manual',
        })
        assert.equal(page.status, 401, dest)
        assert.deepEqual(page.hops[0]?.setCookies, [], dest)
      }
      const prefetch = await victim.open(`${site.url}/login`, { headers: { 'sec-purpose': 'prefetch' } })
      assert.equal(prefetch.status, 401)
      assert.equal(provider.count('authorize'), before)
      assert.equal(cookieHeader({ site }, victim), cookies)
      for (let i = 0; i < 100; i += 1) await victim.click(`${site.url}/login`, { from, redirect: 'manual' })
      assert.ok(attempts(victim, site.url).length <= 7, `${attempts(victim, site.url).length} attempts`)
      assert.ok(
        cookieHeader({ site }, victim).length < 8 * 1024,
        `${cookieHeader({ site }, victim).length} characters of cookies`,
      )
      const own = victim.tab()
      await own.fetch(`${site.url}/session?draft=1`, { method: 'POST', from: `${site.url}/` })
      for (const path of ['/login', '/login?returnTo=/claims', '/claims']) {
        const stranger = victim.tab()
        await stranger.click(site.url + path, { from })
        while (stranger.page?.forms[0]?.isAutomatic) await stranger.submitForm()
        assert.equal(await whoIs({ site }, victim), 'alice-0001', path)
        assert.deepEqual((await own.open(`${site.url}/session`)).json(), { draft: '1' }, path)
      }
    },
  )

  attack(
    'CVE-2025-67716: returnTo cannot add to or change the authorization request, however it is encoded',
    {},
    async ({ site, provider, evil }) => {
      const more = `&prompt=none&scope=admin&redirect_uri=${evil.url}&response_type=token&claims={}&max_age=1&acr_values=x&request_uri=${evil.url}`
      const wanted = ['client_id', 'code_challenge', 'code_challenge_method', 'nonce', 'redirect_uri', 'response_mode']
      for (const query of [
        `returnTo=/user${more}`,
        `returnTo=${encodeURIComponent(`/user${more}`)}`,
        `returnTo=${encodeURIComponent(`/user?${more}`)}`,
        `returnTo=${encodeURIComponent(encodeURIComponent(`/user${more}`))}`,
        `returnTo[scope]=admin${more}`,
        `returnTo=/user%00${more}`,
      ]) {
        const page = await createAgent().open(`${site.url}/login?${query}`, { redirect: 'manual' })
        const target = new URL(page.hops[0]?.location ?? '')
        assert.equal(target.origin, new URL(provider.issuer).origin)
        assert.deepEqual(
          [...target.searchParams.keys()].sort(),
          [...wanted, 'response_type', 'scope', 'state'].sort(),
          query,
        )
        assert.equal(target.searchParams.get('scope'), 'openid profile email')
        assert.equal(target.searchParams.get('redirect_uri'), `${site.url}/callback`)
      }
    },
  )

  attack(
    'CVE-2019-11269: the redirect_uri is the configured one to the letter, in the request and when the code is redeemed',
    {},
    async ({ site, provider, accepts }) => {
      await accepts('any sign-in', {})
      assert.equal(provider.requestsTo('authorize').at(-1)?.query.redirect_uri, `${site.url}/callback`)
      assert.equal(provider.requestsTo('token').at(-1)?.form.redirect_uri, `${site.url}/callback`)
    },
  )

  attack(
    'CVE-2022-31034: a thousand attempts share no state, nonce or challenge, and every bit of nonce and challenge is set in about half of them',
    {},
    async ({ site }) => {
      const headers = { accept: 'text/html' }
      const values: Record<string, string[]> = { state: [], nonce: [], code_challenge: [] }
      for (let i = 0; i < 1000; i += 1) {
        const { headers: response } = await send({ url: `${site.url}/login`, headers })
        const { searchParams } = new URL(response.location ?? '')
        for (const name of Object.keys(values)) values[name]?.push(searchParams.get(name) ?? '')
      }
      const all = Object.values(values).flat()
      assert.equal(new Set(all).size, 3000)
      for (const [name, list] of Object.entries(values).filter(([name]) => name !== 'state')) {
        const bytes = list.map(value => Buffer.from(value, 'base64url'))
        assert.ok(
          bytes.every(({ length }) => length === 32),
          name,
        )
        for (let bit = 0; bit < 256; bit += 1) {
          const ones = bytes.filter(buffer => ((buffer[bit >> 3] ?? 0) >> (bit & 7)) & 1).length
          // 500 expected; beyond 400 to 600 lies once in 10^9.
          assert.ok(ones > 400 && ones < 600, `bit ${bit} of ${name}: ${ones} of 1000`)
        }
      }
    },
  )

  for (const methods of [['plain'], [], undefined]) {
    attack(
      methods === undefined
        ? 'PKCE by S256 is sent where the provider says nothing of PKCE'
        : methods.length === 0
          ? 'PKCE by S256 is sent where the provider says it has none'
          : 'PKCE by S256 is sent where the provider offers plain only',
      { provider: { metadata: { code_challenge_methods_supported: methods } } },
      async ({ provider, accepts }) => {
        await accepts('any sign-in', {})
        const { query } = provider.requestsTo('authorize').at(-1) ?? { query: {} as Record<string, string> }
        const verifier = provider.requestsTo('token').at(-1)?.form.code_verifier ?? ''
        assert.equal(query.code_challenge_method, 'S256')
        assert.match(verifier, /^[\w-]{43}$/)
        const urls = provider.requests.filter(({ search }) => search.includes(verifier))
        assert.deepEqual(urls, [], 'the verifier in an address')
      },
    )
  }

  attack(
    'a stolen code cannot be injected into an attempt of the attacker: PKCE or c_hash stops it',
    { oidc: { responseType: 'code' } },
    async ({ site, provider, agent }) => {
      const stolen = (await startAttempt({ site }, createAgent())).find(([name]) => name === 'code')
      const fields = await startAttempt({ site }, agent)
      const changed = fields.map(field => (field[0] === 'code' && stolen ? stolen : field))
      await agent.post(`${site.url}/callback`, changed, { from: provider.issuer })
      assert.equal(site.lastCode(), 'ERR_OIDC_CODE_REJECTED')
      assert.equal(await whoIs({ site }, agent), undefined)
    },
  )

  attack(
    'without PKCE a stolen code does not sign a user in, with each response type that has a code',
    { provider: { pkce: 'refused' }, oidc: { pkce: false } },
    async ({ provider }) => {
      const { issuer, clientId, clientSecret } = provider
      for (const [responseType, code, isSent] of [
        ['code', 'ERR_OIDC_ID_TOKEN_NONCE', true],
        ['code token', 'ERR_OIDC_ID_TOKEN_NONCE', true],
        ['code id_token', 'ERR_OIDC_ID_TOKEN_CODE_HASH', false],
        ['code id_token token', 'ERR_OIDC_ID_TOKEN_CODE_HASH', false],
      ] as const) {
        const site = await startSite({ oidc: { issuer, clientId, clientSecret, responseType, pkce: false } })
        try {
          const attacker = createAgent()
          const stolen = (await startAttempt({ site }, createAgent())).find(([name]) => name === 'code')
          const fields = await startAttempt({ site }, attacker)
          const before = [provider.count('token'), provider.count('userinfo')]
          const changed = fields.map(field => (field[0] === 'code' && stolen ? stolen : field))
          const page = await attacker.post(`${site.url}/callback`, changed, { from: provider.issuer })
          assert.equal(site.lastCode(), code, responseType)
          assert.deepEqual(sessionCookiesSet(page), [], responseType)
          assert.equal(await whoIs({ site }, attacker), undefined, responseType)
          const after = [(before[0] ?? 0) + Number(isSent), before[1]]
          assert.deepEqual([provider.count('token'), provider.count('userinfo')], after, `${responseType}: requests`)
          const honest = await createAgent().visit(`${site.url}/claims`)
          assert.equal(honest.status, 200, `${responseType}: ${honest.text.slice(0, 200)}`)
        } finally {
          await site.close()
        }
      }
      assert.ok(provider.requestsTo('authorize').every(({ query }) => query.code_challenge === undefined))
      assert.ok(provider.requestsTo('token').every(({ form }) => form.code_verifier === undefined))
    },
  )

  attack(
    'without PKCE no user is signed in by an ID Token of the token endpoint without this nonce, or by a first one without c_hash',
    { allows: [502], provider: { pkce: 'optional' }, oidc: { responseType: 'code id_token', pkce: false } },
    async ({ refuses, provider }) => {
      const nonces = { missing: undefined, empty: '', 'of another kind': 7, 'of another user': 'x'.repeat(43) }
      for (const [what, nonce] of Object.entries(nonces)) {
        const backIdToken = (claims: object) => ({ ...claims, nonce })
        await refuses({
          what: `nonce ${what}`,
          faults: { backIdToken },
          code: 'ERR_OIDC_ID_TOKEN_NONCE',
          tokenRequests: 1,
        })
      }
      for (const [what, c_hash] of Object.entries({
        missing: undefined,
        empty: '',
        'of another code': 'A'.repeat(22),
      })) {
        const frontIdToken = (claims: object) => ({ ...claims, c_hash })
        await refuses({ what: `c_hash ${what}`, faults: { frontIdToken }, code: 'ERR_OIDC_ID_TOKEN_CODE_HASH' })
      }
      await refuses({
        what: 'no ID Token from the token endpoint',
        faults: { tokenResponse: ({ id_token: _, ...body }) => body },
        code: 'ERR_OIDC_TOKEN_RESPONSE',
        tokenRequests: 1,
      })
      assert.deepEqual(provider.problems, [])
    },
  )

  attack(
    'sixty planted cookies with names like ours are ignored, and the sign-in works',
    {},
    async ({ site, agent, provider }) => {
      await startAttempt({ site }, agent)
      const name = attempts(agent, site.url)[0]?.name ?? ''
      const planted = Array.from({ length: 60 }, (_, i) => `${name}${i % 2 ? '.' : ''}planted${i}=junk${i}`)
      const headers = { cookie: [...planted, cookieHeader({ site }, agent)].join('; ') }
      const page = await agent.open(`${site.url}/claims`, { headers, redirect: 'manual' })
      assert.deepEqual(page.hops[0]?.setCookies, [])
      await agent.open(page.hops[0]?.location ?? '')
      const last = await agent.submitForm({}, { headers, redirect: 'manual' })
      assert.equal(last.status, 303, last.text)
      assert.deepEqual(provider.problems, [])
    },
  )

  attack(
    'whatever the URLs of the pages are, all attempts of a browser need one small cookie, no request head is large, and each returns to its page',
    {},
    async ({ site, agent }) => {
      const query = (length: number, index: number) => `?x=${index}${'a'.repeat(length)}`
      const pages = [0, 100, 500, 1000, 2000].flatMap(length => [1, 2].map(index => `/claims${query(length, index)}`))
      for (const path of pages) {
        const start = await agent.open(`${site.url}/login?returnTo=${encodeURIComponent(path)}`, { redirect: 'manual' })
        const head = Object.entries(start.headers).map(([name, value]) => `${name}: ${value}`)
        const { length } = [...head, ...(start.hops[0]?.setCookies ?? [])].join('\r\n')
        assert.ok(length < 2500, `${length} bytes of head for ${path.length} characters`)
        const { searchParams } = new URL(start.hops[0]?.location ?? '')
        assert.ok((searchParams.get('state')?.length ?? 0) <= 1000, 'a long state')
        await agent.open(start.hops[0]?.location ?? '')
        assert.equal((await agent.submitForm()).url, site.url + path)
        assert.equal(attempts(agent, site.url).length, 1)
        assert.ok(cookieHeader({ site }, agent).length < 500)
      }
    },
  )

  attack(
    'no frame starts a sign-in, of another site or of this one: it gets a page that leads the whole window there',
    { site: { handlesErrors: false } },
    async ({ site, victim, evil, provider }) => {
      const before = provider.count('authorize')
      const cookies = cookieHeader({ site }, victim)
      for (const path of ['/login', '/claims']) {
        for (const agent of [createAgent(), path === '/login' ? victim : createAgent()]) {
          for (const dest of ['iframe', 'frame', 'embed', 'object']) {
            for (const from of [`${evil.url}/`, `${site.url}/dashboard?tab=2`]) {
              const headers = { 'sec-fetch-dest': dest }
              const page = await agent.frame(site.url + path, { from, redirect: 'manual', headers })
              const isOwn = from.startsWith(site.url)
              assert.equal(page.status, 401, `${path} in ${dest}`)
              assert.deepEqual(page.hops[0]?.setCookies, [], path)
              assert.match(page.headers['content-type']?.toString() ?? '', /^text\/html/, 'a page for a frame')
              assert.equal(page.headers['x-frame-options'], isOwn ? 'SAMEORIGIN' : 'DENY')
              const link = isOwn ? '%2Fdashboard%3Ftab%3D2' : '%2F'
              assert.ok(page.text.includes(`href="/login?returnTo=${link}" target="_top"`), page.text)
            }
          }
        }
      }
      assert.equal(provider.count('authorize'), before)
      assert.equal(cookieHeader({ site }, victim), cookies)
    },
  )

  attack(
    'CVE-2021-22119 CVE-2026-55512: five hundred attempts that are never finished leave nothing in Redis',
    {},
    async () => {
      const redis = await startRedis()
      const provider = await startHostileProvider()
      const { issuer, clientId, clientSecret } = provider
      const site = await startSite({ oidc: { issuer, clientId, clientSecret, redis: redis.url } })
      try {
        for (let i = 0; i < 500; i += 1) {
          const { status } = await send({ url: `${site.url}/claims`, headers: { accept: 'text/html' } })
          assert.equal(status, 303)
        }
        assert.equal(await redis.command('dbsize'), 0)
      } finally {
        await site.close()
        await provider.close()
        await redis.stop()
      }
    },
  )
})

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** Changes the highest bit of a character: the lowest ones of the last character may mean nothing in base64url. */
function flipped(text: string, at: number): string {
  const other = alphabet[alphabet.indexOf(text[at] ?? '') ^ 32]
  return text.slice(0, at) + other + text.slice(at + 1)
}
