import type { RequestContext } from '../http/request-context.js'

/** Seconds that the provider may keep the keys. */
const MAX_AGE = 60

/** `GET` of `routes.jwks`, for the provider: the public keys of this site. RFC 7517 section 5. */
export async function jwks({ res, services: { provider } }: RequestContext): Promise<void> {
  const keys = await provider.publicKeys()
  res.setHeader('Content-Type', 'application/jwk-set+json')
  res.setHeader('Cache-Control', `public, max-age=${MAX_AGE}`)
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.end(JSON.stringify({ keys }))
}
