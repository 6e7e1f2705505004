import type { OidcErrorCode } from '../../lib/index.js'
import { type Claims, drop, type Faults, type JwtFault, replace } from '../support/hostile-provider.js'
import { assertFinishes, assertStops, type FapiModule, type FapiVariant, otherRsaKey } from './fapi-suite.js'

const without =
  (name: string) =>
  ({ [name]: _, ...claims }: Claims) =>
    claims
const appended = (name: string, text: string) => (claims: Claims) => ({ ...claims, [name]: `${claims[name]}${text}` })
const expired = (claims: Claims) => ({ ...claims, exp: Math.floor(Date.now() / 1000) - 360 })

/** A fault of the ID Token that the token endpoint returns: nothing more is asked of the provider. */
function idTokenFault(id: string, fault: JwtFault, code: OidcErrorCode): FapiModule {
  return {
    id,
    faults: { backIdToken: fault },
    run: async run => void (await assertStops(run, code, { authorize: 1, token: 1 })),
  }
}

/** A fault of the authorization response: the code is not used. */
function responseFault(id: string, faults: Faults, code: OidcErrorCode): FapiModule {
  return { id, faults, run: async run => void (await assertStops(run, code, { authorize: 1, token: 0 })) }
}

/** The response as it stands in the fields, or inside the signed response. */
const inResponse = (
  change: { readonly fields: Faults['response']; readonly claims: JwtFault },
  id: string,
  code: OidcErrorCode,
  applies: (variant: FapiVariant) => boolean = () => true,
): FapiModule[] => [
  { ...responseFault(id, { response: change.fields } as Faults, code), applies: v => !v.jarm && applies(v) },
  { ...responseFault(id, { signedResponse: change.claims }, code), applies: v => v.jarm && applies(v) },
]

const isPlain = ({ jarm }: FapiVariant) => !jarm
const isDpop = ({ senderConstrain }: FapiVariant) => senderConstrain === 'dpop'
const isMtls = (variant: FapiVariant) => variant.clientAuth === 'mtls' || !isDpop(variant)

const invertCase = (text: string) =>
  [...text].map(letter => (letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase())).join('')

