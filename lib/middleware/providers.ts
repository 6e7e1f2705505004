import { OidcError } from '../errors.js'
import type { MiddlewareServices, ProviderSelection } from '../http/request-context.js'
import { isProviderName } from '../options/provider-rules.js'
import type { ProviderConfiguration, SeveralProviders } from '../options/several-providers.js'
import { monotonic } from '../time.js'
import { createSingleFlight } from '../tokens/single-flight.js'

/** Everything that belongs to one provider, and what ends with it. */
export interface ProviderRuntime {
  readonly services: MiddlewareServices
  whenIdle(): Promise<void>
}

/** The providers of a site, each with its metadata, keys and tokens; all share sessions, cookies and routes. */
export interface Providers extends ProviderSelection {
  /** Those that the options list. */
  readonly listed: readonly ProviderRuntime[]
  /** How many of the resolved ones are kept. */
  count(): number
  close(): Promise<void>
}

/** Names that were resolved. The one that was not used for the longest time makes room. */
const MOST_RESOLVED = 500

/** Milliseconds for which the site is not asked again. */
const FRESH = 5 * 60 * 1000

interface Resolved {
  readonly runtime: ProviderRuntime
  readonly returned: unknown
  readonly freshUntil: number
}

export function createProviders(
  { listed, resolve, defaultName, page }: SeveralProviders,
  start: (configuration: ProviderConfiguration, selection: ProviderSelection) => ProviderRuntime,
): Providers {
  const selection: ProviderSelection = { defaultName, page, find }
  const fixed = new Map([...listed].map(([name, configuration]) => [name, start(configuration, selection)]))
  const resolved = new Map<string, Resolved>()
  const flights = createSingleFlight<MiddlewareServices | undefined>()

  function forget(name: string): void {
    resolved.get(name)?.runtime.services.provider.close()
    resolved.delete(name)
  }

  function keep(name: string, entry: Resolved): MiddlewareServices {
    resolved.delete(name)
    resolved.set(name, entry)
    const [oldest] = resolved.keys()
    if (resolved.size > MOST_RESOLVED && oldest !== undefined) forget(oldest)
    return entry.runtime.services
  }

  /** Nothing is kept of a name that the site does not know, so that callers cannot fill the memory with names. */
  async function ask(name: string): Promise<MiddlewareServices | undefined> {
    const known = resolved.get(name)
    const found = await resolve?.(name)
    const freshUntil = monotonic() + FRESH
    if (found === undefined) {
      forget(name)
      return undefined
    }
    if (known !== undefined && known.returned === found.returned) return keep(name, { ...known, freshUntil })
    const runtime = start(found.read(), selection)
    forget(name)
    return keep(name, { runtime, returned: found.returned, freshUntil })
  }

  async function find(name: string): Promise<MiddlewareServices | undefined> {
    const one = fixed.get(name)
    if (one !== undefined || resolve === undefined || !isProviderName(name)) return one?.services
    const known = resolved.get(name)
    if (known !== undefined && known.freshUntil > monotonic()) return keep(name, known)
    try {
      return await flights.run(name, () => ask(name))
    } catch (error) {
      // The users of a provider that was known go on while the site cannot say.
      if (known !== undefined) return known.runtime.services
      if (error instanceof OidcError) throw error
      throw new OidcError('ERR_OIDC_PROVIDER_UNAVAILABLE', 'resolveProvider failed', { cause: error })
    }
  }

  const all = () => [...fixed.values(), ...[...resolved.values()].map(({ runtime }) => runtime)]
  return {
    listed: [...fixed.values()],
    ...selection,
    count: () => resolved.size,
    async close() {
      await Promise.all(all().map(runtime => runtime.whenIdle()))
      for (const { services } of all()) services.provider.close()
    },
  }
}
