import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withFixture } from '../support/handler-fixture.js'
import { type RawResponse, send } from '../support/http-client.js'

/** Bytes of the head: what nginx, with its defaults, takes is 4,096. A site with security headers of its own needs about 1,000 of them. */
function headOf({ headers, setCookies }: RawResponse): number {
  const others = Object.entries(headers).filter(([name]) => name !== 'set-cookie')
  const lines = [
    ...others.map(([name, value]) => `${name}: ${value}`),
    ...setCookies.map(text => `set-cookie: ${text}`),
  ]
  return lines.reduce((length, line) => length + line.length + 2, 0)
}

const pages: readonly [what: string, page: string, landsOn: string][] = [
  ['an address of ordinary length', '/user?tab=2', '/user?tab=2'],
  ['a query of characters that grow in a query', `/user?${'&'.repeat(2000)}`, '/user'],
  ['a query of percent signs', `/user?q=${'%25'.repeat(600)}`, '/user'],
  ['a long fragment', `/user#${'/'.repeat(1900)}`, '/user'],
  ['a long path', `/${'a'.repeat(2000)}?x=1`, '/'],
  ['a path of slashes', `/a${'/b'.repeat(900)}`, '/'],
]

const navigation = { accept: 'text/html', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' }

for (const [what, page, landsOn] of pages) {
  const query = new URLSearchParams({ returnTo: page })

  test(
    `${what}: the head that looks whether cookies are kept is small, and lands on ${landsOn}`,
    withFixture({}, async ({ site }) => {
      const response = await send({ url: `${site.url}/login?${query}&retry=1`, headers: navigation })
      assert.equal(response.status, 303)
      const location = new URL(response.headers.location ?? '', site.url)
      assert.equal(location.searchParams.get('returnTo'), landsOn)
      assert.ok(headOf(response) < 3000, `${headOf(response)} bytes`)
    }),
  )

  test(
    `${what}: the head of a sign-out is small, and the provider's page leads to ${landsOn}`,
    withFixture({}, async ({ agent, site }) => {
      await agent.visit(`${site.url}/claims`)
      const cookie = agent
        .cookies(site.url)
        .map(({ name, value }) => `${name}=${value}`)
        .join('; ')
      const response = await send({ url: `${site.url}/logout?${query}`, method: 'POST', headers: { cookie } })
      assert.ok([200, 303].includes(response.status), response.text)
      assert.ok(headOf(response) < 4096 - 400, `${headOf(response)} bytes`)
      const remembered = response.setCookies.find(text => text.includes('oidc.logout.')) ?? assert.fail('no cookie')
      assert.ok(remembered.length < 2000, `${remembered.length} characters`)
      const state = /name="state" value="([^"]*)"/.exec(response.text)?.[1]
      const sent =
        response.headers.location === undefined ? state : new URL(response.headers.location).searchParams.get('state')
      const back = await send({
        url: `${site.url}/logout/callback?state=${sent}`,
        headers: { cookie: remembered.split(';')[0] ?? '' },
      })
      assert.equal(back.headers.location, landsOn)
    }),
  )
}
