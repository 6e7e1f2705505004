import type { Request, RequestHandler } from 'express'
import { describeAccessToken, describeIdToken } from '../describe-token.js'
import { OidcError } from '../oidc.js'

/** Who the user is, as the provider says, and what is known about the tokens. Never the tokens themselves. */
export const showClaims: RequestHandler = async (req, res) => {
  const [accessToken, idToken] = await Promise.all([findAccessToken(req), req.oidc.idToken()])
  const claims = Object.entries(req.oidc.user ?? {}).map(([name, value]) => ({ name, value: textOf(value) }))
  const tokens = [
    ...(accessToken ? [describeAccessToken(accessToken)] : []),
    ...(idToken ? [describeIdToken(idToken)] : []),
  ]
  const { expiresAt, scope } = accessToken ?? {}
  res.render('claims', { title: 'Claims', page: 'claims', claims, tokens, scopes: scope?.split(' ') ?? [], expiresAt })
}

/** A site hardly ever needs this: tokens are refreshed ahead of time. Here it is to be seen. */
export const refreshAccessToken: RequestHandler = async (req, res) => {
  await req.oidc.accessToken({ forceRefresh: true })
  res.redirect(303, '/claims#tokens')
}

/** The claims are worth showing even when the access token has expired and cannot be renewed. */
async function findAccessToken(req: Request) {
  try {
    return await req.oidc.accessToken()
  } catch (error) {
    if (error instanceof OidcError && error.code === 'ERR_OIDC_ACCESS_TOKEN_EXPIRED') return undefined
    throw error
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
