import { fileURLToPath } from 'node:url'
import ejs from 'ejs'
import type { ProviderContext } from 'oidc-provider'

export const viewsFolder = fileURLToPath(new URL('views', import.meta.url))
export const publicFolder = fileURLToPath(new URL('public', import.meta.url))

/** The pages oidc-provider shows by itself, in our clothes. */

/** @param form The form that ends the session; its button stands in the page. */
export async function showSignOut(ctx: ProviderContext, form: string): Promise<void> {
  await show(ctx, 'sign-out', { title: 'Sign out', form, clientName: ctx.oidc.client?.clientName })
}

export async function showSignedOut(ctx: ProviderContext): Promise<void> {
  await show(ctx, 'signed-out', { title: 'Signed out' })
}

/** Says what kind of error it was, and not the description: it may repeat text from the request. */
export async function showProviderError(ctx: ProviderContext, { error }: { error: string }): Promise<void> {
  await show(ctx, 'error', { title: 'Something went wrong', error })
}

async function show(ctx: ProviderContext, view: string, values: Record<string, unknown>): Promise<void> {
  ctx.type = 'html'
  ctx.body = await ejs.renderFile(`${viewsFolder}/${view}.ejs`, values)
}
