import type { RequestHandler } from 'express'

interface Neighbours {
  readonly siteUrl: string
  /** The provider. Signing out is a form that ends there, and `form-action` looks at every step of the way. */
  readonly issuer: string
  /** One script calls the API itself. A site that uses the proxy only needs no more than `'self'`. */
  readonly apiUrl: string
}

/** What browsers may do with the pages of the site: nothing that the pages do not need. */
export function createSecurityHeaders({ siteUrl, issuer, apiUrl }: Neighbours): RequestHandler {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${apiUrl}`,
    `form-action 'self' ${new URL(issuer).origin}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ')
  const headers: Record<string, string> = {
    'Content-Security-Policy': policy,
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
  }
  if (siteUrl.startsWith('https:')) headers['Strict-Transport-Security'] = 'max-age=31536000'
  return (_req, res, next) => {
    res.set(headers)
    next()
  }
}
