import type { IncomingMessage, ServerResponse } from 'node:http'

/** The part of `oidc-provider` the tests use. The package brings no types of its own. */
export interface OidcProvider {
  readonly Grant: new (properties: { accountId: string; clientId: string | undefined }) => OidcGrant
  readonly Client: { readonly Schema: { prototype: { invalidate(message: string, code?: string): void } } }
  callback(): (request: IncomingMessage, response: ServerResponse) => void
  interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<OidcInteraction>
  interactionFinished(request: IncomingMessage, response: ServerResponse, result: object): Promise<void>
  on(event: string, listener: (...args: unknown[]) => void): this
}

export interface OidcInteraction {
  readonly uid: string
  readonly prompt: { readonly name: string }
  readonly params: Readonly<Record<string, string | undefined>>
}

export interface OidcGrant {
  addOIDCScope(scope: string): void
  addResourceScope(resource: string, scope: string): void
  save(): Promise<string>
}

type OidcProviderClass = new (issuer: string, configuration: object) => OidcProvider

/** Not declared as a module: a declaration is global, and a second one elsewhere would merge with it. */
export async function loadOidcProvider(): Promise<OidcProviderClass> {
  const name: string = 'oidc-provider'
  const { default: Provider } = (await import(name)) as { default: OidcProviderClass }
  return Provider
}
