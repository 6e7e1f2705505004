import type { IncomingHttpHeaders } from 'node:http'
import type { JWK } from 'jose'
import type { KeyMaterial } from './signing-keys.js'

/** What can be done to a response of the hostile provider. Everything is left as it is where a fault says nothing. */
export interface Faults {
  discovery?: EndpointFault
  jwks?: EndpointFault
  authorize?: EndpointFault
  token?: EndpointFault
  userinfo?: EndpointFault
  endSession?: EndpointFault
  revocation?: EndpointFault
  par?: EndpointFault
  accounts?: EndpointFault

  /** The discovery document. */
  metadata?: (document: Claims) => unknown
  /** The public keys as published. */
  keys?: (keys: readonly JWK[]) => unknown
  /** A new signing key replaces the old one just before each ID Token of this kind is signed. */
  rotateBefore?: 'front' | 'back' | 'both'
  frontIdToken?: JwtFault
  backIdToken?: JwtFault
  /** The ID Token in the response to a refresh. */
  refreshedIdToken?: JwtFault
  /** The fields of the authorization response: {@link drop}, {@link duplicate}, {@link replace}, {@link extra}, {@link deny}. */
  response?: (fields: Fields, request: AuthorizationRequest, unsigned: Fields) => Fields
  /** The JWT that an authorization response is, where the site asks for one. */
  signedResponse?: JwtFault
  /** Deliver the authorization response in another way than asked for. */
  responseMode?: 'query' | 'fragment' | 'form_post'
  /** The JSON of a successful token response. */
  tokenResponse?: (body: Claims) => unknown
  /** The claims of userinfo. */
  userInfoClaims?: (claims: Claims) => unknown
  /** Sign the userinfo response (`application/jwt`). */
  signedUserInfo?: JwtFault | true
}

export type Claims = Record<string, unknown>
export type Fields = readonly (readonly [name: string, value: string])[]
export type AuthorizationRequest = Readonly<Record<string, string>>

/** A function that changes the claims, or more than that. */
export type JwtFault = ((claims: Claims) => unknown) | JwtFaults

export interface JwtFaults {
  claims?: (claims: Claims) => unknown
  header?: (header: Claims) => Claims
  /** `none`, or another algorithm, in the header and in fact. */
  alg?: string
  /** Another key: `foreign` for one the provider does not publish. For HS algorithms a string or bytes. */
  key?: 'foreign' | KeyMaterial
  /** Changes the bytes of the signature. */
  signature?: (signature: Buffer) => Buffer
  /** Changes the finished token. */
  token?: (token: string) => string
}

export interface RecordedRequest {
  readonly method: string
  readonly path: string
  /** Without the query. */
  readonly url: string
  /** The query as it came, for parameters that come several times. */
  readonly search: string
  readonly query: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The body as form fields. */
  readonly form: Readonly<Record<string, string>>
}

export interface EndpointResponse {
  status: number
  headers: Record<string, string>
  body: string
}

export interface EndpointFault {
  /** Only so many requests, then all is well again. */
  times?: number
  /** Let so many requests pass first. */
  after?: number
  /** Milliseconds. */
  delay?: number
  /** Awaited after the request was read and before anything is done, for barriers. */
  until?: (request: RecordedRequest) => Promise<unknown>
  status?: number
  /** Objects become JSON. */
  body?: unknown
  contentType?: string
  headers?: Record<string, string>
  /** Location of a 302. */
  redirect?: string
  /** The connection is cut: before the request takes effect, after it took effect, or in the middle of the response's body. */
  cut?: 'before' | 'after' | 'middle'
  /** The response never comes. */
  hang?: 'before' | 'headers' | 'body'
  respond?: (response: EndpointResponse, request: RecordedRequest) => EndpointResponse
}

type ChangeFields = (fields: Fields, request: AuthorizationRequest) => Fields

export function drop(...names: string[]): ChangeFields {
  return fields => fields.filter(([name]) => !names.includes(name))
}

export function duplicate(name: string, value?: string): ChangeFields {
  return fields => [...fields, [name, value ?? fieldOf(fields, name)]]
}

export function replace(name: string, value: string | ((value: string) => string)): ChangeFields {
  return fields =>
    fields.map(field => (field[0] === name ? [name, typeof value === 'string' ? value : value(field[1])] : field))
}

export function extra(name: string, value: string): ChangeFields {
  return fields => [...fields, [name, value]]
}

/** An error instead of a success, with the `state` and `iss` that belong to it. */
export function deny(error: string, more: Readonly<Record<string, string>> = {}): ChangeFields {
  return fields => [
    ['error', error],
    ...Object.entries(more),
    ...fields.filter(([name]) => name === 'state' || name === 'iss'),
  ]
}

function fieldOf(fields: Fields, wanted: string): string {
  return fields.find(([name]) => name === wanted)?.[1] ?? ''
}
