import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import type { Page as Tab } from 'playwright-core'
import { type Chromium, startChromium } from '../support/chromium.js'
import { send as sendRequest } from '../support/http-client.js'
import {
  createAgent,
  DAY,
  type FormFixture,
  isKeptFormPage,
  isUnsentPage,
  withFormFixture,
} from '../support/kept-form.js'
import { startLoopbackServer } from '../support/loopback-server.js'
import { startRedis } from '../support/redis.js'
import { cookieHeader } from './fixture.js'

const WEEK = 7 * DAY
const FORM = 'application/x-www-form-urlencoded'
const asBob = (claims: Readonly<Record<string, unknown>>) => ({ ...claims, sub: 'bob-0002' })
const bob = { frontIdToken: asBob, backIdToken: asBob, userInfoClaims: asBob }

const redis = await startRedis()
let chromium: Chromium
before(async () => {
  chromium = await startChromium()
})
beforeEach(() => redis.command('FLUSHALL'))
after(async () => {
  await chromium.close()
  await redis.stop()
})

async function formsInRedis(): Promise<number> {
  return ((await redis.command('KEYS', 'oidc:f:*')) as string[]).length
}

async function inTab(run: (tab: Tab) => Promise<void>): Promise<void> {
  const context = await chromium.newContext()
  try {
    await run(await context.newPage())
  } finally {
    await context.close()
  }
}

/** Signs in and lets the session expire: what comes next is a form of an expired session. */
async function expire({ write, advance }: FormFixture): Promise<void> {
  await write()
  advance(WEEK)
}

/** The headers of a browser that posts a form of this site. */
function headersOf({ site, agent }: FormFixture): Record<string, string> {
  return {
    cookie: cookieHeader({ site }, agent),
    accept: 'text/html',
    origin: site.url,
    'sec-fetch-site': 'same-origin',
    'sec-fetch-mode': 'navigate',
    'sec-fetch-dest': 'document',
  }
}

/** In the browser: a form that has each text as a name, as a value and in its address. */
const submitAll = `(given => {
  const form = document.createElement('form')
  form.method = 'post'
  form.action = '/notes/' + encodeURIComponent(given[0]) + '?q=' + encodeURIComponent(given[1]) + '&\\'"<b>'
  for (const payload of given) {
    const input = document.createElement('textarea')
    input.name = payload
    input.value = payload
    form.append(input)
  }
  document.body.append(form)
  HTMLFormElement.prototype.submit.call(form)
})`

const payloads = [
  `"><script>window.ran=1</script>`,
  `'"><img src=x onerror="window.ran=1">`,
  '</form><form action=http://evil.example><button autofocus>',
  '</script><svg/onload=window.ran=1>',
  'javascript:window.ran=1',
  '--></style><base href=http://evil.example/>',
  '\u202eevil\u2028\u2029\ufeff',
]

test(
  'CVE-2021-32792: names, values and the path of a kept form run no script and add no element to its page',
  withFormFixture({}, async fixture => {
    const { site, advance, received } = fixture
    await inTab(async tab => {
      await tab.goto(`${site.url}/login?returnTo=/notes/new`)
      await tab.waitForURL(/notes\/new/)
      advance(WEEK)
      await tab.evaluate(`${submitAll}(${JSON.stringify(payloads)})`)
      await tab.waitForURL(/\/form\?/)
      assert.equal(await tab.locator('h1').innerText(), 'Send this now?')
      assert.equal(await tab.evaluate('window.ran'), undefined)
      assert.equal(await tab.locator('script, img, svg, base, iframe').count(), 0)
      assert.equal(await tab.locator('form').count(), 1)
      assert.deepEqual(await tab.locator('dd').allTextContents(), payloads)
      assert.deepEqual(await tab.locator('dt').allTextContents(), payloads)
      await tab.locator('button').click()
      await tab.getByText('saved').waitFor()
      assert.deepEqual(
        [...new URLSearchParams(received[0]?.body)],
        payloads.map(payload => [payload, payload]),
      )
    })
  }),
)

