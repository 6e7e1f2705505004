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
  /** Of the page that sends a form which was kept. */
  readonly keptForm: string
  readonly keptFormText: string
  readonly sendForm: string
  readonly discardForm: string
  /** In place of a value. */
  readonly emptyField: string
  readonly maskedField: string
  /** Of the page about a form that is not sent. */
  readonly unsentForm: string
  readonly unsentGone: string
  readonly unsentSize: string
  readonly unsentFiles: string
  readonly unsentLost: string
  readonly backToPage: string
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
  keptForm: 'Send this now?',
  keptFormText:
    'You had to sign in before this could be sent. Nothing has been sent yet. Please check it, and then send it.',
  sendForm: 'Send',
  discardForm: 'Do not send it',
  emptyField: '(empty)',
  maskedField: '(not displayed)',
  unsentForm: 'Not sent',
  unsentGone:
    'This was sent before, you waited too long, or another user signed in. Please check whether it has arrived before you enter it again.',
  unsentSize: 'You had to sign in, and what you wanted to send was too large to be kept. Please enter it again.',
  unsentFiles: 'You had to sign in, and files are not kept. Please enter and choose everything again.',
  unsentLost: 'You had to sign in, and what you wanted to send could not be kept. Please enter it again.',
  backToPage: 'Back to the page',
  sentences: SENTENCES,
}
