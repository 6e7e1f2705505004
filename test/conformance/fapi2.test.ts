import { type FapiVariant, registerFapi } from './fapi-suite.js'
import { fapi2Modules, jarmModules } from './fapi2-modules.js'

const clients = [
  { clientAuth: 'private_key_jwt', senderConstrain: 'dpop' },
  { clientAuth: 'private_key_jwt', senderConstrain: 'mtls' },
  { clientAuth: 'mtls', senderConstrain: 'dpop' },
  { clientAuth: 'mtls', senderConstrain: 'mtls' },
] as const

function variantsOf(
  name: string,
  { signedRequests, jarm, oidc }: Pick<FapiVariant, 'signedRequests' | 'jarm' | 'oidc'>,
): FapiVariant[] {
  return clients.map(client => ({
    ...client,
    name: `${name}, ${client.clientAuth}, ${client.senderConstrain}`,
    signedRequests,
    jarm,
    pushed: true,
    oidc,
  }))
}

const PREFIX = 'fapi2-security-profile-final-client-test-'

// fapi2-security-profile-final-client-test-plan
const plain = { signedRequests: false, jarm: false, oidc: { profile: 'fapi2' } } as const
registerFapi(PREFIX, fapi2Modules, variantsOf('unsigned, plain_response', plain))

// fapi2-message-signing-final-client-test-plan
const signed = { signedRequests: true, jarm: true, oidc: { profile: 'fapi2-message-signing' } } as const
registerFapi(PREFIX, [...fapi2Modules, ...jarmModules], variantsOf('signed_non_repudiation, jarm', signed))
const signedRequestsOnly = { signedRequests: true, jarm: false, oidc: { profile: 'fapi2' } } as const
registerFapi(
  PREFIX,
  fapi2Modules,
  variantsOf('signed_non_repudiation, plain_response', signedRequestsOnly).filter(
    ({ clientAuth, senderConstrain }) => (clientAuth === 'mtls') === (senderConstrain === 'mtls'),
  ),
)
