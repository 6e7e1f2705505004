import assert from 'node:assert/strict'
import type { OidcErrorCode, OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from './agent.js'
import { type HostileProvider, type HostileProviderOptions, startHostileProvider } from './hostile-provider.js'
import { type Site, type SiteOptions, startSite } from './site.js'

export interface FixtureOptions {
  readonly oidc?: OidcOptions
  readonly provider?: HostileProviderOptions
  readonly site?: Omit<SiteOptions, 'oidc'>
}

/** A provider, a site and a browser. */
export interface Fixture {
  readonly provider: HostileProvider
  readonly site: Site
  readonly agent: Agent
  close(): Promise<void>
}

export async function openFixture({
  oidc = {},
  provider: providerOptions,
  site: siteOptions,
}: FixtureOptions = {}): Promise<Fixture> {
  const provider = await startHostileProvider(providerOptions)
  const { issuer, clientId, clientSecret } = provider
  const site = await startSite({
    ...siteOptions,
    oidc: { issuer, clientId, clientSecret, responseType: 'code id_token token', ...oidc },
  }).catch(async (error: unknown) => {
    // A provider that goes on listening would keep the test file from ending.
    await provider.close()
    throw error
  })
  return {
    provider,
    site,
    agent: createAgent(),
    async close() {
      await site.close()
      await provider.close()
    },
  }
}

/** Runs a test with a fixture of its own. */
export function withFixture(options: FixtureOptions, run: (fixture: Fixture) => Promise<void>): () => Promise<void> {
  return async () => {
    const fixture = await openFixture(options)
    try {
      await run(fixture)
    } finally {
      await fixture.close()
    }
  }
}

/** The name of the session cookie on plain http. */
export const sessionCookie = 'sid'

/** And that of a user who is not signed in. */
export const anonymousCookie = 'sid.anonymous'

export function sessionCookieOf({ agent, site }: Fixture): string | undefined {
  const cookies = agent.cookies(site.url)
  const named = (wanted: string) => cookies.find(({ name }) => name === wanted)?.value
  return named(sessionCookie) ?? named(anonymousCookie)
}

/** The response was refused with a code, and nothing came of it. */
export async function assertRefused(
  fixture: Fixture,
  page: Page,
  code: OidcErrorCode,
  tokenRequests = 0,
): Promise<void> {
  assert.equal(fixture.site.lastCode(), code, page.text)
  assert.ok(page.status >= 400 && page.status < 600, `status ${page.status}`)
  assert.equal(fixture.provider.count('token'), tokenRequests, 'token requests')
  assert.deepEqual(
    page.hops.at(-1)?.setCookies.filter(cookie => cookie.startsWith(sessionCookie)),
    [],
    'no session cookie',
  )
  const user = await fixture.agent.fetch(`${fixture.site.url}/user`, { from: `${fixture.site.url}/` })
  assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false, 'no user is signed in')
}
