import type { OidcErrorCode, OidcOptions } from '../../lib/index.js'
import type { Claims, Faults, HostileProviderOptions, JwtFault } from '../support/hostile-provider.js'
import { assertRefuses, type Module, type ResponseType, responseTypes, withCode } from './suite.js'

const withCodeHash: readonly ResponseType[] = ['code id_token', 'code id_token token']
const withTokenHash: readonly ResponseType[] = ['code id_token token']

/** The suite makes the same mistake in every ID Token of a module. */
function everyIdToken(fault: JwtFault): Faults {
  return { frontIdToken: fault, backIdToken: fault }
}

const without =
  (name: string) =>
  ({ [name]: _, ...claims }: Claims) =>
    claims
const appended = (name: string, text: string) => (claims: Claims) => ({ ...claims, [name]: `${claims[name]}${text}` })
const damaged = { signature: (bytes: Buffer) => Buffer.from(bytes.map(byte => byte ^ 0x5a)) }

function refused(
  suffix: string,
  fault: JwtFault,
  code: OidcErrorCode,
  appliesTo: readonly ResponseType[] = responseTypes,
  more: { readonly oidc?: OidcOptions; readonly provider?: HostileProviderOptions } = {},
): Module {
  return {
    id: `oidcc-client-test-${suffix}`,
    appliesTo,
    faults: everyIdToken(fault),
    ...more,
    run: async run => void (await assertRefuses(run, code)),
  }
}

export const idTokenModules: readonly Module[] = [
  refused('invalid-iss', appended('iss', '1'), 'ERR_OIDC_ID_TOKEN_ISSUER'),
  refused('invalid-aud', appended('aud', '1'), 'ERR_OIDC_ID_TOKEN_AUDIENCE'),
  refused('missing-aud', without('aud'), 'ERR_OIDC_ID_TOKEN_AUDIENCE'),
  refused('missing-sub', without('sub'), 'ERR_OIDC_ID_TOKEN_SUBJECT'),
  refused('missing-iat', without('iat'), 'ERR_OIDC_ID_TOKEN_ISSUED_AT'),
  refused('nonce-invalid', appended('nonce', '1'), 'ERR_OIDC_ID_TOKEN_NONCE'),
  refused('invalid-sig-rs256', damaged, 'ERR_OIDC_ID_TOKEN_SIGNATURE'),
  refused('invalid-sig-es256', damaged, 'ERR_OIDC_ID_TOKEN_SIGNATURE', responseTypes, {
    oidc: { idTokenAlgorithm: 'ES256' },
    provider: { alg: 'ES256' },
  }),
  refused('invalid-sig-hs256', damaged, 'ERR_OIDC_ID_TOKEN_SIGNATURE', responseTypes, {
    oidc: { idTokenAlgorithm: 'HS256' },
    provider: { alg: 'HS256' },
  }),
  refused('invalid-chash', appended('c_hash', '1'), 'ERR_OIDC_ID_TOKEN_CODE_HASH', withCodeHash),
  refused('missing-chash', without('c_hash'), 'ERR_OIDC_ID_TOKEN_CODE_HASH', withCodeHash),
  refused('invalid-athash', appended('at_hash', '1'), 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH', withTokenHash),
  refused('missing-athash', without('at_hash'), 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH', withTokenHash),
  {
    id: 'oidcc-client-test-userinfo-invalid-sub',
    appliesTo: withCode,
    faults: { userInfoClaims: claims => ({ ...claims, sub: `${claims.sub}invalid` }) },
    run: async run => void (await assertRefuses(run, 'ERR_OIDC_USER_INFO_SUBJECT', { token: 1, userinfo: 1 })),
  },
]
