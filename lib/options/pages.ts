import type { OidcErrorCode } from '../errors.js'

/** A language of the pages that are built in. BCP 47. */
export type PageLanguage = 'en' | 'de' | 'fr' | 'es' | 'ja'

/** All of them. */
export const PAGE_LANGUAGES: readonly PageLanguage[] = ['en', 'de', 'fr', 'es', 'ja']

/** What a page has to say. All texts are plain text in the language of the page, to be escaped as HTML. */
export interface PageContent {
  /** For `lang` of the page. */
  readonly language: PageLanguage
  /** For `dir` of the page. */
  readonly dir: 'ltr'
  /** For the title and the heading. */
  readonly title: string
  /** One or two sentences. */
  readonly message: string
  /** Where the user can go from here. */
  readonly link: {
    /** A path of this site. */
    readonly href: string
    /** Its text. */
    readonly text: string
    /** `_top` where the page is shown in a frame, which the provider's page would refuse. */
    readonly target?: '_top'
  }
  /** For `nonce` of a `style` element. No script runs in the page. */
  readonly nonce: string
}

/** What an error page has to say. */
export interface ErrorPageContent extends PageContent {
  /** Of the {@link OidcError}. */
  readonly code: OidcErrorCode
  /** HTTP status of the response. */
  readonly status: number
  /** The number that the log has as well. */
  readonly correlationId: string
  /** A sentence that asks to name that number. */
  readonly report: string
}

/** What the question has to say that a sign-out which another site asked for ends in. */
export interface SignOutPageContent extends PageContent {
  /** `<form method="post">` with one button, and no field: that signs out. */
  readonly form: {
    /** Where it is posted to. */
    readonly action: string
    /** The text of its button. */
    readonly button: string
  }
}

/** What the page has to say on which the user sends a form that was kept during a sign-in. */
export interface KeptFormPageContent extends PageContent {
  /** The path and query of this site that the form is sent to. */
  readonly address: string
  /** What is about to be sent. What looks like a secret, such as a password, is replaced by a text that says so. */
  readonly fields: readonly {
    /** The name of the field, as in the form. */
    readonly name: string
    /** Its value. */
    readonly text: string
  }[]
  /** `<form method="post">` with one button. */
  readonly form: {
    /** Where it is posted to. */
    readonly action: string
    /** For `enctype`. */
    readonly encoding: string
    /** The hidden fields that are sent: HTML, made safe. It is put into the form as it is. */
    readonly inputs: string
    /** The text of its button. */
    readonly button: string
  }
}

/** What the page has to say about a form that is not sent. */
export interface UnsentFormPageContent extends PageContent {
  /**
   * `gone`: it was sent before, it is older than 15 minutes, or it is another user's. `size`: it was too large to be kept. `files`: it had a file. `lost`: it
   * could not be kept.
   */
  readonly reason: 'gone' | 'size' | 'files' | 'lost'
}

/** The pages that this package shows by itself, in the language and the look of the site. */
export interface PageOptions {
  /**
   * The languages that the site has. The browser chooses among them (`Accept-Language`), and gets the first where it wants none of them.
   * Default `['en']`.
   */
  readonly languages?: readonly PageLanguage[] | undefined
  /** Makes the error page: the whole HTML. Default: a plain page. */
  readonly error?: ((page: ErrorPageContent) => string) | undefined
  /** Makes the page that asks whether to sign out: the whole HTML. Default: a plain page. */
  readonly signOut?: ((page: SignOutPageContent) => string) | undefined
  /** Makes the page after a sign-out that has no page to return to: the whole HTML. Default: a plain page. */
  readonly signedOut?: ((page: PageContent) => string) | undefined
  /** Makes the page that sends a kept form: the whole HTML. Default: a plain page. */
  readonly keptForm?: ((page: KeptFormPageContent) => string) | undefined
  /** Makes the page about a form that is not sent: the whole HTML. Default: a plain page. */
  readonly unsentForm?: ((page: UnsentFormPageContent) => string) | undefined
}

/** The same, complete. */
export interface Pages extends Omit<PageOptions, 'languages'> {
  readonly languages: readonly [PageLanguage, ...PageLanguage[]]
}
