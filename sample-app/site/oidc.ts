// A site of your own writes:  import { openIdConnect, requiresAuth } from 'express-hybrid-oidc'
// The sample lives inside the package and takes it from the source, so that it runs without a build. Every other file of the
// site imports from here.
export { OidcError, type OpenIdConnect, openIdConnect, requiresAuth, requiresSameSession } from '../../lib/index.js'
