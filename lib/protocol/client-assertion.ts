import type { KeyObject } from 'node:crypto'
import type { CryptoKey, JWK } from 'jose'
import { OidcError } from '../errors.js'
import type { SigningAlgorithm } from './wire.js'

/** A private key in any form `jose` takes. A JWK may name itself (`kid`). */
export type ClientPrivateKey = CryptoKey | KeyObject | JWK

/** Members of an assertion's JOSE header besides `alg`. RFC 7515 section 4.1. */
export interface AssertionHeader {
  /** The media type of the assertion. `false` leaves it out. Default `client-authentication+jwt`, RFC 10070 section 4. */
  readonly typ?: string | false | undefined
  /** Names the key. Default: the `kid` of a JWK. */
  readonly kid?: string | undefined
  /** The SHA-1 thumbprint of the certificate, base64url. */
  readonly x5t?: string | undefined
  /** The SHA-256 thumbprint of the certificate, base64url. */
  readonly 'x5t#S256'?: string | undefined
  /** The certificate and those between it and the CA: base64 (not base64url) of DER, the certificate of the key first. */
  readonly x5c?: readonly string[] | undefined
}

/** Names of the provider that an assertion can be made for: its issuer, its token endpoint, or the endpoint that is called. */
export const audienceNames = ['issuer', 'token_endpoint', 'endpoint'] as const

/** For whom an assertion is made: `issuer`, `token_endpoint`, `endpoint` (the one that is called), a URL of the site's choice, or a list of these. */
export type AssertionAudience = string | readonly string[]

/** What an assertion is signed with, and what its header says. */
export interface AssertionSigner {
  readonly key: ClientPrivateKey | Uint8Array
  readonly algorithm: SigningAlgorithm
  readonly header?: AssertionHeader | undefined
}

export interface ClientAssertionContext {
  readonly clientId: string
  readonly audience: AssertionAudience
  /** Seconds since the epoch. */
  readonly now: number
  /** Never the same twice. */
  readonly jti: string
}

/** Seconds an assertion can be used for. */
const LIFETIME = 60

const DEFAULT_TYPE = 'client-authentication+jwt'

/**
 * Puts the addresses in the place of their names. A list stays a list, and one value a string: strict providers take nothing else.
 *
 * @param addresses - what each of {@link audienceNames} stands for
 */
export function resolveAudience(
  audience: AssertionAudience,
  addresses: Readonly<Record<(typeof audienceNames)[number], string>>,
): AssertionAudience {
  const resolve = (value: string) => {
    const name = audienceNames.find(known => known === value)
    return name === undefined ? value : addresses[name]
  }
  return typeof audience === 'string' ? resolve(audience) : [...new Set(audience.map(resolve))]
}

/**
 * Signs one assertion, for one request. RFC 7523 section 3.
 *
 * @throws {OidcError} ERR_OIDC_OPTIONS for a key that does not fit its algorithm
 */
export async function signAssertion(
  { key, algorithm, header = {} }: AssertionSigner,
  { clientId, audience, now, jti }: ClientAssertionContext,
): Promise<string> {
  const { typ = DEFAULT_TYPE, ...more } = header
  const members = { ...more, ...(typ !== false && { typ }) }
  const given = Object.entries(members).filter(([, value]) => value !== undefined)
  const aud = typeof audience === 'string' ? audience : [...audience]
  const claims = { iss: clientId, sub: clientId, aud, jti, iat: now, exp: now + LIFETIME }
  // Few clients sign, and every site would wait for the library when it starts.
  const { SignJWT } = await import('jose/jwt/sign')
  try {
    return await new SignJWT(claims).setProtectedHeader({ ...Object.fromEntries(given), alg: algorithm }).sign(key)
  } catch (cause) {
    const message = `the key of this client cannot sign with ${algorithm}`
    throw new OidcError('ERR_OIDC_OPTIONS', message, { cause })
  }
}