test(
  'CVE-2025-3891: a POST without a content type, or with any other one, crashes nothing and keeps nothing',
  withFormFixture({ oidc: { redis: redis.url } }, async fixture => {
    const { site, received } = fixture
    await expire(fixture)
    const types = [
      undefined,
      '',
      ';',
      'multipart/form-data',
      'multipart/form-data; boundary=',
      'multipart/form-data; boundary="',
      'multipart/form-data; boundary=a; boundary=b',
      `multipart/form-data; boundary=${'a'.repeat(5000)}`,
      'multipart/mixed; boundary=a',
      'text/plain',
      'application/json',
      'application/octet-stream',
      `${FORM}; charset=utf-7`,
      `${FORM}; charset=iso-8859-1`,
      `${FORM};;`,
      'x'.repeat(8000),
    ]
    for (const type of types)
      for (const body of ['', 'a=1', '--a--', '\0'.repeat(100), '{"a":1}']) {
        const headers = { ...headersOf(fixture), ...(type !== undefined && { 'content-type': type }) }
        const response = await sendRequest({ url: `${site.url}/notes`, method: 'POST', headers, body })
        assert.equal(response.status, 200, `${type} ${response.text}`)
        assert.match(response.text, /http-equiv="refresh"/, 'the sign-in goes on')
      }
    const compressed = { ...headersOf(fixture), 'content-type': FORM, 'content-encoding': 'gzip' }
    await sendRequest({ url: `${site.url}/notes`, method: 'POST', headers: compressed, body: 'a=1' })
    assert.equal(await formsInRedis(), 0)
    assert.deepEqual(received, [])
  }),
)

