import type { IdentityProvider, ProviderContext, ProviderGrant } from 'oidc-provider'

/**
 * Remembers who has allowed what, so that a user is asked once. oidc-provider itself keeps that with the browser's session
 * and forgets it at sign-out.
 */
export function createConsents() {
  const allowed = new Map<string, string>()
  const keyOf = (accountId: string, clientId: string) => JSON.stringify([accountId, clientId])

  const grant = async (
    provider: IdentityProvider,
    accountId: string,
    clientId: string,
    scope: string,
  ): Promise<[string, ProviderGrant]> => {
    const made = new provider.Grant({ accountId, clientId })
    made.addOIDCScope(scope)
    return [await made.save(), made]
  }

  return {
    /** Records a consent; resolves to the id of the grant it became. */
    async allow(provider: IdentityProvider, accountId: string, clientId: string, scope: string): Promise<string> {
      allowed.set(keyOf(accountId, clientId), scope)
      const [id] = await grant(provider, accountId, clientId, scope)
      return id
    },
    /** oidc-provider's `loadExistingGrant`: the grant of this sign-in, of this session, or of an earlier consent. */
    async load({ oidc: { client, session, result, provider } }: ProviderContext): Promise<ProviderGrant | undefined> {
      if (client === undefined || session.accountId === undefined) return undefined
      const id = result?.consent?.grantId ?? session.grantIdFor(client.clientId)
      const found = id === undefined ? undefined : await provider.Grant.find(id)
      const scope = allowed.get(keyOf(session.accountId, client.clientId))
      if (found || scope === undefined) return found
      const [, made] = await grant(provider, session.accountId, client.clientId, scope)
      return made
    },
  }
}

export type Consents = ReturnType<typeof createConsents>
