import { createApi, createApis } from './api/server.js'
import { type Listener, listen } from './listen.js'
import { type OpenIdentityServer, openIdentityServers } from './open-identity-servers.js'
import { startRedis } from './redis.js'
import { readSettings, type Settings } from './settings.js'
import { createSite } from './site/app.js'
import type { SiteProvider } from './site/providers.js'

/** The running sample. */
export interface Sample {
  readonly siteUrl: string
  /** The built-in identity server, or `undefined` when there are several or another provider is configured. */
  readonly identityUrl: string | undefined
  /** The identity servers, where there are several. */
  readonly providers: readonly SiteProvider[] | undefined
  readonly apiUrl: string
  /** Where sessions are kept. */
  readonly sessions: 'redis' | 'own redis' | 'memory'
  /** Whether it runs as FAPI 2.0. */
  readonly isFapi2: boolean
  /** Whether sessions are bound to devices. */
  readonly isDeviceBound: boolean
  close(): Promise<void>
}

/**
 * Starts the site, the API and, unless another provider is configured, the identity server or several of them.
 *
 * @param overrides Settings that win over the environment; port 0 takes any free port.
 */
export async function startSample(overrides: Partial<Settings> = {}): Promise<Sample> {
  const settings = { ...readSettings(), ...overrides }
  const closing: (() => Promise<void> | void)[] = []
  const close = async () => {
    for (const step of closing.splice(0).reverse()) await step()
  }
  try {
    const redis = settings.redis === undefined ? await startRedis() : undefined
    if (redis) closing.push(redis.close)

    const open = async (port: number, host: string): Promise<Listener> => {
      const listener = await listen(port, host)
      closing.push(listener.close)
      return listener
    }
    const siteListener = await open(settings.sitePort, 'localhost')
    const apiListener = await open(settings.apiPort, 'localhost')
    const identityServers = await openIdentityServers(settings, open)

    const identityUrl = settings.providers === undefined ? identityServers[0]?.issuer : undefined
    const issuer = settings.issuer ?? identityUrl ?? ''
    const siteUrl = settings.baseUrl ?? siteListener.url
    const apiUrl = apiListener.url
    const providers = settings.providers && identityServers.map(describeProvider)

    for (const server of identityServers) await server.start(siteUrl)
    const audience = settings.api.audience ?? apiUrl
    const verifiers = identityServers.map(({ issuer, provider, settings: { api } }) => {
      return { path: `/${provider?.name}`, issuer, audience, client: api }
    })
    const scriptOrigin = new URL(siteUrl).origin
    const api = providers
      ? createApis(verifiers, scriptOrigin, apiUrl)
      : createApi({ issuer, audience, client: settings.api }, scriptOrigin, apiUrl)
    apiListener.serve(api)
    const stored = redis?.url ?? (settings.redis || undefined)
    const site = createSite({ issuer, providers, siteUrl, apiUrl, settings, redis: stored })
    closing.push(site.close)
    siteListener.serve(site.application)

    const sessions = redis ? 'own redis' : settings.redis ? 'redis' : 'memory'
    const isFapi2 = settings.fapi2 !== undefined
    return { siteUrl, identityUrl, providers, apiUrl, sessions, isFapi2, isDeviceBound: settings.deviceBound, close }
  } catch (error) {
    await close()
    throw error
  }
}

function describeProvider({ issuer, provider, settings: { clientSecret } }: OpenIdentityServer): SiteProvider {
  return { name: provider?.name ?? '', title: provider?.title ?? '', issuer, clientSecret }
}
