import { OidcError } from '../errors.js'
import type { JwtExpectations } from '../protocol/jwt.js'
import { ASYMMETRIC } from '../protocol/signing-algorithms.js'
import { createBudget } from './budget.js'
import type { Http } from './http.js'
import { createKeySet } from './key-set.js'
import { createSignatures, type VerifySignature } from './signatures.js'

/** Who sends security events, where it is not the provider itself. */
export interface TransmitterSettings {
  /** Where its public keys are. */
  readonly jwksUri: string
  readonly http: Http
  readonly now: () => Date
}

/** Verifies what a transmitter has signed, and returns its claims. They are still to be checked. */
export type VerifySignal = (token: string, typ: JwtExpectations['typ']) => Promise<Readonly<Record<string, unknown>>>

/** What is wrong with any JWT has codes of its own here. */
const isMalformed = 'ERR_OIDC_ID_TOKEN_MALFORMED'
const KEY_CODES: readonly string[] = [
  'ERR_OIDC_ID_TOKEN_ALGORITHM',
  'ERR_OIDC_ID_TOKEN_KEY',
  'ERR_OIDC_ID_TOKEN_SIGNATURE',
]

/** Limits how often tokens with an unknown key cause keys to be fetched: any client can send such tokens. */
const FOR_UNKNOWN_KEYS = { burst: 3, interval: 10 }

/**
 * Asymmetric signatures only: a secret that the provider shares with this site says nothing about a transmitter.
 *
 * @param verifyByProvider - by the provider's keys, where the provider is the transmitter
 */
export function createSignalVerifier(
  source: TransmitterSettings | { readonly verifyByProvider: VerifySignature; readonly now: () => Date },
): VerifySignal {
  const verify = 'jwksUri' in source ? byKeysOf(source) : source.verifyByProvider
  const budget = createBudget({ ...FOR_UNKNOWN_KEYS, now: source.now })
  return async (token, typ) => {
    try {
      return (await verify(token, ASYMMETRIC, { ...(typ && { typ }), budget: async () => budget })).claims
    } catch (error) {
      throw translated(error)
    }
  }
}

function byKeysOf({ jwksUri, http, now }: TransmitterSettings): VerifySignature {
  const keySet = createKeySet({ http, now, jwksUri: async () => jwksUri })
  return createSignatures({ keySet, clientSecret: undefined, algorithms: [] })
}

function translated(error: unknown): unknown {
  if (!(error instanceof OidcError)) return error
  const { code, message, cause } = error
  if (code === isMalformed) return new OidcError('ERR_OIDC_SIGNAL_MALFORMED', `security event: ${message}`, { cause })
  if (KEY_CODES.includes(code)) return new OidcError('ERR_OIDC_SIGNAL_KEY', `security event: ${message}`, { cause })
  return error
}
