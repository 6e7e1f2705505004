import type { RequestHandler, Response } from 'express'
import type { AccessToken, VerifyAccessToken } from './verify-access-token.js'

/** Lets a request through whose bearer token is good and carries a scope. The answers to others are those of RFC 6750. */
export function requireAccessToken(verify: VerifyAccessToken, scope: string): RequestHandler {
  return async (req, res, next) => {
    const token = /^Bearer ([\w\-.~+/]+=*)$/i.exec(req.get('authorization') ?? '')?.[1]
    if (token === undefined) {
      res.set('WWW-Authenticate', 'Bearer').status(401).json({ error: 'this needs an access token' })
      return
    }
    const accessToken = await verify(token)
    if (accessToken === undefined) {
      res.set('WWW-Authenticate', 'Bearer error="invalid_token"').status(401).json({ error: 'invalid_token' })
      return
    }
    if (!accessToken.scopes.includes(scope)) {
      const challenge = `Bearer error="insufficient_scope", scope="${scope}"`
      res.set('WWW-Authenticate', challenge).status(403).json({ error: 'insufficient_scope' })
      return
    }
    res.locals.accessToken = accessToken
    next()
  }
}

/** The token of a request that {@link requireAccessToken} let through. */
export function accessTokenOf(res: Response): AccessToken {
  return res.locals.accessToken
}
