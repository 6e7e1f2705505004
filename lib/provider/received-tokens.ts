import { observe } from '../diagnostics/publish.js'
import { describeJwt } from '../diagnostics/values.js'
import { isEncrypted } from '../protocol/jwt.js'
import type { SigningAlgorithm } from '../protocol/wire.js'
import { fixedSecret } from './client-secret.js'
import { createDecryption } from './decryption.js'
import type { Discovery } from './discovery.js'
import type { Http } from './http.js'
import { createIdTokens } from './id-tokens.js'
import type { KeySet } from './key-set.js'
import { createLogoutTokens } from './logout-tokens.js'
import type { Proofs } from './proofs.js'
import type { ProviderSettings } from './provider-settings.js'
import { createSignatures, type VerifySignature } from './signatures.js'
import type { VerifySignal } from './transmitter.js'
import { createUserInfoEndpoint } from './user-info-endpoint.js'

interface ReceivedTokensSettings extends ProviderSettings {
  readonly clockTolerance: number
  readonly log: (line: string) => void
  readonly http: Http
  readonly keySet: KeySet
  readonly discovery: Discovery
  readonly proofs: () => Promise<Proofs>
  /** Of ID Tokens and of userinfo. */
  readonly algorithms: readonly [SigningAlgorithm, SigningAlgorithm]
}

/** What opens and verifies the tokens that the provider makes for this site. */
export function createReceivedTokens(settings: ReceivedTokensSettings) {
  const { clientSecret, decryption, discovery, keySet, algorithms, userInfoAlgorithm } = settings
  const verify = createSignatures({
    keySet,
    clientSecret: fixedSecret(clientSecret),
    algorithms,
    template: settings.tenants?.template,
  })
  const open = createDecryption(decryption)
  const idTokens = createIdTokens({ ...settings, verify, named: settings.idTokenAlgorithm })
  const verifySigned = async (token: string) => verify(token, userInfoAlgorithm ?? (await idTokens.algorithms()))
  let openResponse: Promise<ReturnType<typeof import('./signed-responses.js').createSignedResponses>> | undefined
  return {
    fetchUserInfo: createUserInfoEndpoint({
      ...settings,
      signedWith: userInfoAlgorithm,
      verifySigned,
      open,
      isEncryptionDemanded: decryption?.userInfo === true,
    }),
    verifiers: {
      openIdToken(idToken: string) {
        const work = () => open(idToken, decryption?.idToken === true)
        if (decryption === undefined || !isEncrypted(idToken)) return work()
        return observe(work, (timing, _error, opened) => ({
          type: 'jwt',
          token: 'id-token',
          ...describeJwt(idToken, opened),
          ...timing,
        }))
      },
      /** Loaded where responses are signed. */
      async openResponse(response: string) {
        openResponse ??= import('./signed-responses.js').then(({ createSignedResponses }) =>
          createSignedResponses({
            ...settings,
            verify,
            open,
            isEncryptionDemanded: decryption?.response === true,
            metadata: async () => discovery.peek() ?? discovery.get(),
            named: settings.idTokenAlgorithm,
          }),
        )
        return (await openResponse)(response)
      },
      verifyIdToken: idTokens.verify,
      verifyRefreshedIdToken: idTokens.verifyRefreshed,
      verifySignal: createLazySignals(settings.transmitterKeys, { ...settings, verify }),
      verifyLogoutToken: createLogoutTokens({
        ...settings,
        verify,
        open,
        metadata: async () => discovery.peek() ?? discovery.get(),
        algorithm: algorithms[0],
      }),
    },
  }
}

/** Few sites take security events, so that the others do not load what it takes. */
function createLazySignals(
  jwksUri: string | undefined,
  { http, now, verify }: { readonly http: Http; readonly now: () => Date; readonly verify: VerifySignature },
): VerifySignal {
  const source = jwksUri === undefined ? { verifyByProvider: verify, now } : { jwksUri, http, now }
  let loaded: Promise<VerifySignal> | undefined
  return async (token, typ) => {
    loaded ??= import('./transmitter.js').then(({ createSignalVerifier }) => createSignalVerifier(source))
    return (await loaded)(token, typ)
  }
}
