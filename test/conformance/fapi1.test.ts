import type { OidcOptions } from '../../lib/index.js'
import { type FapiVariant, registerFapi } from './fapi-suite.js'
import { fapi1Modules } from './fapi1-modules.js'

// The suite sends a plain response in the fragment, which no server sees: here it is posted.
const responses = {
  plain_response: { responseType: 'code id_token', responseMode: 'form_post' },
  jarm: { responseType: 'code', responseMode: 'query.jwt' },
} as const satisfies Record<string, OidcOptions>

const variants = (['private_key_jwt', 'mtls'] as const).flatMap(clientAuth =>
  ([false, true] as const).flatMap(pushed =>
    (['plain_response', 'jarm'] as const).map(
      (response): FapiVariant => ({
        name: `${clientAuth}, ${pushed ? 'pushed' : 'by_value'}, ${response}`,
        clientAuth,
        senderConstrain: 'mtls',
        signedRequests: true,
        jarm: response === 'jarm',
        pushed,
        oidc: { ...responses[response], idTokenAlgorithm: 'PS256' },
      }),
    ),
  ),
)

registerFapi('fapi1-advanced-final-client-', fapi1Modules, variants)