/** FAPI 2.0 Security Profile, final: the modules for `plain_fapi` clients of OpenID Connect. */
export const fapi2Modules: readonly FapiModule[] = [
  { id: 'happy-path', run: assertFinishes },
  { id: 'happy-path-no-dpop-nonce', applies: isDpop, demands: { proofNonces: false }, run: assertFinishes },
  {
    // The endpoints themselves take clients with a certificate then.
    id: 'happy-path-no-mtls-endpoint-aliases',
    applies: isMtls,
    hasAliases: false,
    run: assertFinishes,
  },
  {
    id: 'discovery-issuer-mismatch',
    faults: { metadata: document => ({ ...document, issuer: `${document.issuer}INVALID` }) },
    run: async run => void (await assertStops(run, 'ERR_OIDC_METADATA_ISSUER', { authorize: 0, token: 0 })),
  },
  idTokenFault('invalid-iss', appended('iss', '1'), 'ERR_OIDC_ID_TOKEN_ISSUER'),
  idTokenFault('invalid-missing-iss', without('iss'), 'ERR_OIDC_ID_TOKEN_ISSUER'),
  idTokenFault('invalid-aud', appended('aud', '1'), 'ERR_OIDC_ID_TOKEN_AUDIENCE'),
  idTokenFault('invalid-missing-aud', without('aud'), 'ERR_OIDC_ID_TOKEN_AUDIENCE'),
  idTokenFault(
    'invalid-secondary-aud',
    claims => ({ ...claims, aud: [claims.aud, `${claims.aud}1`] }),
    'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY',
  ),
  idTokenFault('invalid-null-alg', { alg: 'none' }, 'ERR_OIDC_ID_TOKEN_ALGORITHM'),
  idTokenFault(
    'invalid-alternate-alg',
    { alg: 'RS256', key: otherRsaKey.privateKey, header: header => ({ ...header, kid: otherRsaKey.kid }) },
    'ERR_OIDC_ID_TOKEN_ALGORITHM',
  ),
  idTokenFault('invalid-expired-exp', expired, 'ERR_OIDC_ID_TOKEN_EXPIRED'),
  idTokenFault('invalid-missing-exp', without('exp'), 'ERR_OIDC_ID_TOKEN_EXPIRED'),
  idTokenFault('invalid-nonce', appended('nonce', '1'), 'ERR_OIDC_ID_TOKEN_NONCE'),
  idTokenFault('invalid-missing-nonce', without('nonce'), 'ERR_OIDC_ID_TOKEN_NONCE'),
  {
    id: 'valid-aud-as-array',
    faults: { backIdToken: claims => ({ ...claims, aud: [claims.aud] }) },
    run: assertFinishes,
  },
  {
    ...responseFault(
      'invalid-authorization-response-iss',
      { response: replace('iss', iss => `${iss}INVALID`) },
      'ERR_OIDC_RESPONSE_ISSUER',
    ),
    applies: isPlain,
  },
  {
    ...responseFault('remove-authorization-response-iss', { response: drop('iss') }, 'ERR_OIDC_RESPONSE_ISSUER'),
    applies: isPlain,
  },
  ...inResponse(
    { fields: replace('state', state => `${state}1`), claims: appended('state', '1') },
    'ensure-authorization-response-with-invalid-state-fails',
    'ERR_OIDC_TRANSACTION_MISSING',
  ),
  ...inResponse(
    { fields: drop('state'), claims: without('state') },
    'ensure-authorization-response-with-invalid-missing-state-fails',
    'ERR_OIDC_REQUEST_MALFORMED',
  ),
  {
    id: 'token-endpoint-response-without-expires_in',
    faults: { tokenResponse: ({ expires_in: _, ...body }) => body },
    run: assertFinishes,
  },
  {
    id: 'token-type-case-insensitivity',
    faults: { tokenResponse: body => ({ ...body, token_type: invertCase(String(body.token_type)) }) },
    run: assertFinishes,
  },
  {
    id: 'rs-dpop-auth-scheme-case-insensitivity',
    applies: isDpop,
    demands: { scheme: 'dPoP' },
    run: assertFinishes,
  },
]

const jarmFault = (suffix: string, fault: JwtFault, code: OidcErrorCode): FapiModule => ({
  ...responseFault(`ensure-jarm-${suffix}`, { signedResponse: fault }, code),
  applies: ({ jarm }) => jarm,
})

/** FAPI 2.0 Message Signing, final: the modules above, and these. */
export const jarmModules: readonly FapiModule[] = [
  jarmFault('without-iss-fails', without('iss'), 'ERR_OIDC_RESPONSE_ISSUER'),
  jarmFault('with-invalid-iss-fails', appended('iss', 'INVALID'), 'ERR_OIDC_RESPONSE_ISSUER'),
  jarmFault('without-aud-fails', without('aud'), 'ERR_OIDC_RESPONSE_AUDIENCE'),
  jarmFault('with-invalid-aud-fails', appended('aud', 'INVALID'), 'ERR_OIDC_RESPONSE_AUDIENCE'),
  jarmFault('without-exp-fails', without('exp'), 'ERR_OIDC_RESPONSE_EXPIRED'),
  jarmFault('with-expired-exp-fails', expired, 'ERR_OIDC_RESPONSE_EXPIRED'),
  jarmFault(
    'with-invalid-sig-fails',
    { signature: bytes => Buffer.from(bytes.map(byte => byte ^ 0x5a)) },
    'ERR_OIDC_RESPONSE_SIGNATURE',
  ),
  jarmFault('signature-is-not-none', { alg: 'none' }, 'ERR_OIDC_RESPONSE_ALGORITHM'),
]
