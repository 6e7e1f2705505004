import type { GrantBook } from './grant-book.js'
import type { Signer } from './signer.js'

/** Everything the endpoints of a fake provider share. */
export interface FakeEndpoints {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly expiresIn: number
  /** The API whose audience access tokens have. Left out: they are opaque. */
  readonly audience: string | undefined
  readonly signer: Signer
  readonly book: GrantBook
}

/** A response, before it is written. */
export interface FakeResponse {
  readonly status?: number
  readonly location?: string
  readonly html?: string
  readonly json?: unknown
}

/** Thrown where the site's request is wrong: the sentence tells the site's author why. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest'
  readonly error: string
  readonly status: number

  constructor(error: string, message: string, status = 400) {
    super(message)
    this.error = error
    this.status = status
  }
}
