import type { RequestHandler } from 'express'
import type { SiteProvider } from './providers.js'

/**
 * Gives every view the user's name, and keeps pages about a user out of every cache.
 *
 * @param providers Of a site with several: whose session it is is then known to every view as well.
 */
export function createProvideUser(providers: readonly SiteProvider[] = []): RequestHandler {
  return (req, res, next) => {
    const { user } = req.oidc
    const name = [user?.name, user?.email, user?.sub].find(value => typeof value === 'string' && value !== '')
    res.locals.userName = req.oidc.isAuthenticated ? (name ?? 'a user') : undefined
    res.locals.provider = providers.find(provider => provider.name === req.oidc.provider)
    // For forms: what a page of one user sends must not be done as another who has signed in to this browser meanwhile.
    res.locals.sessionHandle = req.oidc.handle
    res.set('Cache-Control', 'no-store')
    next()
  }
}

/** Who the user is. A subject is that of one user at one provider only. Behind requiresAuth() there is always a user. */
export function userOf({ oidc: { user, provider } }: Parameters<RequestHandler>[0]) {
  return { sub: user?.sub ?? '', ...(provider !== undefined && { provider }) }
}
