import { OidcError } from '../errors.js'
import { buildReference, isPushed, type PushedAuthorization } from '../protocol/pushed-request.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import type { Provider } from './provider.js'

/** How a site sends its authorization requests. */
export interface RequestSettings {
  readonly clientId: string
  readonly pushedAuthorization: PushedAuthorization
  readonly signsRequests: boolean
}

/**
 * What the browser takes to the authorization endpoint: the request itself, the request as a signed object, or the reference to one that was
 * pushed.
 *
 * @param asked - the parameters of the request
 * @throws {OidcError} ERR_OIDC_OPTIONS and ERR_OIDC_UNSUPPORTED for a key that cannot sign it; the codes of {@link Provider.pushRequest}
 */
export async function prepareRequest(
  provider: Pick<Provider, 'pushRequest' | 'signRequest' | 'reloadRequestKeys'>,
  metadata: ProviderMetadata,
  asked: URLSearchParams,
  {
    settings,
    proofKey,
  }: { readonly settings: RequestSettings; readonly proofKey: Parameters<Provider['pushRequest']>[1] },
): Promise<URLSearchParams> {
  const pushes = isPushed(metadata, settings.pushedAuthorization)
  const build = async () => (settings.signsRequests ? sign(provider, asked, pushes) : asked)
  if (!pushes) return build()
  const push = async () => provider.pushRequest(await build(), proofKey)
  const reference = await push().catch(async (error: unknown) => {
    // A provider that has a new key cannot read what was encrypted to the old one.
    if (!isUnreadable(error) || !(await provider.reloadRequestKeys())) throw error
    return push()
  })
  return buildReference(settings.clientId, reference)
}

/** RFC 9101 section 7. */
function isUnreadable(error: unknown): boolean {
  return error instanceof OidcError && error.providerError?.error === 'invalid_request_object'
}

/** The request as a signed object. Loaded where requests are signed. */
async function sign(
  provider: Pick<Provider, 'signRequest'>,
  asked: URLSearchParams,
  pushes: boolean,
): Promise<URLSearchParams> {
  const { buildSignedRequest } = await import('../protocol/request-object.js')
  return buildSignedRequest(await provider.signRequest(asked), asked, pushes)
}
