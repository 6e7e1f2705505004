import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { createAgent, type Page } from '../support/agent.js'
import { type Fixture, openFixture } from '../support/handler-fixture.js'
import type { HostileProviderOptions } from '../support/hostile-provider.js'
import { freePort, startNginx } from '../support/nginx.js'

/** Whole journeys behind a real nginx with its defaults: it answers 400 or 414 for a request that is too large, and 502 for a response head. */

interface Front extends Fixture {
  /** The site, as the browser sees it. */
  readonly url: string
  /** That nginx and the site have answered every request of a journey, and where it has ended. */
  went(page: Promise<Page>): Promise<Page>
}

function behindNginx(
  { oidc, provider }: { oidc?: OidcOptions; provider?: HostileProviderOptions },
  run: (front: Front) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const port = await freePort()
    const nginx = await startNginx({ upstream: port })
    const url = `http://localhost:${nginx.port}`
    const fixture = await openFixture({
      ...(provider && { provider }),
      oidc: { baseUrl: url, ...oidc },
      site: { port },
    })
    async function went(journey: Promise<Page>): Promise<Page> {
      const page = await journey
      assert.ok(page.hops.length > 0)
      for (const hop of page.hops) assert.ok(hop.status < 400, `${hop.status} from ${hop.url.slice(0, 60)}`)
      if (page.url.startsWith(url)) assert.match(String(page.headers.server), /^nginx/)
      return page
    }
    try {
      await run({ ...fixture, url, went })
    } finally {
      await fixture.close()
      await nginx.close()
    }
  }
}

/** The longest address that a sign-in keeps, and about the longest that nginx takes. */
const pages: Readonly<Record<string, { page: string; landsThere: boolean }>> = {
  'the longest address that is kept': { page: `/claims?x=${'a'.repeat(2038)}`, landsThere: true },
  'the longest address, of characters that grow in a query': { page: `/claims?${'&'.repeat(2040)}`, landsThere: true },
  'the longest address, of percent signs': { page: `/claims?x=${'%25'.repeat(679)}`, landsThere: true },
  'the longest address that nginx takes': { page: `/claims?x=${'a'.repeat(8100)}`, landsThere: false },
}

const longScope = `openid ${Array.from({ length: 34 }, (_, at) => `resource.part-${at + 100}`).join(' ')}`.slice(0, 585)
const groups = Array.from({ length: 500 }, (_, at) => `group-${String(at).padStart(14, '0')}`)

const ways: Readonly<Record<string, OidcOptions>> = {
  'a posted response': { responseType: 'code id_token token' },
  'a response in the query': { responseType: 'code', responseMode: 'query' },
}

for (const [way, oidc] of Object.entries(ways)) {
  describe(`behind nginx with its defaults, by ${way}`, () => {
    for (const [what, { page, landsThere }] of Object.entries(pages)) {
      test(
        `${what} with a scope of 585 characters: signed in, signed out and back, with no 400 and no 502`,
        behindNginx({ oidc: { ...oidc, scope: longScope } }, async ({ agent, url, went, provider }) => {
          assert.equal(longScope.length, 585)
          const claims = await went(agent.visit(url + page))
          assert.equal(claims.url, url + (landsThere ? page : '/'))
          const user = await went(agent.fetch(`${url}/user`))
          assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, true)
          await went(agent.post(`${url}/logout?${new URLSearchParams({ returnTo: page })}`, {}))
          while (agent.page?.forms[0]?.isAutomatic) await went(agent.submitForm())
          assert.equal(provider.count('endSession'), 1)
          assert.equal(new URL(agent.page?.url ?? '').origin, url)
          const looks = new URLSearchParams({ returnTo: page, retry: '1' })
          await went(createAgent().visit(`${url}/login?${looks}`))
        }),
      )
    }

    test(
      'a user of 500 groups reads pages and is signed out at the provider, with no 400 and no 502',
      behindNginx(
        { oidc: { ...oidc, scope: longScope }, provider: { idTokenClaims: { groups } } },
        async ({ agent, url, went, provider }) => {
          const claims = await went(agent.visit(`${url}/claims`))
          assert.equal(claims.json<{ groups: string[] }>().groups.length, 500)
          await went(agent.open(`${url}/claims?x=${'a'.repeat(8100)}`))
          await went(agent.post(`${url}/logout?returnTo=/user`, {}))
          while (agent.page?.forms[0]?.isAutomatic) await went(agent.submitForm())
          assert.equal(agent.page?.url, `${url}/user`)
          assert.equal(provider.count('endSession'), 1)
        },
      ),
    )

    test(
      'thirty sign-ins of long addresses that are begun and left: the browser is still served, with no 400 and no 502',
      behindNginx({ oidc: { ...oidc, scope: longScope } }, async ({ agent, url, went }) => {
        for (let at = 0; at < 30; at += 1) {
          const tab = agent.tab()
          const page = await tab.open(`${url}/claims?tab=${at}&x=${'a'.repeat(2000)}`, { redirect: 'manual' })
          assert.ok(page.status < 400, `${page.status}`)
        }
        await went(agent.visit(`${url}/claims?x=${'a'.repeat(2000)}`))
        await went(agent.open(`${url}/user`))
      }),
    )
  })
}
