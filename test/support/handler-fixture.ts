import assert from 'node:assert/strict'
import type { OidcErrorCode, OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from './agent.js'
import { type HostileProvider, type HostileProviderOptions, startHostileProvider } from './hostile-provider.js'
import { type Site, type SiteOptions, startSite } from './site.js'

export interface SceneOptions {
  readonly oidc?: OidcOptions
  readonly provider?: HostileProviderOptions
  readonly site?: Omit<SiteOptions, 'oidc'>
}

/** A provider, a site and a browser. */
export interface Scene {
  readonly provider: HostileProvider
  readonly site: Site
  readonly agent: Agent
  close(): Promise<void>
}

export async function openScene({
  oidc = {},
  provider: providerOptions,
  site: siteOptions,
}: SceneOptions = {}): Promise<Scene> {
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

/** Runs a test in a scene of its own. */
export function inScene(options: SceneOptions, run: (scene: Scene) => Promise<void>): () => Promise<void> {
  return async () => {
    const scene = await openScene(options)
    try {
      await run(scene)
    } finally {
      await scene.close()
    }
  }
}

/** The name of the session cookie on plain http. */
export const sessionCookie = 'sid'

/** And that of a user who is not signed in. */
export const anonymousCookie = 'sid.anonymous'

export function sessionCookieOf({ agent, site }: Scene): string | undefined {
  const cookies = agent.cookies(site.url)
  const named = (wanted: string) => cookies.find(({ name }) => name === wanted)?.value
  return named(sessionCookie) ?? named(anonymousCookie)
}

/** The answer was refused with a code, and nothing came of it. */
export async function assertRefused(scene: Scene, page: Page, code: OidcErrorCode, tokenRequests = 0): Promise<void> {
  assert.equal(scene.site.lastCode(), code, page.text)
  assert.ok(page.status >= 400 && page.status < 600, `status ${page.status}`)
  assert.equal(scene.provider.count('token'), tokenRequests, 'token requests')
  assert.deepEqual(
    page.hops.at(-1)?.setCookies.filter(cookie => cookie.startsWith(sessionCookie)),
    [],
    'no session cookie',
  )
  const user = await scene.agent.fetch(`${scene.site.url}/user`, { from: `${scene.site.url}/` })
  assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false, 'no user is signed in')
}
