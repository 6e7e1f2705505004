import { OidcError } from '../errors.js'
import { sessionField } from '../http/csrf-header.js'
import { isNavigation } from '../http/fetch-metadata.js'
import { addressToSendTo, parseUnsent } from '../http/kept-form-address.js'
import { asExpressRequest, onlyParameter, queryOf } from '../http/node-http.js'
import { pageTextsFor } from '../http/page-texts.js'
import type { RequestContext } from '../http/request-context.js'
import { setPrivateHeaders } from '../http/response.js'
import { returnToOf } from '../http/return-to.js'
import { sendPage } from '../http/send-page.js'
import { publicPath } from '../options/config.js'
import type { UnsentFormPageContent } from '../options/pages.js'
import type { KeptField } from '../protocol/multipart.js'
import type { FormOwner, KeptForm } from '../store/kept-forms.js'
import { buildInputs, buildKeptFormPage, describeFields } from './kept-form-html.js'
import { startLogin } from './login.js'

/**
 * `GET` of `routes.keptForm`, after the sign-in: displays what is about to be sent, to the user who wrote it and to no other. Displaying changes
 * nothing, so that the page can be loaded again.
 *
 * @throws {OidcError} ERR_OIDC_LOGIN_REQUIRED, ERR_OIDC_STORE_UNAVAILABLE, and those of starting a sign-in
 */
export async function keptFormPage(context: RequestContext): Promise<void> {
  const { req, services } = context
  if (context.ticket() === undefined) {
    if (isNavigation(req)) return startLogin(context, {})
    throw new OidcError('ERR_OIDC_LOGIN_REQUIRED', 'no user is signed in')
  }
  const query = queryOf(req)
  const sealed = onlyParameter(query, 'unsent')
  if (sealed !== undefined) {
    const unsent = parseUnsent(services.store.sealer.open('form', 'unsent', Buffer.from(sealed, 'base64url')))
    return sendUnsentPage(context, unsent?.reason ?? 'gone', unsent?.page)
  }
  const handle = onlyParameter(query, 'form')
  // Where Redis was away, there was room for no more than the path.
  if (handle === undefined) return sendUnsentPage(context, 'lost')
  const found = await findKeptForm(context, handle)
  if (found === undefined) return sendUnsentPage(context, 'gone')
  await sendKeptFormPage(context, handle, found.form)
}

/** Of the user who is signed in, in this browser. */
export async function findKeptForm(
  context: RequestContext,
  handle: string,
): Promise<{ readonly owner: FormOwner; readonly form: KeptForm } | undefined> {
  const { req, res, services } = context
  const binding = services.transactionCookie.read(req, res)
  if (typeof binding !== 'object') return undefined
  const { issuer, provider, subject } = context.signedIn().ticket
  const owner = { issuer, ...(provider !== undefined && { provider }), subject, bindingId: binding.id }
  const form = await (await services.store.keptForms()).find(owner, handle)
  return form && { owner, form }
}

async function sendKeptFormPage(context: RequestContext, handle: string, form: KeptForm): Promise<void> {
  const { req, res, services } = context
  const { config } = services
  const fields = await currentFields(context, form)
  const texts = await pageTextsFor(config, req, res)
  setPrivateHeaders(res)
  // With `no-referrer` the form would come with `Origin: null`, which protection against CSRF may take for another site.
  res.setHeader('Referrer-Policy', 'same-origin')
  const content = {
    language: texts.language,
    title: texts.keptForm,
    message: texts.keptFormText,
    address: form.address,
    // The handle of the session is of no interest to the user.
    fields: describeFields(
      fields.filter(([name]) => name !== sessionField),
      texts,
    ),
    form: {
      action: addressToSendTo(form.address, handle),
      encoding: form.encoding,
      inputs: buildInputs(fields),
      button: texts.sendForm,
    },
    link: { href: returnToOf(config, form.page), text: texts.discardForm },
  }
  sendPage(context, 'keptForm', content, { policy: { formAction: "'self'" }, buildPlain: buildKeptFormPage })
}

/** What belongs to the session that has ended is replaced: its handle, and what the hook of the site knows of. */
async function currentFields(context: RequestContext, { address, fields }: KeptForm): Promise<readonly KeptField[]> {
  const { req, services } = context
  const texts = fields.filter((field): field is readonly [string, string] => field[1] !== null)
  const given = { address, fields: Object.freeze(Object.fromEntries(texts)), req: asExpressRequest(req) }
  const replaced = (await services.site.hooks.keptForm?.(Object.freeze(given))) ?? {}
  const handle = context.handle()
  const current = new Map<string, unknown>(
    Object.entries({ ...replaced, ...(handle !== undefined && { [sessionField]: handle }) }),
  )
  return fields.map(([name, value]) => [name, value === null ? null : textOr(value, current.get(name))] as const)
}

function textOr(value: string, replacement: unknown): string {
  return typeof replacement === 'string' ? replacement : value
}

const MESSAGES = {
  gone: 'unsentGone',
  size: 'unsentSize',
  files: 'unsentFiles',
  lost: 'unsentLost',
} as const satisfies Record<UnsentFormPageContent['reason'], string>

/** Says that nothing is sent, and nothing of what there was. */
export async function sendUnsentPage(
  context: RequestContext,
  reason: UnsentFormPageContent['reason'],
  page?: string,
): Promise<void> {
  const { req, res, services } = context
  const { config } = services
  const texts = await pageTextsFor(config, req, res)
  setPrivateHeaders(res)
  res.statusCode = reason === 'gone' ? 410 : 200
  const link =
    page === undefined
      ? { href: publicPath(config, '/'), text: texts.startPage }
      : { href: returnToOf(config, page), text: texts.backToPage }
  const { language, unsentForm: title } = texts
  sendPage(context, 'unsentForm', { language, title, message: texts[MESSAGES[reason]], reason, link })
}
