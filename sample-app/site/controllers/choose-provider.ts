import type { RequestHandler } from 'express'
import type { SiteProvider } from '../providers.js'

/** "Choose your identity server": the middleware sends users here who have to sign in, with `returnTo` in the query. */
export function createChooseProvider(providers: readonly SiteProvider[]): RequestHandler {
  return (req, res) => {
    const { returnTo } = req.query
    // Nothing is checked here: /login leads to pages of this site only.
    const query = new URLSearchParams({ returnTo: typeof returnTo === 'string' ? returnTo : '/' })
    const choices = providers.map(({ name, title, issuer }) => {
      return { name, title, host: new URL(issuer).host, href: `/login/${name}?${query}` }
    })
    res.render('choose-provider', { title: 'Choose your identity server', page: 'choose-provider', choices })
  }
}
