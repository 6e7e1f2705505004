import assert from 'node:assert/strict'
import { test } from 'node:test'
import { withFixture } from '../support/handler-fixture.js'

for (const [what, query, said] of [
  ['without a state', '', /no state/],
  ['with another state', '?state=of-another-user', /another/],
] as const) {
  test(
    `who comes back from a sign-out ${what} is told that no user is signed in, and the log says why`,
    withFixture({}, async ({ agent, site }) => {
      const page = await agent.open(`${site.url}/logout/callback${query}`)
      assert.equal(page.status, 200)
      assert.match(page.text, /You are signed out/)
      assert.match(site.log.join('\n'), said)
    }),
  )
}
