import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Express } from 'express'
import { createAgent } from '../support/agent.js'
import { createDevice, offerOf } from '../support/device.js'
import { parseForms } from '../support/html-form.js'
import { send } from '../support/http-client.js'
import { type HostsFixture, withHosts } from '../support/several-hosts.js'
import { sendRaw } from './fixture.js'

const html = { accept: 'text/html' }
const hostOf = (url: string) => new URL(url).host
const pairOf = (cookie = '') => cookie.split(';', 1).join()

function addPages(app: Express): void {
  app.get('/who', (req, res) => void res.json({ sub: req.oidc.user?.sub ?? null, data: req.session.pencil ?? null }))
  app.post('/who', (req, res) => {
    req.session.pencil = 'ink'
    res.json({})
  })
}

const whoAt = async (url: string, cookie: string) => {
  const response = await send({ url: `${url}/who`, headers: { cookie } })
  return JSON.parse(response.text) as { sub: string | null; data: string | null }
}

/** Starts a sign-in at a host; what its browser has then, and the fields of the provider's response. */
async function startAt({ provider }: HostsFixture, url: string) {
  const start = await send({ url: `${url}/login?returnTo=/who`, headers: html })
  const [form] = parseForms(await (await fetch(start.headers.location ?? '')).text(), provider.issuer)
  return { cookie: pairOf(start.setCookies[0]), fields: form?.fields as [string, string][] }
}

