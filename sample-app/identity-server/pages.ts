import { fileURLToPath } from 'node:url'
import ejs from 'ejs'
import type { ProviderContext } from 'oidc-provider'

export const viewsFolder = fileURLToPath(new URL('views', import.meta.url))
export const publicFolder = fileURLToPath(new URL('public', import.meta.url))

/** The pages oidc-provider shows by itself, in our clothes. */
export interface Pages {
  /** @param form The form that ends the session; its button stands in the page. */
  readonly showSignOut: (ctx: ProviderContext, form: string) => Promise<void>
  readonly showSignedOut: (ctx: ProviderContext) => Promise<void>
  /** Says what kind of error it was, and not the description: it may repeat text from the request. */
  readonly showProviderError: (ctx: ProviderContext, failure: { readonly error: string }) => Promise<void>
}

export function createPages(serverName: string): Pages {
  const show = async (ctx: ProviderContext, view: string, values: Record<string, unknown>) => {
    ctx.type = 'html'
    ctx.body = await ejs.renderFile(`${viewsFolder}/${view}.ejs`, { serverName, ...values })
  }
  return {
    showSignOut: (ctx, form) =>
      show(ctx, 'sign-out', { title: 'Sign out', form, clientName: ctx.oidc.client?.clientName }),
    showSignedOut: ctx => show(ctx, 'signed-out', { title: 'Signed out' }),
    showProviderError: (ctx, { error }) => show(ctx, 'error', { title: 'Something went wrong', error }),
  }
}
