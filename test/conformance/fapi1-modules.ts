import type { OidcErrorCode } from '../../lib/index.js'
import { encryptJwt } from '../support/encrypt-jwt.js'
import type { Claims, JwtFault } from '../support/hostile-provider.js'
import {
  assertFinishes,
  assertStops,
  encryptionKey,
  type FapiModule,
  type FapiVariant,
  otherRsaKey,
  publicEncryptionKey,
} from './fapi-suite.js'

const without =
  (name: string) =>
  ({ [name]: _, ...claims }: Claims) =>
    claims
const appended = (name: string, text: string) => (claims: Claims) => ({ ...claims, [name]: `${claims[name]}${text}` })
const seconds = () => Math.floor(Date.now() / 1000)

const isPlain = ({ jarm }: FapiVariant) => !jarm

/** With `plain_response` the first ID Token comes with the code, so that the code is not used; with `jarm` it comes from the token endpoint. */
function refused(
  id: string,
  fault: JwtFault,
  code: OidcErrorCode,
  applies?: FapiModule['applies'],
  oidc: FapiModule['oidc'] = {},
): FapiModule {
  return {
    id,
    ...(applies && { applies }),
    oidc,
    faults: { frontIdToken: fault, backIdToken: fault },
    run: async run => void (await assertStops(run, code, { authorize: 1, token: isPlain(run.variant) ? 0 : 1 })),
  }
}

const encrypted = (alg: Parameters<typeof encryptJwt>[2]): JwtFault => ({
  token: token => encryptJwt(token, publicEncryptionKey, alg, { kid: encryptionKey.kid }),
})
const decryption = { decryption: { keys: [encryptionKey], idToken: true } }

/** FAPI 1.0 Advanced, final: the modules for `plain_fapi` clients of OpenID Connect that this package has the options for. */
export const fapi1Modules: readonly FapiModule[] = [
  { id: 'test', run: assertFinishes },
  {
    id: 'test-encrypted-idtoken',
    applies: isPlain,
    oidc: decryption,
    faults: { frontIdToken: encrypted('RSA-OAEP-256'), backIdToken: encrypted('RSA-OAEP-256') },
    run: assertFinishes,
  },
  refused(
    'test-encrypted-idtoken-usingrsa15',
    encrypted('RSA1_5'),
    'ERR_OIDC_ID_TOKEN_ENCRYPTION',
    isPlain,
    decryption,
  ),
  {
    id: 'test-discovery-issuer-mismatch',
    faults: { metadata: document => ({ ...document, issuer: `${document.issuer}INVALID` }) },
    run: async run => void (await assertStops(run, 'ERR_OIDC_METADATA_ISSUER', { authorize: 0, token: 0 })),
  },
  refused('test-invalid-shash', appended('s_hash', '1'), 'ERR_OIDC_ID_TOKEN_STATE_HASH', isPlain),
  refused('test-invalid-chash', appended('c_hash', '1'), 'ERR_OIDC_ID_TOKEN_CODE_HASH', isPlain),
  refused('test-invalid-nonce', appended('nonce', '1'), 'ERR_OIDC_ID_TOKEN_NONCE'),
  refused('test-invalid-missing-nonce', without('nonce'), 'ERR_OIDC_ID_TOKEN_NONCE'),
  refused('test-invalid-iss', appended('iss', '1'), 'ERR_OIDC_ID_TOKEN_ISSUER'),
  refused('test-invalid-missing-iss', without('iss'), 'ERR_OIDC_ID_TOKEN_ISSUER'),
  refused('test-invalid-aud', appended('aud', '1'), 'ERR_OIDC_ID_TOKEN_AUDIENCE'),
  refused('test-invalid-missing-aud', without('aud'), 'ERR_OIDC_ID_TOKEN_AUDIENCE'),
  refused(
    'test-invalid-secondary-aud',
    claims => ({ ...claims, aud: [claims.aud, `${claims.aud}1`] }),
    'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY',
  ),
  {
    id: 'test-valid-aud-as-array',
    faults: {
      frontIdToken: claims => ({ ...claims, aud: [claims.aud] }),
      backIdToken: claims => ({ ...claims, aud: [claims.aud] }),
    },
    run: assertFinishes,
  },
  refused(
    'test-invalid-signature',
    { signature: bytes => Buffer.from(bytes.map(byte => byte ^ 0x5a)) },
    'ERR_OIDC_ID_TOKEN_SIGNATURE',
    isPlain,
  ),
  refused('test-invalid-null-alg', { alg: 'none' }, 'ERR_OIDC_ID_TOKEN_ALGORITHM'),
  refused(
    'test-invalid-alternate-alg',
    { alg: 'RS256', key: otherRsaKey.privateKey, header: header => ({ ...header, kid: otherRsaKey.kid }) },
    'ERR_OIDC_ID_TOKEN_ALGORITHM',
  ),
  refused('test-invalid-expired-exp', claims => ({ ...claims, exp: seconds() - 360 }), 'ERR_OIDC_ID_TOKEN_EXPIRED'),
  refused('test-invalid-missing-exp', without('exp'), 'ERR_OIDC_ID_TOKEN_EXPIRED'),
  refused(
    'test-iat-is-week-in-past',
    claims => ({ ...claims, iat: seconds() - 7 * 24 * 3600 }),
    'ERR_OIDC_ID_TOKEN_ISSUED_AT',
    isPlain,
  ),
  {
    id: 'test-missing-athash',
    faults: { frontIdToken: without('at_hash'), backIdToken: without('at_hash') },
    run: assertFinishes,
  },
  {
    id: 'test-no-scope-in-token-endpoint-response',
    faults: { tokenResponse: ({ scope: _, expires_in: _e, ...body }) => body },
    run: assertFinishes,
  },
]
