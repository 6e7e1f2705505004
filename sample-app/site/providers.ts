import type { SeveralProvidersOptions } from './oidc.js'

/** An identity server that users of the site can choose. */
export interface SiteProvider {
  /** In paths and in sessions: `/login/acme`. */
  readonly name: string
  /** On pages. */
  readonly title: string
  readonly issuer: string
  readonly clientSecret: string | undefined
}

/** The page on which users choose. */
export const choosePage = '/sign-in'

/** The options of a site with several identity servers. */
export function describeProviders(
  providers: readonly SiteProvider[],
  clientId: string,
): Pick<SeveralProvidersOptions, 'chooseProvider'> & Required<Pick<SeveralProvidersOptions, 'providers'>> {
  const options = providers.map(({ name, issuer, clientSecret }) => [name, { issuer, clientId, clientSecret }])
  return { providers: Object.fromEntries(options), chooseProvider: choosePage }
}
