// oidc-provider brings no types. This is the part of it that the sample uses.
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface ProviderGrant {
    addOIDCScope(scope: string): void
    save(): Promise<string>
  }

  export interface ProviderClient {
    readonly clientName?: string
    /** With the names of the specifications. */
    metadata(): Readonly<Record<string, unknown>>
  }

  export interface ProviderInteraction {
    readonly uid: string
    readonly prompt: { readonly name: string }
    readonly params: { readonly client_id: string; readonly scope: string }
    readonly session?: { readonly accountId: string }
  }

  export interface ProviderContext {
    body: unknown
    type: string
    status: number
    readonly response: { get(header: string): string }
    set(header: string, value: string): void
    remove(header: string): void
    readonly oidc: {
      readonly client?: { readonly clientId: string; readonly clientName?: string }
      readonly session: ProviderSession
      readonly params: { readonly logout?: string }
      readonly result?: { readonly consent?: { readonly grantId?: string } }
      readonly provider: IdentityProvider
    }
  }

  export interface ProviderSession {
    readonly accountId?: string
    /** By client. */
    readonly authorizations?: Readonly<Record<string, { readonly sid?: string }>>
    grantIdFor(clientId: string): string | undefined
  }

  class IdentityProvider {
    readonly issuer: string
    constructor(issuer: string, configuration: object)
    use(middleware: (ctx: ProviderContext, next: () => Promise<unknown>) => Promise<void>): this
    callback(): (req: IncomingMessage, res: ServerResponse) => void
    interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<ProviderInteraction>
    interactionFinished(
      req: IncomingMessage,
      res: ServerResponse,
      result: object,
      options?: { mergeWithLastSubmission?: boolean },
    ): Promise<void>
    on(event: string, listener: (ctx: ProviderContext, error: Error) => void): this
    readonly Grant: {
      new (properties: { accountId: string; clientId: string }): ProviderGrant
      find(id: string): Promise<ProviderGrant | undefined>
    }
    readonly Client: {
      find(id: string): Promise<ProviderClient | undefined>
      readonly Schema: { prototype: { invalidate(message: string, code?: string): void } }
    }
  }

  export { IdentityProvider, IdentityProvider as Provider }
}
