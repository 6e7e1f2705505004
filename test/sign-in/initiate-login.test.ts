import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { parseInitiatedLogin } from '../../lib/protocol/initiated-login.js'
import { type Chromium, startChromium } from '../support/chromium.js'
import { type Fixture, withFixture } from '../support/handler-fixture.js'
import { startLoopbackServer } from '../support/loopback-server.js'

const PATH = '/initiate'
const PORTAL = 'http://portal.example/'
const options = { oidc: { routes: { initiateLogin: PATH } } } as const

function address({ site, provider }: Fixture, fields: Readonly<Record<string, string>> = {}): string {
  return `${site.url}${PATH}?${new URLSearchParams({ iss: provider.issuer, ...fields })}`
}

/** Parameters of the last authorization request. */
function asked({ provider }: Fixture): Readonly<Record<string, string>> {
  const request = provider.requests.filter(({ query }) => query.response_type !== undefined).at(-1)
  assert.ok(request, 'there was no authorization request')
  return request.query
}

describe('a sign-in that a portal starts', () => {
  test(
    'by a link: the user lands on the page that was named, and the hint reaches the provider',
    withFixture(options, async fixture => {
      const { agent, site } = fixture
      await agent.click(
        address(fixture, { target_link_uri: `${site.url}/user?tab=1`, login_hint: 'alice@example.com' }),
        {
          from: PORTAL,
        },
      )
      await goOn(fixture)
      assert.equal(agent.page?.url, `${site.url}/user?tab=1`)
      assert.match(agent.page?.text ?? '', /alice-0001/)
      assert.equal(asked(fixture).login_hint, 'alice@example.com')
    }),
  )

  test(
    'by a posted form, without a page: the user lands on the start page',
    withFixture(options, async fixture => {
      const { agent, site, provider } = fixture
      await agent.post(
        `${site.url}${PATH}`,
        { iss: provider.issuer, login_hint: '', more: 'ignored' },
        { from: PORTAL },
      )
      await goOn(fixture)
      assert.equal(agent.page?.url, `${site.url}/`)
      assert.equal(asked(fixture).login_hint, undefined)
      assert.equal((await agent.fetch(`${site.url}/user`)).json<{ isAuthenticated: boolean }>().isAuthenticated, true)
    }),
  )

  test(
    'a user who is signed in goes on with the same data',
    withFixture(options, async fixture => {
      const { agent, site } = fixture
      await agent.visit(`${site.url}/claims`)
      await agent.fetch(`${site.url}/session?note=kept`, { method: 'POST' })
      await agent.click(address(fixture), { from: PORTAL })
      await goOn(fixture)
      assert.deepEqual((await agent.fetch(`${site.url}/session`)).json(), { note: 'kept' })
    }),
  )

  const refusals: readonly [
    what: string,
    fields: (fixture: Fixture) => Readonly<Record<string, string>>,
    code: string,
  ][] = [
    ['no issuer', () => ({ iss: '' }), 'ERR_OIDC_REQUEST_MALFORMED'],
    ['another issuer', () => ({ iss: 'https://evil.example' }), 'ERR_OIDC_RESPONSE_ISSUER'],
    ['the issuer with a slash', ({ provider }) => ({ iss: `${provider.issuer}/` }), 'ERR_OIDC_RESPONSE_ISSUER'],
    ...[
      'https://evil.example/',
      '//evil.example',
      '/\\evil.example',
      'javascript:alert(1)',
      'http://localhost@evil.example/',
      '/initiate',
      `/${'a'.repeat(2048)}`,
    ].map(
      uri =>
        [`the page ${uri.slice(0, 40)}`, () => ({ target_link_uri: uri }), 'ERR_OIDC_REQUEST_MALFORMED'] as [
          string,
          () => Record<string, string>,
          string,
        ],
    ),
    ['a long hint', () => ({ login_hint: 'a'.repeat(2049) }), 'ERR_OIDC_REQUEST_MALFORMED'],
  ]
  for (const [what, fields, code] of refusals)
    test(
      `${what} is refused, and nothing is started`,
      withFixture(options, async fixture => {
        const { agent, site, provider } = fixture
        const page = await agent.click(address(fixture, fields(fixture)), { from: PORTAL })
        assert.equal(page.status, 400)
        assert.equal(site.lastCode(), code)
        assert.equal(provider.count('authorize'), 0)
        assert.deepEqual(agent.cookies(site.url), [])
      }),
    )

  test(
    'a script, a prefetch, another method and another kind of body start nothing',
    withFixture(options, async fixture => {
      const { agent, site, provider } = fixture
      const url = address(fixture)
      assert.equal((await agent.fetch(url)).status, 401)
      assert.equal((await agent.fetch(url, { headers: { 'sec-purpose': 'prefetch' } })).status, 401)
      assert.equal((await agent.fetch(url, { method: 'PUT' })).status, 405)
      const headers = { 'content-type': 'application/json', accept: 'text/html' }
      const navigation = { ...headers, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
      const posted = await fetch(`${site.url}${PATH}`, { method: 'POST', body: '{}', headers: navigation })
      assert.ok([401, 415].includes(posted.status), String(posted.status))
      assert.equal(provider.count('authorize'), 0)
    }),
  )

  test(
    'without the option the address is a page of the site like every other',
    withFixture({}, async fixture => {
      assert.equal((await fixture.agent.open(address(fixture))).status, 404)
    }),
  )
})

describe('in a real browser', () => {
  let chromium: Chromium

  before(async () => {
    chromium = await startChromium()
  })
  after(() => chromium?.close())

  test(
    'a form of another site signs in; the same form in a frame does not',
    withFixture({ ...options, site: { handlesErrors: false } }, async ({ site, provider }) => {
      const form = (target: string) =>
        `<form method="post" action="${site.url}${PATH}" target="${target}">
        <input name="iss" value="${provider.issuer}"><input name="target_link_uri" value="${site.url}/user">
        <button>Open the shop</button></form><iframe name="inside"></iframe>`
      const portal = await startLoopbackServer((req, res) => {
        res.setHeader('content-type', 'text/html')
        res.end(form(req.url === '/frame' ? 'inside' : '_top'))
      })
      const tab = await chromium.newPage()
      try {
        await tab.goto(`http://127.0.0.1:${portal.port}/frame`)
        const response = tab.waitForResponse(`${site.url}${PATH}`)
        await tab.getByText('Open the shop').click()
        assert.equal((await response).status(), 401)
        assert.equal(provider.count('authorize'), 0)
        await tab.goto(`http://127.0.0.1:${portal.port}/`)
        await tab.getByText('Open the shop').click()
        await tab.waitForURL(`${site.url}/user`)
        assert.match(await tab.locator('body').innerText(), /alice-0001/)
      } finally {
        await tab.context().close()
        await portal.stop()
      }
    }),
  )
})

describe('the parameters', () => {
  const issuer = 'https://login.example'
  const read = (text: string) => parseInitiatedLogin(new URLSearchParams(text), () => issuer)

  test('are read by their names, once each', () => {
    assert.deepEqual(read(`iss=${issuer}&login_hint=a&target_link_uri=/b&state=c`), {
      loginHint: 'a',
      targetLinkUri: '/b',
    })
    assert.deepEqual(read(`iss=${issuer}&login_hint=`), {})
    for (const text of [`iss=${issuer}&iss=${issuer}`, `iss=${issuer}&login_hint=a&login_hint=b`, 'login_hint=a', ''])
      assert.throws(() => read(text), { code: 'ERR_OIDC_REQUEST_MALFORMED' }, text)
    assert.throws(() => read('iss=HTTPS://login.example'), { code: 'ERR_OIDC_RESPONSE_ISSUER' })
  })
})

/** Sends the forms that a browser would send by itself. */
async function goOn({ agent }: Fixture): Promise<void> {
  for (let count = 0; agent.page?.forms[0]?.isAutomatic && count < 5; count += 1) await agent.submitForm()
}
