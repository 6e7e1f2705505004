import { OidcError } from '../errors.js'
import type { CachedStatus } from './cached.js'
import type { Http } from './http.js'
import type { HttpResponse } from './response.js'

/** Seconds for which a failure counts where nothing was sent there since. */
const MEMORY = 60

/** Remembers, for each host of the provider, whether the last request to it got a response. */
export interface Reachability {
  readonly http: Http
  /** A failure that nothing has contradicted yet. */
  status(): CachedStatus
}

export function watchReachability(http: Http, now: () => Date): Reachability {
  const failures = new Map<string, { readonly error: OidcError; readonly at: number }>()
  const seconds = () => now().getTime() / 1000

  async function watch(url: string, request: Promise<HttpResponse>): Promise<HttpResponse> {
    try {
      const response = await request
      if (failures.size > 0) failures.delete(hostOf(url))
      return response
    } catch (error) {
      const isAway = error instanceof OidcError && error.code === 'ERR_OIDC_PROVIDER_UNAVAILABLE'
      if (isAway) failures.set(hostOf(url), { error, at: seconds() })
      throw error
    }
  }

  return {
    http: {
      ...http,
      getJson: (url, options) => watch(url, http.getJson(url, options)),
      postForm: (url, ...request) => watch(url, http.postForm(url, ...request)),
    },
    status() {
      const recent = [...failures.values()].find(({ at }) => Math.abs(seconds() - at) < MEMORY)
      return recent === undefined ? {} : { error: recent.error }
    },
  }
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : ''
}
