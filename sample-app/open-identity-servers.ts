import { createIdentityServer } from './identity-server/server.js'
import type { Listener } from './listen.js'
import type { NamedProvider, Settings } from './settings.js'

/** An identity server of the sample, whose port is open. */
export interface OpenIdentityServer {
  readonly issuer: string
  /** What sets it apart, where there are several. */
  readonly provider: NamedProvider | undefined
  /** With the secrets that the site and the API have at this server. */
  readonly settings: Settings
  start(siteUrl: string): Promise<void>
}

/**
 * Opens the ports of the identity servers: several, one, or none where another provider is configured.
 *
 * @param open Opens a port.
 */
export async function openIdentityServers(
  settings: Settings,
  open: (port: number, host: string) => Promise<Listener>,
): Promise<readonly OpenIdentityServer[]> {
  if (settings.issuer !== undefined) return []
  const openOne = async (provider?: NamedProvider): Promise<OpenIdentityServer> => {
    // Another host name than the site's on purpose: `localhost` and `127.0.0.1` are different sites to a browser, so the response
    // to a sign-in is as cross-site here as in real life.
    const { url: issuer, serve } = await open(provider?.port ?? settings.identityPort, '127.0.0.1')
    const own = provider === undefined ? settings : settingsAt(provider, settings)
    const start = async (siteUrl: string) =>
      serve(await createIdentityServer({ issuer, siteUrl, settings: own, provider }))
    return { issuer, provider, settings: own, start }
  }
  if (settings.providers === undefined) return [await openOne()]
  return Promise.all(settings.providers.map(openOne))
}

function settingsAt({ clientSecret, apiSecret }: NamedProvider, settings: Settings): Settings {
  return { ...settings, clientSecret, api: { ...settings.api, clientSecret: apiSecret } }
}
