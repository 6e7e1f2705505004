import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { createAgent } from './agent.js'
import { parseForms } from './html-form.js'

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

const seen: Seen[] = []
const server = createServer(async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  seen.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body })
  respond(request, response)
})

function respond(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://x')
  const to = url.pathname === '/loop' ? '/loop' : url.searchParams.get('to')
  const cookies = url.searchParams.getAll('cookie')
  if (cookies.length > 0) response.setHeader('set-cookie', cookies)
  if (to) response.writeHead(Number(url.searchParams.get('status') ?? 302), { location: to })
  const action = url.searchParams.get('form')
  const lead = url.searchParams.get('lead')
  const policy = url.searchParams.get('policy')
  if (policy) response.setHeader('referrer-policy', policy)
  if (!action && !lead) return void response.end('{"ok":true}')
  response.setHeader('content-type', 'text/html; charset=utf-8')
  if (lead) return void response.end(`<meta http-equiv="refresh" content="0;url=${lead.replaceAll('&', '&amp;')}">`)
  const form = `<form method="post" action="${action}"><input type=hidden name="a&amp;b" value='&lt;&#x27;&#34;>'/></form>`
  response.end(`<html><body onload="document.forms[0].submit()">${form}</body></html>`)
}

let here: string
let there: string
before(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  here = `http://localhost:${port}`
  there = `http://127.0.0.1:${port}`
})
after(() => server.close())

const last = () => seen.at(-1) as Seen
const withQuery = (path: string, query: Record<string, string>) => `${path}?${new URLSearchParams(query)}`

describe('redirects', () => {
  const rows: [status: number, method: string, becomes: string, body: string][] = [
    [301, 'POST', 'GET', ''],
    [302, 'POST', 'GET', ''],
    [303, 'POST', 'GET', ''],
    [303, 'PUT', 'GET', ''],
    [302, 'PUT', 'PUT', 'x'],
    [307, 'POST', 'POST', 'x'],
    [308, 'POST', 'POST', 'x'],
  ]
  for (const [status, method, becomes, body] of rows) {
    test(`${status} after ${method} becomes ${becomes}`, async () => {
      const agent = createAgent()
      const page = await agent.fetch(withQuery(`${here}/a`, { to: '/b', status: `${status}` }), { method, body: 'x' })
      assert.equal(last().method, becomes)
      assert.equal(last().body, body)
      assert.equal(last().headers['content-type'] === undefined, body === '')
      assert.deepEqual(
        page.hops.map(hop => [hop.status, hop.method]),
        [
          [status, method],
          [200, becomes],
        ],
      )
    })
  }

  test('can be looked at instead of followed', async () => {
    const page = await createAgent().open(withQuery(`${here}/a`, { to: 'b?c' }), { redirect: 'manual' })
    assert.equal(page.status, 302)
    assert.equal(page.hops[0]?.location, `${here}/b?c`)
  })

  test('of a page that leads on are followed as a navigation of that page', async () => {
    const target = withQuery(`${there}/b`, { x: '1', y: '2' })
    const agent = createAgent()
    const page = await agent.post(withQuery(`${here}/a`, { lead: target }), {}, { from: `${there}/form` })
    assert.deepEqual([page.url, page.hops.length, agent.page?.url], [target, 2, target])
    assert.deepEqual([last().method, last().body, last().headers.referer], ['GET', '', `${here}/`])
    assert.equal(last().headers['sec-fetch-site'], 'cross-site')
    const shown = await agent.post(withQuery(`${here}/a`, { lead: target }), {}, { redirect: 'manual' })
    assert.deepEqual([shown.hops.length, shown.leadsTo], [1, target])
    const fetched = await agent.fetch(withQuery(`${there}/a`, { lead: target }))
    assert.equal(fetched.hops.length, 1, 'a script does not open it')
  })

  test('end after 20', async () => {
    await assert.rejects(createAgent().open(`${here}/loop`), /More than 20 redirects/)
  })
})

