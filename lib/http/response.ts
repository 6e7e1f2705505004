import type { HttpResponse } from './node-http.js'

/** Headers of every response of our own routes: nothing is stored, nothing leaks in a Referer, nothing is framed. */
export function setPrivateHeaders(res: HttpResponse): void {
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Referrer-Policy', 'no-referrer')
  res.setHeader('X-Frame-Options', 'DENY')
  res.setHeader('X-Content-Type-Options', 'nosniff')
}

/**
 * Sends the browser elsewhere by a GET: 303, because 307 and 308 would post a code or a token again. Without a body, because the
 * address may carry what a page must not show.
 */
export function redirect(res: HttpResponse, location: string): void {
  setPrivateHeaders(res)
  res.statusCode = 303
  res.setHeader('Location', location)
  res.setHeader('Content-Length', '0')
  res.end()
}
