import type { RequestHandler } from 'express'

interface Neighbours {
  readonly siteUrl: string
  /** One script calls the API itself. A site that uses the proxy only needs no more than `'self'`. */
  readonly apiUrl: string
}

/** What browsers may do with the pages of the site: nothing that the pages do not need. */
export function createSecurityHeaders({ siteUrl, apiUrl }: Neighbours): RequestHandler {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self' ${apiUrl}`,
    "form-action 'self'",
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
