import type { ProofKey } from '../protocol/dpop.js'
import { describeRefusedPush, parsePushedResponse } from '../protocol/pushed-request.js'
import { parseRetryAfter } from '../protocol/token-response.js'
import type { ProviderMetadata } from '../protocol/wire.js'
import { createClientAuthentication } from './client-authentication.js'
import { requiredEndpoint } from './discovery.js'
import type { TokenEndpointSettings } from './token-endpoint.js'

/**
 * Hands a request over before the browser leaves, and returns its `request_uri`. The client proves itself as at the token endpoint.
 *
 * @param proofKey - the key that the tokens will be bound to. RFC 9449 section 10.1
 */
export type PushRequest = (
  metadata: ProviderMetadata,
  params: URLSearchParams,
  proofKey: ProofKey | undefined,
) => Promise<string>

/** @see https://www.rfc-editor.org/rfc/rfc9126#section-2 */
export function createPushedRequestEndpoint({ http, proofs, ...settings }: TokenEndpointSettings): PushRequest {
  const authenticateClient = createClientAuthentication(settings)

  return async function pushRequest(metadata, params, key) {
    const endpoint = requiredEndpoint(metadata, 'pushed_authorization_request_endpoint')
    const fields = groupByName(params)
    const post = async (proof?: () => string) => {
      const { headers, body } = await authenticateClient(metadata, endpoint)
      return http.postForm(endpoint, { ...fields, ...body }, { ...headers, ...(proof && { dpop: proof() }) })
    }
    const proven = key && { key, method: 'POST', url: endpoint }
    const response = await (proven ? (await proofs()).send(proven, post) : post())
    const { status, providerError, headers } = response
    // RFC 9126 section 2.2 says 201; some providers respond with 200.
    if (status === 201 || status === 200) return parsePushedResponse(response.json())
    const { method: clientMethod } = settings.authentication(metadata)
    throw describeRefusedPush({
      status,
      providerError,
      clientMethod,
      retryAfter: parseRetryAfter(headers.get('retry-after')),
    })
  }
}

/** `resource` may occur several times. RFC 8707 section 2. */
function groupByName(params: URLSearchParams): Record<string, string | readonly string[]> {
  const names = [...new Set(params.keys())]
  return Object.fromEntries(
    names.map(name => {
      const values = params.getAll(name)
      return [name, values.length === 1 ? (values[0] ?? '') : values]
    }),
  )
}
