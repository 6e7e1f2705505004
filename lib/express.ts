import 'express-session'
import type { OidcRequestContext } from './handlers/request-context.js'

declare global {
  namespace Express {
    interface Request {
      /** Who is signed in, and what can be done about it. */
      readonly oidc: OidcRequestContext
    }
  }
}