function postTo(url: string, fields: [string, string][], cookie: string) {
  return send({
    url: `${url}/callback`,
    method: 'POST',
    headers: { ...html, cookie, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
}

describe('a request for a host that is not listed', () => {
  test('gets 421 with a stable code, whatever Host it has: no cookie, no redirect, and nothing of it', () =>
    withHosts({ routes: addPages }, async ({ site, at }) => {
      const host = hostOf(at('a'))
      const bad = [
        [],
        ['Host:'],
        ['Host: evil.example'],
        ['Host: evil.example:443'],
        [`Host: ${host}`, 'Host: evil.example'],
        [`Host: ${host}`, `Host: ${host}`],
        [`Host: ${host}.`],
        [`Host: a.localhost.:${new URL(at('a')).port}`],
        ['Host: a.localhost'],
        [`Host: ${host}0`],
        [`Host: user@${host}`],
        [`Host: ${host}/x`],
        [`Host: ${host}, evil.example`],
        [`Host: evil.example ${host}`],
        ['Host: b\u00fccher.example'],
        ['Host: [::1]:80'],
        ['Host: 127.0.0.1'],
        ['Host: __proto__'],
        ['Host: constructor'],
        ['Host: evil.example', `X-Forwarded-Host: ${host}`],
        ['Host: evil.example', `Forwarded: host="${host}"`],
        ['Host: evil.example', `X-Host: ${host}`, `X-Original-Host: ${host}`],
      ]
      for (const target of [
        '/who',
        '/login',
        '/login?returnTo=/x',
        '/callback',
        '/logout',
        '/logout/callback',
        '/jwks',
      ]) {
        for (const lines of bad) {
          const reply = await sendRaw(site.url, [
            `GET ${target} HTTP/1.1`,
            ...lines,
            'Accept: text/html',
            'Connection: close',
          ])
          const what = `${target} ${lines.join(' | ')}`
          // Node itself refuses a request without a Host.
          assert.equal(reply.status, lines.length === 0 ? 400 : 421, `${what}: ${reply.head}`)
          assert.doesNotMatch(reply.head, /^(?:set-cookie|location):/im, what)
          assert.doesNotMatch(reply.head + reply.body, /evil|localhost|href/, what)
        }
      }
      assert.deepEqual(site.errors, [], 'no error handler of the site sees it')
      assert.match(
        site.log.join('\n'),
        /ERR_OIDC_HOST_UNKNOWN GET .*proxy in front of the site has to pass the header Host on/,
      )
      const json = await send({ url: `${site.url}/who`, headers: { host: 'evil.example' } })
      assert.equal(JSON.parse(json.text).error, 'ERR_OIDC_HOST_UNKNOWN')
    }))

  test('a target with a host of its own has to agree with Host', () =>
    withHosts({ routes: addPages }, async ({ site, at }) => {
      const host = hostOf(at('a'))
      const statusOf = async (target: string, lines: readonly string[]) =>
        (await sendRaw(site.url, [`GET ${target} HTTP/1.1`, ...lines, 'Accept: text/html', 'Connection: close'])).status
      assert.equal(await statusOf(`http://${host}/login`, [`Host: ${host}`]), 303)
      assert.equal(await statusOf('http://evil.example/login', [`Host: ${host}`]), 421)
      assert.equal(await statusOf(`http://${host}/login`, ['Host: evil.example']), 421)
      assert.equal(await statusOf(`http://${hostOf(at('b'))}/login`, [`Host: ${host}`]), 421)
    }))

  test('upper case and the port that is the default are other spellings of a listed host, and lead to its address only', () =>
    withHosts({ baseUrl: at => [at('a'), 'https://www.example.com'] }, async ({ site, at }) => {
      for (const [host, base] of [
        ['WWW.EXAMPLE.COM', 'https://www.example.com'],
        ['www.example.com:443', 'https://www.example.com'],
        [hostOf(at('a')).toUpperCase(), at('a')],
      ] as const) {
        const start = await send({ url: `${site.url}/login`, headers: { ...html, host } })
        assert.equal(new URL(start.headers.location ?? '').searchParams.get('redirect_uri'), `${base}/callback`, host)
      }
      const other = await send({ url: `${site.url}/login`, headers: { ...html, host: 'www.example.com:8443' } })
      assert.equal(other.status, 421)
    }))

  test('forwarded headers choose no host, with trust proxy or without', async () => {
    for (const trust of [false, true]) {
      await withHosts({ routes: addPages, before: app => app.set('trust proxy', trust) }, async ({ site, at }) => {
        const forwarded = {
          'x-forwarded-host': hostOf(at('b')),
          forwarded: `host=${hostOf(at('b'))}`,
          'x-forwarded-proto': 'https',
        }
        const start = await send({ url: `${at('a')}/login`, headers: { ...html, ...forwarded } })
        assert.equal(new URL(start.headers.location ?? '').searchParams.get('redirect_uri'), `${at('a')}/callback`)
        const refused = await send({ url: `${site.url}/login`, headers: { ...html, ...forwarded } })
        assert.equal(refused.status, 421)
        assert.match(site.log.join('\n'), /X-Forwarded-Host is not read/)
      })
    }
  })
})

describe('what one host has given to a browser', () => {
  test('a session cookie is none at another host, of a user or of a visitor without a user', () =>
    withHosts({ routes: addPages }, async ({ at }) => {
      const agent = createAgent()
      await agent.fetch(`${at('a')}/who`, { method: 'POST', from: `${at('a')}/` })
      const anonymous = agent
        .cookies(at('a'))
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      assert.equal((await whoAt(at('a'), anonymous)).data, 'ink')
      assert.equal((await whoAt(at('b'), anonymous)).data, null)
      await agent.visit(`${at('a')}/claims`)
      const signedIn = agent
        .cookies(at('a'))
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      assert.equal((await whoAt(at('a'), signedIn)).sub, 'alice-0001')
      assert.equal((await whoAt(at('b'), signedIn)).sub, null)
    }))

  test('a sign-in that began at one host cannot be finished at another, with the state, the cookie or both', () =>
    withHosts({ routes: addPages }, async fixture => {
      const { at, site, provider } = fixture
      const [a, b] = [await startAt(fixture, at('a')), await startAt(fixture, at('b'))]
      const [nameOfB = ''] = b.cookie.split('=', 1)
      const renamed = `${nameOfB}=${a.cookie.slice(a.cookie.indexOf('=') + 1)}`
      const tokens = provider.count('token')
      for (const cookie of [a.cookie, b.cookie, renamed]) {
        const response = await postTo(at('b'), a.fields, cookie)
        assert.equal(site.lastCode(), 'ERR_OIDC_TRANSACTION_MISSING', cookie)
        assert.deepEqual([response.status, response.headers.location], [400, undefined], response.text)
      }
      assert.equal((await postTo(at('b'), b.fields, renamed)).status, 400)
      assert.equal(provider.count('token'), tokens)
      assert.equal((await postTo(at('a'), a.fields, a.cookie)).status, 303)
    }))

  test('the return from a sign-out goes on at the host of its start only', () =>
    withHosts({ routes: addPages }, async ({ at, provider }) => {
      const agent = createAgent()
      const logoutOf = async (url: string) => {
        await agent.visit(`${url}/claims`)
        const out = await agent.open(`${url}/logout?returnTo=/who`, {
          redirect: 'manual',
          headers: { 'sec-fetch-site': 'same-origin' },
        })
        const cookie = out.hops.flatMap(({ setCookies }) => setCookies).find(line => line.includes('oidc.logout.'))
        return {
          cookie: pairOf(cookie),
          state: provider && new URL(String(out.headers.location)).searchParams.get('state'),
        }
      }
      const [a, b] = [await logoutOf(at('a')), await logoutOf(at('b'))]
      const renamed = b.cookie.slice(0, b.cookie.indexOf('=') + 1) + a.cookie.slice(a.cookie.indexOf('=') + 1)
      const back = (url: string, cookie: string) =>
        send({ url: `${url}/logout/callback?state=${a.state}`, headers: { ...html, cookie } })
      assert.equal((await back(at('b'), renamed)).headers.location, undefined)
      assert.equal((await back(at('a'), a.cookie)).headers.location, '/who')
    }))

  test('the offer to bind a session to a device counts at its host only', () =>
    withHosts({ routes: addPages, oidc: { session: { deviceBound: 'when-possible' } } }, async fixture => {
      const { at } = fixture
      const { cookie, fields } = await startAt(fixture, at('a'))
      const response = await postTo(at('a'), fields, cookie)
      const { challenge } = offerOf({ hops: [response] } as never)
      const register = (url: string) =>
        send({
          url: `${url}/session/device`,
          method: 'POST',
          headers: { 'secure-session-response': createDevice().prove(challenge) },
        })
      assert.equal((await register(at('b'))).status, 401)
      assert.equal((await register(at('a'))).status, 200)
    }))
})
