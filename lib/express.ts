import 'express-session'
import type { OidcRequest } from './middleware/request.js'

declare global {
  namespace Express {
    interface Request {
      /** Who is signed in, and what can be done about it. */
      readonly oidc: OidcRequest
    }
  }
}
