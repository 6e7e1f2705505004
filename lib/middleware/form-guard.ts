import type { KeptFormEvent } from '../diagnostics/events.js'
import { publish } from '../diagnostics/publish.js'
import { OidcError } from '../errors.js'
import { sessionField } from '../http/csrf-header.js'
import { isOwnForm } from '../http/fetch-metadata.js'
import { type PostedForm, readPostedForm } from '../http/form-to-keep.js'
import { hideForm, type Unsent, withoutForm } from '../http/kept-form-address.js'
import { addressOf } from '../http/node-http.js'
import type { RequestContext } from '../http/request-context.js'
import { pageAskedFor, readReturnTo } from '../http/return-to.js'
import { publicPath } from '../options/config.js'
import { findKeptForm, sendUnsentPage } from '../sign-in/kept-form-page.js'
import { reauthenticate, startLogin } from '../sign-in/login.js'
import type { LoginOptions } from '../sign-in/login-options.js'
import type { FormOwner, KeptForm } from '../store/kept-forms.js'

type NotKept = NonNullable<KeptFormEvent['reason']>

/** Whose form it is: the user of the session that has expired, or who has to sign in again. */
interface Writer extends Omit<FormOwner, 'bindingId'> {
  /** Of the session that the form came with. */
  readonly handle: string
}

/**
 * Sends the user to the provider with a form that comes back: afterwards a page displays it, and sends it. Where it cannot be kept, the page says so,
 * and the sign-in goes on. A form of another site is not kept, and nothing is said about it.
 *
 * @throws {OidcError} those of starting a sign-in
 */
export async function signInWithForm(context: RequestContext, login: LoginOptions): Promise<void> {
  const { req, services } = context
  const start = context.ticket() === undefined ? startLogin : reauthenticate
  if (!isOwnForm(req, services.config.baseUrl)) return start(context, login)
  const writer = await findWriter(context).catch(() => 'store' as const)
  const returnTo = await keep(context, writer)
  const provider = await providerOf(context, login, writer)
  try {
    await start(context, { ...login, ...(provider !== undefined && { provider }), returnTo })
  } catch (error) {
    // "Start again" of the error page leads to the form as well.
    if (error instanceof OidcError) error.returnTo ??= returnTo
    throw error
  }
}

/** `session`: that is not known, so that nothing is kept. A sign-out of the user leaves nothing that could be known. */
async function findWriter(context: RequestContext): Promise<Writer | NotKept> {
  const { req, services } = context
  const ticket = context.ticket()
  if (ticket !== undefined) return writerOf({ ...ticket, handle: context.handle() ?? '' })
  for (const id of services.sessionBinding.idsOf(req)) {
    const expired = await services.store.findExpired(id)
    if (expired !== undefined) return writerOf(expired)
  }
  return 'session'
}

function writerOf({ issuer, provider, subject, handle }: Writer): Writer {
  return { issuer, ...(provider !== undefined && { provider }), subject, handle }
}

/** The provider that the user signed in at before, where it is there still. */
async function providerOf(
  { services: { providers } }: RequestContext,
  login: LoginOptions,
  writer: Writer | NotKept,
): Promise<string | undefined> {
  if (typeof writer === 'string' || writer.provider === undefined || login.provider !== undefined) return undefined
  return (await providers?.find(writer.provider)) === undefined ? undefined : writer.provider
}

/** @returns where the user lands after the sign-in */
async function keep(context: RequestContext, writer: Writer | NotKept): Promise<string> {
  const { services } = context
  const { keptForm } = services.site.routes
  const route = publicPath(services.site, keptForm === false ? '/' : keptForm)
  const form = typeof writer === 'string' ? writer : await readForm(context, writer)
  const handle = typeof writer === 'string' || typeof form === 'string' ? undefined : await store(context, writer, form)
  if (handle !== undefined) {
    publish(() => ({ type: 'kept-form', outcome: 'kept', site: services.site.siteName }))
    return `${route}?${new URLSearchParams({ form: handle })}`
  }
  const reason = typeof form === 'string' ? form : 'store'
  publish(() => ({ type: 'kept-form', outcome: 'not-kept', reason, site: services.site.siteName }))
  if (reason === 'consumed')
    services.rareLog(
      'keepForm',
      'requiresAuth: a form was not kept, because a body parser had read it before the guard: mount that parser behind the guard',
    )
  const unsent: Unsent = {
    reason: reason === 'size' || reason === 'files' ? reason : 'lost',
    page: shortened(pageAskedFor(context.req, services.config)),
  }
  const sealed = services.store.sealer.seal('form', 'unsent', JSON.stringify(unsent)).toString('base64url')
  return `${route}?${new URLSearchParams({ unsent: sealed })}`
}

/** Characters of a page that fit into `state`, sealed twice: Redis may be away. */
const LONGEST_PAGE = 200

function shortened(page: string): string {
  const [withoutQuery = ''] = page.split(/[?#]/, 1)
  return [page, withoutQuery].find(({ length }) => length <= LONGEST_PAGE) ?? '/'
}

async function readForm(context: RequestContext, writer: Writer): Promise<KeptForm | NotKept> {
  const { req, services } = context
  const { config } = services
  const address = readReturnTo(config, withoutForm(addressOf(req)))
  if (address === undefined) return 'malformed'
  const posted = await readPostedForm(req)
  if (typeof posted === 'string') return posted
  const handles = valuesOf(posted, sessionField)
  // The page was made for another user, or for another session: what is in it is not the writer's.
  if (handles.some(handle => handle !== writer.handle)) return 'session'
  const named = readReturnTo(config, valuesOf(posted, 'returnTo')[0])
  return { address, ...posted, page: named ?? pageAskedFor(req, config) }
}

function valuesOf({ fields }: PostedForm, wanted: string): readonly (string | null)[] {
  return fields.filter(([name]) => name === wanted).map(([, value]) => value)
}

/** Bound to the browser that begins the sign-in. */
async function store(context: RequestContext, writer: Writer, form: KeptForm): Promise<string | undefined> {
  const { req, res, services } = context
  const { binding, keep } = services.transactionCookie.prepare(req, res)
  const { handle: _, ...owner } = writer
  try {
    const handle = await (await services.store.keptForms()).keep({ ...owner, bindingId: binding.id }, form)
    if (handle !== undefined) keep()
    return handle
  } catch {
    return undefined
  }
}

/**
 * Whether a request that says that it is a kept form is that: of the same user, from the same browser, to the same address, and for the first time.
 * Otherwise a page says that it is not sent.
 *
 * @throws {OidcError} ERR_OIDC_STORE_UNAVAILABLE, and then the form can be sent again
 */
export async function admitKeptForm(context: RequestContext, handle: string): Promise<boolean> {
  const { req, services } = context
  const { site, store } = services
  const found = isOwnForm(req, site.baseUrl) ? await findKeptForm(context, handle) : undefined
  const isMeant = found !== undefined && found.form.address === readReturnTo(site, withoutForm(addressOf(req)))
  if (!isMeant || !(await (await store.keptForms()).remove(found.owner, handle))) {
    await sendUnsentPage(context, 'gone')
    return false
  }
  hideForm(req)
  publish(() => ({ type: 'kept-form', outcome: 'sent', site: site.siteName }))
  return true
}
