// oidc-provider brings no types. This is the part of it that the sample uses.
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  export interface ProviderGrant {
    addOIDCScope(scope: string): void
    save(): Promise<string>
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
    readonly oidc: {
      readonly client?: { readonly clientId: string; readonly clientName?: string }
      readonly session: { readonly accountId?: string; grantIdFor(clientId: string): string | undefined }
      readonly result?: { readonly consent?: { readonly grantId?: string } }
      readonly provider: IdentityProvider
    }
  }

  class IdentityProvider {
    constructor(issuer: string, configuration: object)
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
      find(id: string): Promise<{ readonly clientName?: string } | undefined>
      readonly Schema: { prototype: { invalidate(message: string, code?: string): void } }
    }
  }

  export { IdentityProvider, IdentityProvider as Provider }
}
