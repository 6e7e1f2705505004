import type { OidcOptions } from './options.js'

/** The options that each of several providers may have of its own. */
export const PROVIDER_OPTIONS = [
  'issuer',
  'clientId',
  'clientSecret',
  'clientAuthentication',
  'responseType',
  'pkce',
  'dpop',
  'mtls',
  'pushedAuthorization',
  'scope',
  'authorizationParams',
  'userInfo',
  'tenants',
  'idTokenAlgorithm',
  'decryption',
  'metadata',
  'metadataUrl',
  'endpoints',
  'revokeTokens',
  'idTokenHint',
  'signals',
] as const satisfies readonly (keyof OidcOptions)[]

/** Of these, the ones that make no sense for all providers of a site together. */
export const ONLY_OF_A_PROVIDER = [
  'issuer',
  'clientId',
  'clientSecret',
  'clientAuthentication',
  'tenants',
  'metadata',
  'metadataUrl',
  'endpoints',
] as const satisfies readonly (typeof PROVIDER_OPTIONS)[number][]

/** One of several providers. What is left out is as the options of the site say, and else the default. */
export type ProviderOptions = Pick<OidcOptions, (typeof PROVIDER_OPTIONS)[number]>

/** Who the user may sign in with, on a site with several providers. */
export interface ProviderChoice {
  /** The providers, by the names that paths and sessions have them under: lower-case letters, digits, `-` and `_`, 64 at most. */
  readonly providers?: Readonly<Record<string, ProviderOptions>> | undefined
  /**
   * Finds a provider by its name, where there are too many to list. `undefined`: there is none. The result is used for five minutes, by this process, for
   * at most 500 names; an object that is the same as before keeps what is known of the provider. Errors are ERR_OIDC_PROVIDER_UNAVAILABLE.
   */
  readonly resolveProvider?:
    | ((name: string) => ProviderOptions | undefined | Promise<ProviderOptions | undefined>)
    | undefined
  /** The provider for sign-ins that name none. Default: none, and `chooseProvider` decides. */
  readonly defaultProvider?: string | undefined
  /** The page of the site on which the user chooses, a path: it is opened with `returnTo`. Default: none, and a sign-in has to name a provider. */
  readonly chooseProvider?: string | undefined
}

/** Options of a site with one provider. */
export type OneProviderOptions = OidcOptions & { readonly [K in keyof ProviderChoice]?: undefined }

/** Options of a site with several providers. */
export type SeveralProvidersOptions = Omit<OidcOptions, (typeof ONLY_OF_A_PROVIDER)[number] | 'profile'> & {
  readonly [K in (typeof ONLY_OF_A_PROVIDER)[number] | 'profile']?: undefined
} & ProviderChoice &
  (Required<Pick<ProviderChoice, 'providers'>> | Required<Pick<ProviderChoice, 'resolveProvider'>>)