test(
  'a form of another site is never kept: another origin, another site, a sandbox, a frame, a script, or no word of where it comes from',
  withFormFixture({ oidc: { redis: redis.url } }, async fixture => {
    const { site, received } = fixture
    await expire(fixture)
    const own = { ...headersOf(fixture), 'content-type': FORM }
    const old = { cookie: cookieHeader(fixture, fixture.agent), accept: 'text/html', 'content-type': FORM }
    const port = Number(new URL(site.url).port)
    const others: Record<string, string>[] = [
      { ...own, 'sec-fetch-site': 'cross-site', origin: 'http://evil.example' },
      { ...own, 'sec-fetch-site': 'cross-site' },
      { ...own, 'sec-fetch-site': 'same-site' },
      { ...own, 'sec-fetch-site': 'none' },
      { ...own, 'sec-fetch-site': 'SAME-ORIGIN' },
      { ...own, 'sec-fetch-site': 'same-origin, same-origin' },
      { ...own, 'sec-fetch-dest': 'iframe' },
      { ...own, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' },
      { ...own, 'sec-purpose': 'prefetch' },
      { ...old },
      { ...old, referer: `${site.url}/notes/new` },
      { ...old, origin: 'null' },
      { ...old, origin: 'http://evil.example' },
      { ...old, origin: `${site.url}.evil.example` },
      { ...old, origin: `http://localhost:${port + 1}` },
      { ...old, origin: site.url.replace('http:', 'https:') },
    ]
    for (const headers of others) {
      const response = await sendRequest({ url: `${site.url}/notes`, method: 'POST', headers, body: 'title=planted' })
      assert.ok([200, 303, 401].includes(response.status), `${response.status} ${JSON.stringify(headers)}`)
      assert.equal(await formsInRedis(), 0, JSON.stringify(headers))
    }
    for (const headers of [own, { ...own, origin: 'null' }, { ...old, origin: site.url }])
      await sendRequest({ url: `${site.url}/notes`, method: 'POST', headers, body: 'title=mine' })
    assert.equal(await formsInRedis(), 1)
    assert.equal(received.length, 0)
  }),
)

test(
  'a form that another site posts in a real browser is not kept, and the user is told nothing of it',
  withFormFixture({ oidc: { redis: redis.url } }, async ({ site, advance, received }) => {
    const evil = await startLoopbackServer((_req, res) => {
      res.setHeader('content-type', 'text/html')
      res.end(`<form method=post action="${site.url}/notes"><input name=title value=planted><button>x</button></form>`)
    })
    try {
      await inTab(async tab => {
        await tab.goto(`${site.url}/login?returnTo=/notes/new`)
        await tab.waitForURL(/notes\/new/)
        advance(WEEK)
        await tab.goto(`http://127.0.0.1:${evil.port}/`)
        await tab.locator('button').click()
        await tab.waitForURL(`${site.url}/`)
        assert.doesNotMatch(await tab.content(), /planted|Not sent/)
        assert.equal(await formsInRedis(), 0)
        assert.deepEqual(received, [])
      })
    } finally {
      await evil.stop()
    }
  }),
)

test(
  'another user who signs in sees neither names nor values of a kept form, and cannot send it; its user still can',
  withFormFixture({}, async fixture => {
    const { agent, provider, send, received, site } = fixture
    await expire(fixture)
    provider.break(bob)
    const page = await send({ diary: 'of Alice' })
    assert.equal(page.status, 410)
    assert.ok(isUnsentPage(page))
    assert.doesNotMatch(page.text, /diary|Alice/)
    const handle = new URL(page.url).searchParams.get('form') ?? ''
    const forged = await agent.post(`${site.url}/notes?oidc_form=${handle}`, { diary: 'x' }, { from: page.url })
    assert.equal(forged.status, 410)
    assert.deepEqual(received, [])
    provider.heal()
    await agent.visit(`${site.url}/login?returnTo=/notes/new`)
    assert.ok(isKeptFormPage(await agent.open(page.url)))
  }),
)

test(
  'a kept form is not there in another browser of the same user, nor after a sign-out',
  withFormFixture({}, async fixture => {
    const { agent, send, write, site } = fixture
    await expire(fixture)
    const page = await send()
    assert.ok(isKeptFormPage(page))
    const other = createAgent()
    await write(other)
    const elsewhere = await other.open(page.url)
    assert.equal(elsewhere.status, 410)
    assert.doesNotMatch(elsewhere.text, /Milk/)
    assert.ok(isKeptFormPage(await agent.open(page.url)))
    await agent.post(`${site.url}/logout?local=1`, {}, { from: page.url })
    await write()
    assert.equal((await agent.open(page.url)).status, 410)
  }),
)

test(
  'a kept form is sent to no other path, by no other site, and by nothing but its handle',
  withFormFixture({}, async fixture => {
    const { agent, send, site, received } = fixture
    await expire(fixture)
    const page = await send({ title: 'Milk' }, { path: '/notes?draft=1' })
    const action = page.forms[0]?.action ?? ''
    const handle = new URL(action).searchParams.get('oidc_form') ?? ''
    const elsewhere = [
      `/notes?oidc_form=${handle}`,
      `/notes/7?draft=1&oidc_form=${handle}`,
      `/notes?draft=2&oidc_form=${handle}`,
      `/notes?draft=1&oidc_form=${handle}&oidc_form=${handle}`,
      `/notes?draft=1&oidc_form=`,
      `/notes?draft=1&oidc_form=${handle.slice(0, -1)}`,
      `/notes?draft=1&oidc_form=${'x'.repeat(2000)}`,
    ]
    for (const path of elsewhere) {
      const { status } = await agent.post(site.url + path, { title: 'Milk' }, { from: page.url })
      assert.equal(status, 410, path)
    }
    const foreign = {
      'sec-fetch-site': 'cross-site',
      origin: 'http://evil.example',
      cookie: cookieHeader(fixture, agent),
    }
    const { status } = await agent.post(action, { title: 'Milk' }, { headers: foreign, from: 'http://evil.example/' })
    assert.notEqual(status, 200)
    assert.deepEqual(received, [])
    await agent.open(page.url)
    await agent.submitForm()
    assert.equal(received.length, 1, 'nothing of it has taken the form away')
  }),
)

test(
  'a kept form that is sent twenty times at once by two processes gets through once',
  withFormFixture({ oidc: { redis: redis.url } }, async fixture => {
    const { agent, send, site, received, startAnother } = fixture
    const another = await startAnother()
    await expire(fixture)
    const page = await send()
    const action = new URL(page.forms[0]?.action ?? '')
    const headers = { ...headersOf(fixture), cookie: cookieHeader({ site }, agent), 'content-type': FORM }
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const url = `${at % 2 === 0 ? site.url : another.url}${action.pathname}${action.search}`
        return (await sendRequest({ url, method: 'POST', headers, body: 'title=Milk' })).status
      }),
    )
    assert.equal(received.length, 1)
    assert.deepEqual(statuses.toSorted(), [200, ...Array.from({ length: 19 }, () => 410)])
  }),
)

