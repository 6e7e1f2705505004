import type { JwtExpectations } from '../protocol/jwt.js'
import { ASYMMETRIC } from '../protocol/signing-algorithms.js'
import { renameTokenError } from '../protocol/token-codes.js'
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
      throw renameTokenError('SIGNAL', error)
    }
  }
}

function byKeysOf({ jwksUri, http, now }: TransmitterSettings): VerifySignature {
  const keySet = createKeySet({ http, now, jwksUri: async () => jwksUri })
  return createSignatures({ keySet, clientSecret: undefined, algorithms: [] })
}
