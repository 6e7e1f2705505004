import { createHash } from 'node:crypto'
import type { IdentityProvider, ProviderContext, ProviderSession } from 'oidc-provider'

/** The client metadata that has to be allowed in oidc-provider's configuration (`extraClientMetadata`). */
export const frontChannelMetadata = 'frontchannel_logout_uri'

/** Milliseconds. A site that does not answer delays a sign-out no longer than this. */
const patience = 3000

/**
 * OpenID Connect Front-Channel Logout 1.0, which oidc-provider leaves to the application: before the browser goes back to the site, it is shown a page that loads the logout address of
 * every site that the user was signed in to, each in a frame of its own.
 */
export function addFrontChannelLogout(provider: IdentityProvider): void {
  const ended = new WeakSet<ProviderContext>()
  provider.on('end_session.success', ctx => {
    if (ctx.oidc.params.logout !== undefined) ended.add(ctx)
  })
  provider.use(async (ctx, next) => {
    await next()
    if (!ended.has(ctx)) return
    const frames = await framesOf(provider, ctx.oidc.session.authorizations ?? {})
    if (frames.length > 0) showFrames(ctx, frames, ctx.response.get('location'))
  })
}

async function framesOf(
  provider: IdentityProvider,
  authorizations: NonNullable<ProviderSession['authorizations']>,
): Promise<string[]> {
  const frames: string[] = []
  for (const [clientId, { sid }] of Object.entries(authorizations)) {
    const address = (await provider.Client.find(clientId))?.metadata()[frontChannelMetadata]
    if (typeof address !== 'string' || sid === undefined) continue
    const url = new URL(address)
    url.searchParams.set('iss', provider.issuer)
    url.searchParams.set('sid', sid)
    frames.push(url.href)
  }
  return frames
}

const script = `
const proceed = () => location.replace(document.querySelector('a').href)
addEventListener('load', proceed)
setTimeout(proceed, ${patience})
`

function showFrames(ctx: ProviderContext, frames: readonly string[], next: string): void {
  const origins = [...new Set(frames.map(frame => new URL(frame).origin))].join(' ')
  const scriptHash = createHash('sha256').update(script).digest('base64')
  ctx.remove('Location')
  ctx.status = 200
  ctx.type = 'html'
  ctx.set('Cache-Control', 'no-store')
  ctx.set(
    'Content-Security-Policy',
    `default-src 'none'; frame-src ${origins}; script-src 'sha256-${scriptHash}'; base-uri 'none'; frame-ancestors 'none'`,
  )
  ctx.body = `<!doctype html>
<html lang="en">
<title>Signing out</title>
<p>Signing out everywhere. <a href="${escapeAttribute(next)}">Continue</a></p>
${frames.map(frame => `<iframe hidden src="${escapeAttribute(frame)}"></iframe>`).join('\n')}
<script>${script}</script>
</html>
`
}

function escapeAttribute(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}
