import type { RareLog } from '../diagnostics/rare-log.js'
import { OidcError } from '../errors.js'
import type { SiteConfig } from '../options/config.js'
import { prefersHtml } from './fetch-metadata.js'
import { type HttpRequest, type HttpResponse, isAnswerable, type Next, pathOf } from './node-http.js'
import { buildPage, escapeHtml, pagePolicy } from './page.js'
import { pageTextsFor, sentenceOf } from './page-texts.js'
import { correlationIdOf } from './request-state.js'
import { setPrivateHeaders } from './response.js'

interface Refused {
  readonly req: HttpRequest
  readonly res: HttpResponse
  readonly next: Next
}

/**
 * Responds to a request for a host that the site does not have, or of which that is not known now. No code behind the middleware sees it, the error handler of
 * the site among it: what is built from the host of a request, such as a link, would lead to whatever host the sender chose. Nothing in the response leads
 * anywhere, and it has no cookie. RFC 9110 section 15.5.20.
 */
export function refuseHost(
  { req, res, next }: Refused,
  error: unknown,
  { config, rareLog }: { readonly config: SiteConfig; readonly rareLog: RareLog },
): void {
  // The handshake of a WebSocket: its caller responds.
  if (!(error instanceof OidcError) || !isAnswerable(res) || res.headersSent) {
    next(error)
    return
  }
  const { code, status, message } = error
  const correlationId = correlationIdOf(req)
  rareLog(code, `[${correlationId}] ${code} ${req.method} ${pathOf(req)}: ${message}`, {
    level: status < 500 ? 'warn' : 'error',
    code,
    status,
    method: req.method,
    path: pathOf(req),
    correlationId,
  })
  setPrivateHeaders(res)
  for (const [name, value] of Object.entries(error.headers)) res.setHeader(name, value)
  res.statusCode = status
  if (prefersHtml(req)) sendPage({ req, res, config }, error, correlationId).catch(() => res.destroy())
  else {
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ error: code, message: error.sentence, id: correlationId }))
  }
}

async function sendPage(
  { req, res, config }: Pick<Refused, 'req' | 'res'> & { readonly config: SiteConfig },
  error: OidcError,
  correlationId: string,
): Promise<void> {
  const texts = await pageTextsFor(config, req, res)
  res.setHeader('Content-Security-Policy', pagePolicy())
  res.setHeader('Content-Type', 'text/html; charset=utf-8')
  const report = texts.report.replace('{id}', correlationId)
  const body = `<p>${escapeHtml(sentenceOf(error, texts))}</p>\n<small>${escapeHtml(report)}</small>`
  res.end(buildPage({ language: texts.language, title: texts.failed, body }))
}
