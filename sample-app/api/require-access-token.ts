import type { RequestHandler, Response } from 'express'
import { hasProof } from './check-proof.js'
import type { AccessToken, VerifyAccessToken } from './verify-access-token.js'

/**
 * Lets a request through whose access token is good and carries a scope. The responses to others are those of RFC 6750. A token that is bound to a
 * key comes with the scheme DPoP and a proof, and never as a bearer token (RFC 9449 section 7).
 */
export function requireAccessToken(verify: VerifyAccessToken, scope: string, address: string): RequestHandler {
  return async (req, res, next) => {
    const [, scheme, token] = /^(Bearer|DPoP) ([\w\-.~+/]+=*)$/i.exec(req.get('authorization') ?? '') ?? []
    if (token === undefined) {
      res.set('WWW-Authenticate', 'Bearer').status(401).json({ error: 'this needs an access token' })
      return
    }
    const accessToken = await verify(token)
    const isBound = scheme?.toLowerCase() === 'dpop'
    const { boundTo } = accessToken ?? {}
    const isProven = isBound
      ? boundTo !== undefined && (await hasProof(req, token, boundTo, address))
      : boundTo === undefined
    if (accessToken === undefined || !isProven) {
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
