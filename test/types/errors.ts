import { OidcError, type OidcErrorCode, type oidcErrorCodes } from 'express-hybrid-oidc'
import { expectType, type Same } from './expect.js'

// A closed set: not any string.
expectType<Same<string extends OidcErrorCode ? true : false, false>>()
expectType<Same<typeof oidcErrorCodes, readonly OidcErrorCode[]>>()

type OfTransaction = Extract<OidcErrorCode, `ERR_OIDC_TRANSACTION_${string}`>

/** Compiles only while every code has its case. */
export function explain(code: OfTransaction): string {
  switch (code) {
    case 'ERR_OIDC_TRANSACTION_MISSING':
      return 'another browser'
    case 'ERR_OIDC_TRANSACTION_MISMATCH':
      return 'another site'
    case 'ERR_OIDC_TRANSACTION_EXPIRED':
      return 'too late'
    default:
      return code satisfies never
  }
}

export function forgetful(code: OfTransaction): string {
  switch (code) {
    case 'ERR_OIDC_TRANSACTION_MISSING':
      return 'another browser'
    default:
      // @ts-expect-error two codes are left
      return code satisfies never
  }
}

export function page(error: unknown): number {
  if (!(error instanceof OidcError)) return 500
  expectType<Same<typeof error.code, OidcErrorCode>>()
  expectType<Same<typeof error.status, number>>()
  expectType<Same<typeof error.sentence, string>>()
  expectType<Same<typeof error.returnTo, string | undefined>>()
  // @ts-expect-error there is no such code
  if (error.code === 'ERR_OIDC_TYPO') return 400
  // @ts-expect-error a code does not change
  error.code = 'ERR_OIDC_OPTIONS'
  return error.status
}

// @ts-expect-error there is no such code
new OidcError('ERR_SOMETHING', 'x')

/** What the provider said is there or not, and headers always are, of strings alone. */
export function describe({ providerError, headers }: OidcError): string | undefined {
  // @ts-expect-error the provider may have said nothing
  const always: string = providerError.error
  // @ts-expect-error not every provider describes
  const described: string | undefined = providerError?.error_description.trim()
  expectType<Same<typeof headers, Readonly<Record<string, string>>>>()
  return providerError?.error_description ?? headers['Retry-After'] ?? always ?? described
}
