import type { OidcErrorCode, ProviderError } from '../errors.js'

/** What every event says. */
interface EventBase {
  /** Milliseconds since the epoch, with fractions, when it was over. */
  readonly at: number
  /** `baseUrl` of the site whose sign-in this belongs to; the first of a list, and `several hosts` for a function. */
  readonly site?: string
  /** Names one attempt to sign in, the same in all its events. It says nothing about the `state`. */
  readonly transaction?: string
}

/** Something that took time and may have failed. */
interface Timed {
  /** How long it took, in milliseconds. */
  readonly duration: number
  /** Whether it went well. */
  readonly passed: boolean
  /** Of the {@link OidcError}. `undefined` where it passed, and where something else failed, such as a hook. */
  readonly code?: OidcErrorCode
}

/** Names and values as they travel; a secret is cut to its first few characters, and what may be personal to nothing. */
export type RedactedFields = Readonly<Record<string, string>>

/** The browser is sent to the provider. */
export interface SignInStarted extends EventBase {
  /** Tells this event from the others. */
  readonly type: 'sign-in-started'
  /** Path of the page that began it, without its query. */
  readonly path: string
  /** The provider's address, without its query. */
  readonly endpoint: string
  /** What the request asks for, whichever way it travels. */
  readonly params: RedactedFields
  /** Whether it was pushed: the browser carries a reference only. RFC 9126. */
  readonly pushed: boolean
  /** Milliseconds from the start of the attempt, with the calls to the provider that are needed before the browser leaves. */
  readonly duration: number
}

/** The provider's response arrived from the browser. It has not been checked yet. */
export interface ResponseReceived extends EventBase {
  /** Tells this event from the others. */
  readonly type: 'response-received'
  /** `POST` for `form_post`. */
  readonly method: 'GET' | 'POST'
  /** Path of the callback. */
  readonly path: string
  /** The parameters of the response. */
  readonly fields: RedactedFields
}

/** One step of the callback. */
export interface StepDone extends EventBase, Timed {
  /** Tells this event from the others. */
  readonly type: 'step'
  /** 1 to 10, as in docs/architecture.md. */
  readonly step: number
  /** Names the step; two can have the same number. */
  readonly key: string
  /** What holds when it has passed. */
  readonly name: string
  /** Where that is written. */
  readonly section: string
  /** The error's message, for developers. */
  readonly reason?: string
  /** Details of the error: expected and actual values that are not secret. */
  readonly details?: unknown
}

/** The callback is over. */
export interface SignInFinished extends EventBase, Timed {
  /** Tells this event from the others. */
  readonly type: 'sign-in-finished'
  /**
   * `repeated`: the response was used before, or it arrived too late and the sign-in was started again. `signed-out`: a silent sign-in has led to the page
   * without a user, and `code` says why.
   */
  readonly outcome: 'signed-in' | 'repeated' | 'signed-out' | 'failed'
}

/** One exchange with the provider, by the site itself. */
export interface ProviderCall extends EventBase, Timed {
  /** Tells this event from the others. */
  readonly type: 'provider-call'
  /** Of HTTP. `PUT` and `DELETE` are for clients that were registered dynamically. */
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The address that was called, without its query. */
  readonly endpoint: string
  /** What was sent in the body. */
  readonly fields: RedactedFields
  /** HTTP status. Absent if no response arrived. */
  readonly status?: number
  /** Names of the members of a JSON response, not their values. */
  readonly members?: readonly string[]
  /** The provider's error, if it sent one. */
  readonly refusal?: ProviderError
  /** Present if a DPoP proof was sent. */
  readonly dpop?: {
    /** Whether the proof had a nonce of the provider. RFC 9449 section 8. */
    readonly nonce: boolean
  }
}

/** Algorithms in the header of an encrypted JWT. */
export interface JwtEncryption {
  /** Encrypts or agrees on the key. */
  readonly alg: string
  /** Encrypts the content. */
  readonly enc: string
}

/** The site made a request object, verified a signed response, or opened an encrypted ID Token. A signed ID Token without encryption has its `step` only. */
export interface JwtEvent extends EventBase, Timed {
  /** Tells this event from the others. */
  readonly type: 'jwt'
  /** Which one. The signature of an `id-token` is checked afterwards, in its step. */
  readonly token: 'request-object' | 'authorization-response' | 'id-token' | 'userinfo'
  /** Algorithm of the signature, as the header says. Absent if the JWT could not be read or decrypted. */
  readonly alg?: string
  /** Absent if it is not encrypted. */
  readonly encryption?: JwtEncryption
  /** The issuer that an `authorization-response` was verified to come from. */
  readonly issuer?: string
}

/** One command to Redis. */
export interface StoreCommand extends EventBase, Timed {
  /** Tells this event from the others. */
  readonly type: 'store-command'
  /** Name of the command or of the script. Keys and values are not shown. */
  readonly command: string
}

/** Redis did not do what it was asked. */
export interface StoreTrouble extends EventBase {
  /** Tells this event from the others. */
  readonly type: 'store-trouble'
  /** Name of the command or of the script. */
  readonly command: string
  /** What went wrong, in words that hold no key, value or address. */
  readonly reason: string
}

/** Tokens were refreshed, or could not be. */
export interface TokenRefresh extends EventBase, Timed {
  /** Tells this event from the others. */
  readonly type: 'token-refresh'
}

/** Sessions were ended by a sign-out. */
export interface SignedOutEvent extends EventBase {
  /** Tells this event from the others. */
  readonly type: 'sign-out'
  /** Who ended them, as in the hook `signOut`. */
  readonly reason: 'logout' | 'front-channel' | 'back-channel' | 'revoked' | 'replaced' | 'signal' | 'global-revocation'
  /** How many ended. */
  readonly sessions: number
}

/** What became of a form that a user sent to a page with `keepForm`, and who had to sign in first. */
export interface KeptFormEvent extends EventBase {
  /** Tells this event from the others. */
  readonly type: 'kept-form'
  /** `sent`: after the sign-in, once. A form that is kept and not sent is gone after 15 minutes. */
  readonly outcome: 'kept' | 'not-kept' | 'sent'
  /**
   * Why it was not kept. `session`: whose session it was is not known, or its page was made for another one. `type`: of another content type. `size`: too
   * large. `files`: it has a file. `malformed`: no browser writes it that way. `consumed`: a body parser of the site had read it. `store`: Redis was not
   * available, or too many forms were kept.
   */
  readonly reason?: 'session' | 'type' | 'size' | 'files' | 'malformed' | 'consumed' | 'store'
}

/** What is published on the diagnostics channel `express-hybrid-oidc`. No event holds a secret, a token or a claim. */
export type OidcEvent =
  | SignInStarted
  | ResponseReceived
  | StepDone
  | SignInFinished
  | ProviderCall
  | JwtEvent
  | StoreCommand
  | StoreTrouble
  | TokenRefresh
  | SignedOutEvent
  | KeptFormEvent