test(
  'visitors who post without end leave nothing in Redis, and neither does a cookie that was made up',
  withFormFixture({ oidc: { redis: redis.url } }, async ({ site, agent, write }) => {
    await write()
    const [cookie = ''] = agent
      .cookies(site.url)
      .filter(({ name }) => name === 'sid')
      .map(({ value }) => value)
    const before = Number(await redis.command('DBSIZE'))
    const headers = { accept: 'text/html', origin: site.url, 'content-type': FORM }
    for (const sid of [undefined, 'x', `${'a'.repeat(43)}.${'b'.repeat(43)}`, `${cookie}x`])
      for (let count = 0; count < 50; count += 1)
        await sendRequest({
          url: `${site.url}/notes`,
          method: 'POST',
          headers: { ...headers, ...(sid !== undefined && { cookie: `sid=${sid}` }) },
          body: `text=${'x'.repeat(60_000)}`,
        })
    assert.equal(Number(await redis.command('DBSIZE')), before)
  }),
)

test(
  'a user whose session has expired and who posts without end fills eight places',
  withFormFixture({ oidc: { redis: redis.url } }, async fixture => {
    const { site } = fixture
    await expire(fixture)
    const headers = { ...headersOf(fixture), 'content-type': FORM }
    const bodies = Array.from({ length: 40 }, () => 'x'.repeat(60_000))
    await Promise.all(
      bodies.map(text => sendRequest({ url: `${site.url}/notes`, method: 'POST', headers, body: `text=${text}` })),
    )
    const [key = ''] = (await redis.command('KEYS', 'oidc:f:*')) as string[]
    assert.equal(await redis.command('HLEN', key), 8)
  }),
)

test(
  'a body of more than 64 KiB is not kept, whether it says so or not, and the page says why',
  withFormFixture({}, async fixture => {
    const { send, received } = fixture
    await expire(fixture)
    const largest = 64 * 1024 - 'text='.length
    assert.ok(isKeptFormPage(await send({ text: 'x'.repeat(largest) })))
    fixture.advance(WEEK)
    const page = await send({ text: 'x'.repeat(largest + 1) })
    assert.ok(isUnsentPage(page))
    assert.match(page.text, /too large/)
    fixture.advance(WEEK)
    assert.match((await send(`a=${'%41'.repeat(30_000)}`)).text, /too large/, 'as it was sent')
    fixture.advance(WEEK)
    assert.match((await send('a&'.repeat(20_000))).text, /too large/, 'too many fields')
    assert.deepEqual(received, [])
  }),
)

