import { createApi } from './api/server.js'
import { createIdentityServer } from './identity-server/server.js'
import { type Listener, listen } from './listen.js'
import { startRedis } from './redis.js'
import { readSettings, type Settings } from './settings.js'
import { createSite } from './site/app.js'

/** The running sample. */
export interface Sample {
  readonly siteUrl: string
  /** The built-in identity server, or `undefined` when another provider is configured. */
  readonly identityUrl: string | undefined
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
 * Starts the site, the API and, unless another provider is configured, the identity server.
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
    // Another host name than the site's on purpose: `localhost` and `127.0.0.1` are different sites to a browser, so the response
    // to a sign-in is as cross-site here as in real life.
    const identityListener = settings.issuer === undefined ? await open(settings.identityPort, '127.0.0.1') : undefined

    const issuer = settings.issuer ?? identityListener?.url ?? ''
    const siteUrl = settings.baseUrl ?? siteListener.url
    const apiUrl = apiListener.url

    identityListener?.serve(await createIdentityServer({ issuer, siteUrl, settings }))
    const verifier = { issuer, audience: settings.api.audience ?? apiUrl, client: settings.api }
    apiListener.serve(createApi(verifier, new URL(siteUrl).origin, apiUrl))
    const site = createSite({ issuer, siteUrl, apiUrl, settings, redis: redis?.url ?? (settings.redis || undefined) })
    closing.push(site.close)
    siteListener.serve(site.application)

    const sessions = redis ? 'own redis' : settings.redis ? 'redis' : 'memory'
    return {
      siteUrl,
      identityUrl: identityListener?.url,
      apiUrl,
      sessions,
      isFapi2: settings.fapi2 !== undefined,
      isDeviceBound: settings.deviceBound,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}
