import type { ErrorRequestHandler, RequestHandler, Response } from 'express'
import { OidcError } from '../oidc.js'

interface ErrorDescription {
  readonly status: number
  readonly code: string
  readonly sentence: string
  /** Whether a new sign-in could help, and where the user wanted to go. */
  readonly signInHelps?: boolean
  readonly returnTo?: string | undefined
}

/** Signed in already, and nothing would change by doing so again. */
const missingRights = ['ERR_OIDC_CLAIM_REQUIRED', 'ERR_OIDC_SCOPE_REQUIRED']

/** Everything no route has answered. */
export const showNotFound: RequestHandler = (_req, res) => {
  show(res, { status: 404, code: 'NOT_FOUND', sentence: 'There is no such page.' })
}

/** Errors of the middleware are in the log already, and carry a sentence that is safe to show; of all others nothing is shown. */
export const showError: ErrorRequestHandler = (error: unknown, _req, res, next) => {
  if (res.headersSent) return next(error)
  if (!(error instanceof OidcError)) console.error('site:', error)
  show(res, describe(error))
}

function describe(error: unknown): ErrorDescription {
  if (error instanceof OidcError) {
    const { status, code, sentence, returnTo } = error
    return { status, code, sentence, returnTo, signInHelps: status !== 503 && !missingRights.includes(code) }
  }
  return { status: 500, code: 'INTERNAL', sentence: 'Something went wrong on this site.' }
}

/** A page for the user, JSON for a script. */
function show(res: Response, { status, code, sentence, returnTo = '/', signInHelps = false }: ErrorDescription): void {
  res.status(status).set('Cache-Control', 'no-store')
  res.format({
    html: () => res.render('error', { title: 'Error', page: 'error', status, code, sentence, returnTo, signInHelps }),
    json: () => res.json({ error: code, message: sentence }),
    default: () => res.type('text').send(sentence),
  })
}
