import { SENTENCES, type SentenceName } from '../../errors.js'
import type { PageLanguage } from '../../options/pages.js'

/** What the pages of this package say in one language. A page is made of nothing else. */
export interface PageTexts {
  readonly language: PageLanguage
  /** Titles of error pages. */
  readonly failed: string
  readonly notAllowed: string
  readonly startPage: string
  readonly startAgain: string
  /** With the placeholder `{id}`. */
  readonly report: string
  readonly signingIn: string
  readonly signIn: string
  readonly signingOut: string
  readonly signOut: string
  readonly signOutQuestion: string
  readonly signOutAsked: string
  readonly staySignedIn: string
  readonly signedOut: string
  readonly signedOutHere: string
  /** Of the page in a window of its own in which a sign-in has ended. */
  readonly popupSignedIn: string
  readonly popupSignedOut: string
  readonly closeWindow: string
  readonly notSignedIn: string
  /** Of the page that waits for the key of the device. */
  readonly deviceWait: string
  readonly deviceWaitText: string
  /** Those of errors, by their names. */
  readonly sentences: Readonly<Record<SentenceName, string>>
}

/** English, which `OidcError.sentence` has as well. */
export const en: PageTexts = {
  language: 'en',
  failed: 'That did not work',
  notAllowed: 'Not allowed',
  startPage: 'Back to the start page',
  startAgain: 'Start again',
  report: 'If you report this, please give the number {id}.',
  signingIn: 'Signing in',
  signIn: 'Sign in',
  signingOut: 'Signing out',
  signOut: 'Sign out',
  signOutQuestion: 'Sign out?',
  signOutAsked: 'Another site asked to sign you out of this one.',
  staySignedIn: 'Stay signed in',
  signedOut: 'You are signed out',
  signedOutHere: 'You are signed out of this site.',
  popupSignedIn: 'Signed in',
  popupSignedOut: 'Signed out',
  closeWindow: 'You can close this window.',
  notSignedIn: 'You are not signed in. You can close this window.',
  deviceWait: 'One moment',
  deviceWaitText: 'Your browser confirms that this is your device.',
  sentences: SENTENCES,
}
