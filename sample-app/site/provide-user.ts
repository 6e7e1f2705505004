import type { RequestHandler } from 'express'

/** Gives every view the user's name, and keeps pages about a user out of every cache. */
export const provideUser: RequestHandler = (req, res, next) => {
  const { user } = req.oidc
  const name = [user?.name, user?.email, user?.sub].find(value => typeof value === 'string' && value !== '')
  res.locals.userName = req.oidc.isAuthenticated ? (name ?? 'a user') : undefined
  // For forms: what a page of one user sends must not be done as another who has signed in to this browser meanwhile.
  res.locals.sessionHandle = req.oidc.handle
  res.set('Cache-Control', 'no-store')
  next()
}