describe('Sec-Fetch-Site, Origin and Referer', () => {
  test('of an address that the user typed', async () => {
    await createAgent().open(`${here}/x`)
    const { headers } = last()
    assert.equal(headers['sec-fetch-site'], 'none')
    assert.equal(headers['sec-fetch-mode'], 'navigate')
    assert.equal(headers['sec-fetch-dest'], 'document')
    assert.equal(headers['sec-fetch-user'], '?1')
    assert.match(headers.accept ?? '', /^text\/html/)
    assert.equal(headers.origin, undefined)
    assert.equal(headers.referer, undefined)
  })

  test('of a form that another site sends, and of the GET after its 303', async () => {
    const agent = createAgent()
    await agent.visit(withQuery(`${there}/op`, { form: withQuery(`${here}/callback`, { to: '/page', status: '303' }) }))
    const [post, get] = seen.slice(-2)
    assert.deepEqual([post?.method, post?.body], ['POST', new URLSearchParams({ 'a&b': `<'">` }).toString()])
    assert.equal(post?.headers['sec-fetch-site'], 'cross-site')
    assert.equal(post?.headers['sec-fetch-user'], undefined)
    assert.equal(post?.headers.origin, there)
    assert.equal(post?.headers.referer, `${there}/`)
    assert.equal(get?.method, 'GET')
    assert.equal(get?.headers['sec-fetch-site'], 'cross-site')
    assert.equal(get?.headers.origin, undefined)
  })

  test('of a form on a page with Referrer-Policy: no-referrer', async () => {
    await createAgent().visit(withQuery(`${there}/op`, { form: `${here}/callback`, policy: 'no-referrer' }))
    assert.equal(last().headers.origin, 'null')
    assert.equal(last().headers.referer, undefined)
  })

  test('of a form that is sent on by two other origins', async () => {
    const back = withQuery(`${here}/b`, { to: `${there}/c`, status: '307' })
    await createAgent().post(withQuery(`${there}/a`, { to: back, status: '307' }), {}, { from: `${here}/form` })
    assert.equal(last().headers.origin, 'null')
  })

  test('of a link within the site that is redirected away and back', async () => {
    const agent = createAgent()
    await agent.open(`${here}/start`)
    await agent.click(withQuery(`${here}/login`, { to: withQuery(`${there}/op`, { to: `${here}/back` }) }))
    const sites = seen.slice(-3).map(request => request.headers['sec-fetch-site'])
    assert.deepEqual(sites, ['same-origin', 'cross-site', 'cross-site'])
  })

  test('of a fetch() on a page of the site', async () => {
    const agent = createAgent()
    await agent.open(`${here}/start`)
    await agent.fetch(`${here}/api`, { method: 'POST', body: '{}' })
    const { headers } = last()
    assert.deepEqual(
      [headers['sec-fetch-site'], headers['sec-fetch-mode'], headers['sec-fetch-dest'], headers.accept, headers.origin],
      ['same-origin', 'cors', 'empty', '*/*', here],
    )
    assert.equal(agent.page?.url, `${here}/start`)
  })
})

describe('cookies', () => {
  const both = ['lax=1; SameSite=Lax; Path=/', '__Host-none=1; SameSite=None; Secure; Path=/']
  const setting = (path: string, more: Record<string, string> = {}) =>
    `${withQuery(path, more)}&${both.map(cookie => `cookie=${encodeURIComponent(cookie)}`).join('&')}`

  test('a form from another site brings the None cookie only; the GET after its 303 brings both', async () => {
    const agent = createAgent()
    await agent.open(setting(`${here}/set`))
    await agent.post(withQuery(`${here}/callback`, { to: '/page', status: '303' }), {}, { from: `${there}/op` })
    const [post, get] = seen.slice(-2)
    assert.equal(post?.headers.cookie, '__Host-none=1')
    assert.equal(get?.headers.cookie, 'lax=1; __Host-none=1')
  })

  test('a Lax cookie set in the response to that form arrives on the GET after it', async () => {
    await createAgent().post(setting(`${here}/callback`, { to: '/page', status: '303' }), {}, { from: `${there}/op` })
    assert.equal(last().headers.cookie, 'lax=1; __Host-none=1')
  })

  test('a frame on another site gets the None cookie only', async () => {
    const agent = createAgent()
    await agent.open(setting(`${here}/set`))
    await agent.open(`${there}/op`)
    await agent.frame(`${here}/logout/frontchannel`)
    assert.equal(last().headers.cookie, '__Host-none=1')
    assert.equal(last().headers['sec-fetch-dest'], 'iframe')
  })

  test('fetch() sends none to another origin unless told to', async () => {
    const agent = createAgent()
    await agent.open(setting(`${here}/set`))
    await agent.open(`${there}/elsewhere`)
    await agent.fetch(`${here}/api`)
    assert.equal(last().headers.cookie, undefined)
    await agent.fetch(`${here}/api`, { credentials: 'include' })
    assert.equal(last().headers.cookie, '__Host-none=1')
  })

  test('fetch() to another origin stores none either', async () => {
    const agent = createAgent()
    await agent.open(`${there}/elsewhere`)
    await agent.fetch(setting(`${here}/set`))
    assert.deepEqual(agent.jar.all(), [])
    await agent.fetch(setting(`${here}/set`), { credentials: 'include' })
    assert.deepEqual(
      agent.jar.all().map(cookie => cookie.name),
      ['__Host-none'],
    )
  })

  test('two tabs share them, two agents do not', async () => {
    const agent = createAgent()
    await agent.open(setting(`${here}/set`))
    await agent.tab().open(`${here}/x`)
    assert.equal(last().headers.cookie, 'lax=1; __Host-none=1')
    await createAgent().open(`${here}/x`)
    assert.equal(last().headers.cookie, undefined)
  })
})

test('forms are read with all kinds of quotes, in document order, without buttons', () => {
  const [form] = parseForms(
    `<!-- <form action=/no></form> --><form METHOD=post action='/a?b=1&amp;c=2'>
      <input value="&#x1F600;" name=one><input type="hidden" name='two'>
      <input type=submit name=go value=x><input type=checkbox name=c value=1><input type=checkbox checked name=d value=2>
    </form>`,
    'http://localhost/page',
  )
  assert.deepEqual(form, {
    action: 'http://localhost/a?b=1&c=2',
    method: 'POST',
    fields: [
      ['one', '😀'],
      ['two', ''],
      ['d', '2'],
    ],
    isAutomatic: false,
  })
})
