import type { RequestHandler } from 'express'
import { OidcError } from '../errors.js'
import { onlyParameter, queryOf } from '../http/node-http.js'
import { findRequestState } from '../http/request-state.js'
import { setPrivateHeaders } from '../http/response.js'
import { createRecorder, type Recorder } from './recorder.js'

/** The page that shows how the last sign-ins went, and what remembers them. */
export interface Inspector {
  /** @throws {OidcError} ERR_OIDC_OPTIONS in production */
  handler(): RequestHandler
  stop(): void
}

/** @param site - what diagnostics call the site */
export function createInspector(site: string, isProduction: () => boolean): Inspector {
  let recorder: Recorder | undefined

  return {
    handler() {
      if (isProduction()) {
        throw new OidcError(
          'ERR_OIDC_OPTIONS',
          'oidc.inspector() is for development: mount it only where NODE_ENV is not "production"',
        )
      }
      recorder ??= createRecorder(site)
      const { records } = recorder
      // Loaded here, so that a site without the page does not load what makes it.
      const loading = Promise.all([import('./page.js'), import('./style.js')])
      loading.catch(() => {})
      return async (req, res) => {
        const [{ buildInspectorPage }, { policy }] = await loading
        const known = records()
        const wanted = onlyParameter(queryOf(req), 'transaction')
        const selected = known.find(({ transaction }) => transaction === wanted) ?? known[0]
        setPrivateHeaders(res)
        res.setHeader('Content-Security-Policy', policy)
        res.setHeader('Content-Type', 'text/html; charset=utf-8')
        res.end(
          buildInspectorPage({
            records: known,
            selected,
            home: homeAt(findRequestState(req)?.context?.services.site.baseUrl ?? site),
          }),
        )
      }
    },
    stop: () => recorder?.stop(),
  }
}

/** The start page; where the page is mounted before the middleware of several hosts, that of no path. */
function homeAt(baseUrl: string): string {
  return URL.canParse(`${baseUrl}/`) ? new URL(`${baseUrl}/`).pathname : '/'
}