test(
  'a body without an end is not read beyond 64 KiB, and the sign-in does not wait for it',
  withFormFixture({}, async fixture => {
    await expire(fixture)
    const port = Number(new URL(fixture.site.url).port)
    const chunk = `1000\r\n${'x'.repeat(0x1000)}\r\n`
    const bodies = [
      { headers: { 'transfer-encoding': 'chunked' }, body: chunk.repeat(64) },
      { headers: { 'content-length': '100000000' }, body: 'title=' },
    ]
    for (const { headers, body } of bodies) {
      const lines = Object.entries({ ...headersOf(fixture), 'content-type': FORM, ...headers })
      const head = lines.map(([name, value]) => `${name}: ${value}`).join('\r\n')
      const response = await new Promise<string>((resolve, reject) => {
        let received = ''
        const socket = connect(port, '127.0.0.1', () => {
          socket.write(`POST /notes HTTP/1.1\r\nHost: localhost:${port}\r\n${head}\r\n\r\n${body}`)
        })
        socket.on('data', data => {
          received += data
          if (!received.includes('</html>')) return
          socket.destroy()
          resolve(received)
        })
        socket.on('error', reject)
      })
      assert.match(response, /^HTTP\/1\.1 200 /)
      assert.match(response, /http-equiv="refresh"/)
    }
  }),
)

test(
  'a body that is cut off is not kept',
  withFormFixture({ oidc: { redis: redis.url } }, async fixture => {
    await expire(fixture)
    const port = Number(new URL(fixture.site.url).port)
    const lines = Object.entries({ ...headersOf(fixture), 'content-type': FORM, 'content-length': '1000' })
    const head = lines.map(([name, value]) => `${name}: ${value}`).join('\r\n')
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.end(`POST /notes HTTP/1.1\r\nHost: localhost:${port}\r\n${head}\r\n\r\ntitle=half`)
      })
      socket.resume()
      socket.on('close', () => resolve())
      socket.on('error', reject)
    })
    assert.ok(isKeptFormPage(await fixture.send()))
    const [key = ''] = (await redis.command('KEYS', 'oidc:f:*')) as string[]
    assert.equal(await redis.command('HLEN', key), 1)
  }),
)

test(
  'the page of a kept form is not displayed in a frame of another site',
  withFormFixture({}, async fixture => {
    const { site, advance } = fixture
    await inTab(async tab => {
      await tab.goto(`${site.url}/login?returnTo=/notes/new`)
      await tab.waitForURL(/notes\/new/)
      advance(WEEK)
      await tab.evaluate(
        `document.body.innerHTML = '<form method=post action=/notes><input name=title value=Milk></form>'; document.forms[0].submit()`,
      )
      await tab.waitForURL(/\/form\?/)
      const address = tab.url()
      for (const origin of ['http://localhost', 'http://127.0.0.1']) {
        const evil = await startLoopbackServer((_req, res) => {
          res.setHeader('content-type', 'text/html')
          res.end(`<iframe src="${address.replaceAll('"', '')}"></iframe>`)
        })
        await tab.goto(`${origin}:${evil.port}/`, { waitUntil: 'load' })
        const frame = tab.frames().find(each => each !== tab.mainFrame())
        assert.doesNotMatch((await frame?.content()) ?? '', /Milk|Send this now/)
        await evil.stop()
      }
    })
  }),
)

test(
  'an address that was made up says nothing of its own on the page about a form',
  withFormFixture({}, async ({ agent, write, site }) => {
    await write()
    const texts = ['<script>alert(1)</script>', 'x'.repeat(1000), `${site.url}.evil.example`, '%00', '__proto__']
    for (const text of texts)
      for (const name of ['form', 'unsent', 'page', 'reason']) {
        const page = await agent.open(`${site.url}/form?${new URLSearchParams({ [name]: text })}`)
        assert.ok(isUnsentPage(page), page.text)
        assert.ok(!page.text.includes(text) && !page.text.includes('alert'), page.text)
        assert.match(page.text, /<a href="\/">/)
      }
  }),
)
