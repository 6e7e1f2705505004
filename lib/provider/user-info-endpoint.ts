import { observe } from '../diagnostics/publish.js'
import { describeJwt } from '../diagnostics/values.js'
import { factsOf, OidcError } from '../errors.js'
import type { ProofKey } from '../protocol/dpop.js'
import { isEncrypted, type VerifiedJwt } from '../protocol/jwt.js'
import { tenantOf } from '../protocol/tenants.js'
import { checkSignedUserInfo, parseUserInfo } from '../protocol/user-info.js'
import type { ProviderMetadata, SigningAlgorithm, UserInfo } from '../protocol/wire.js'
import type { OpenToken } from './decryption.js'
import { requiredEndpoint } from './discovery.js'
import type { Http } from './http.js'
import type { Proofs } from './proofs.js'
import { checkStatus, type HttpResponse } from './response.js'

export interface UserInfoEndpointSettings {
  readonly clientId: string
  /** Where the issuer is that of many tenants: theirs, with a placeholder. */
  readonly tenants?: { readonly template: string } | undefined
  /** Set if the provider must sign: an unsigned response is refused then. */
  readonly signedWith: SigningAlgorithm | undefined
  readonly verifySigned: (token: string) => Promise<VerifiedJwt>
  /** Opens an encrypted response. */
  readonly open: OpenToken
  /** Whether a response that is not encrypted is refused. */
  readonly isEncryptionDemanded: boolean
  readonly clockTolerance: number
  readonly http: Http
  /** Asked for where a token comes with a key. */
  readonly proofs: () => Promise<Proofs>
  readonly now: () => Date
}

/** @param proofKey - the key the token is bound to; left out: it is a bearer token */
export type FetchUserInfo = (
  metadata: ProviderMetadata,
  accessToken: string,
  proofKey?: ProofKey | undefined,
) => Promise<UserInfo>

const ENCRYPTED =
  'the userinfo response is encrypted: set decryption, or switch userinfo_encrypted_response_alg off for this client at the provider'

/** AD FS and Microsoft Graph refuse every token that is for another API. */
const REFUSED =
  'the userinfo, but refused the access token; if it does so at every sign-in, the token is for another API: set userInfo: false, so that the claims of the ID Token are used'

function isRefused({ status }: HttpResponse): boolean {
  return status === 400 || status === 401 || status === 403
}

/** @see https://openid.net/specs/openid-connect-core-1_0.html#UserInfo */
export function createUserInfoEndpoint(settings: UserInfoEndpointSettings): FetchUserInfo {
  const { clientId, signedWith, verifySigned, clockTolerance, http, proofs, now, open, isEncryptionDemanded } = settings
  const { tenants } = settings
  const accept = signedWith === undefined && !isEncryptionDemanded ? 'application/json' : 'application/jwt'

  function readSigned(response: HttpResponse, issuer: string): Promise<UserInfo> {
    const received = response.text.trim()
    let opened: string | undefined
    const read = async () => {
      opened = await open(received, isEncryptionDemanded).catch(refuseSignature)
      return verifyOpened(opened, issuer)
    }
    return observe(read, timing => ({ type: 'jwt', token: 'userinfo', ...describeJwt(received, opened), ...timing }))
  }

  async function verifyOpened(token: string, issuer: string): Promise<UserInfo> {
    if (isEncrypted(token)) throw new OidcError('ERR_OIDC_USER_INFO_RESPONSE', ENCRYPTED)
    const { claims } = await verifySigned(token).catch(refuseSignature)
    const { iss } = claims
    // Whether it is the tenant of the user, is for the caller to compare.
    const isOfTenant = tenants !== undefined && typeof iss === 'string' && tenantOf(iss, tenants.template) !== undefined
    const expected = { clientId, now: now().getTime() / 1000, clockTolerance }
    return checkSignedUserInfo(claims, { ...expected, issuer: isOfTenant ? iss : issuer })
  }

  async function request(url: string, accessToken: string, key: ProofKey | undefined): Promise<HttpResponse> {
    const options = { accept, bearer: accessToken }
    if (key === undefined) return http.getJson(url, options)
    const proven = { key, method: 'GET', url, accessToken }
    return (await proofs()).send(proven, dpop => http.getJson(url, { ...options, dpop }))
  }

  return async function fetchUserInfo(metadata, accessToken, proofKey) {
    const endpoint = requiredEndpoint(metadata, 'userinfo_endpoint')
    checkSendable(accessToken)
    const response = await request(endpoint, accessToken, proofKey)
    // The status goes along: 401 is about the token, and another token may do better.
    checkStatus(response, isRefused(response) ? REFUSED : 'the userinfo', 'ERR_OIDC_USER_INFO_RESPONSE')
    if (response.contentType === 'application/jwt') return readSigned(response, metadata.issuer)
    if (isEncryptionDemanded)
      throw new OidcError('ERR_OIDC_USER_INFO_RESPONSE', 'the userinfo response is not encrypted')
    if (signedWith === undefined) return parseUserInfo(response.json())
    throw new OidcError('ERR_OIDC_USER_INFO_RESPONSE', 'the userinfo response is not signed')
  }
}

/** RFC 6750 section 2.1. Asked here because an error about a header would quote the token. */
function checkSendable(accessToken: string): void {
  if (/^[\x21-\x7e]+$/.test(accessToken)) return
  throw new OidcError('ERR_OIDC_PROVIDER_RESPONSE', 'the access token cannot be sent in a header')
}

/** Only what is wrong with the token is about userinfo; keys that cannot be fetched stay what they are. */
function refuseSignature(error: unknown): never {
  if (!(error instanceof OidcError) || !error.code.startsWith('ERR_OIDC_ID_TOKEN_')) throw error
  throw new OidcError('ERR_OIDC_USER_INFO_RESPONSE', 'the signed userinfo response cannot be verified', {
    cause: error,
  })
}

/** Whether the provider does not take the access token any more, rather than having trouble of its own. */
export function isTokenRefused(error: unknown): boolean {
  return error instanceof OidcError && factsOf(error).status === 401
}
