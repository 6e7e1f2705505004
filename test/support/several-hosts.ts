import type { Express } from 'express'
import type { HostFunction, HostOptions, OidcOptions, SeveralProvidersOptions } from '../../lib/index.js'
import { type HostileProvider, startHostileProvider } from './hostile-provider.js'
import { freePort } from './nginx.js'
import { type Site, startSite } from './site.js'

/** A site that browsers reach by several names of this machine, and its provider. */
export interface HostsFixture {
  readonly provider: HostileProvider
  readonly site: Site
  readonly port: number
  /** The base URL of a name below `localhost`. */
  at(name: string): string
}

export interface HostsFixtureOptions {
  /** Default: `a` and `b`, each below `localhost`. */
  readonly baseUrl?: (at: HostsFixture['at'], port: number) => readonly (string | HostOptions)[] | HostFunction
  readonly oidc?: Partial<OidcOptions | SeveralProvidersOptions>
  /** Default: one provider. */
  readonly providers?: (provider: HostileProvider) => SeveralProvidersOptions['providers']
  readonly before?: (app: Express) => void
  readonly routes?: (app: Express) => void
}

export async function withHosts(options: HostsFixtureOptions, run: (fixture: HostsFixture) => Promise<void>) {
  const { baseUrl = at => [at('a'), at('b')], oidc = {}, providers, before, routes } = options
  const port = await freePort()
  const at = (name: string) => `http://${name}.localhost:${port}`
  const provider = await startHostileProvider()
  const { issuer, clientId, clientSecret } = provider
  const own = providers === undefined ? { issuer, clientId, clientSecret } : { providers: providers(provider) }
  const site = await startSite({
    port,
    oidc: { responseType: 'code', ...own, baseUrl: baseUrl(at, port), ...oidc } as OidcOptions,
    ...(before && { before }),
    ...(routes && { routes }),
  })
  try {
    await run({ provider, site, port, at })
  } finally {
    await site.close()
    await provider.close()
  }
}
