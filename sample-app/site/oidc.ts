// A site of your own writes:  import { openIdConnect, requiresAuth } from 'express-hybrid-oidc'
// The sample lives inside the package and takes it from the source, so that it runs without a build. Every other file of the
// site imports from here.
import { readFileSync } from 'node:fs'
import { transformSync } from 'esbuild'

export {
  OidcError,
  type OidcOptions,
  type OpenIdConnect,
  openIdConnect,
  requiresAuth,
  requiresSameSession,
  type SeveralProvidersOptions,
} from '../../lib/index.js'

/**
 * The script that warns before a session ends. A site of your own sends the file of the package:
 * `res.sendFile(fileURLToPath(import.meta.resolve('express-hybrid-oidc/session-watch')))`
 */
export function readSessionWatch(): string {
  const source = readFileSync(new URL('../../lib/session-watch/index.ts', import.meta.url), 'utf8')
  return transformSync(source, { loader: 'ts', format: 'esm', minify: true }).code
}
