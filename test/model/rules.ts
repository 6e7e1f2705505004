/** What is known about a response of the provider when it comes to the site, from outside. */
export interface Facts {
  /** The browser sends the cookie that binds it. */
  readonly isBound: boolean
  /** And it is the binding that the attempt began with. */
  readonly isSameBinding: boolean
  /** The binding is that of a sign-out, and the attempt began before it. */
  readonly isSignedOutSince: boolean
  /** The user has signed out of this browser since the attempt began, and the response of that has not come, or came too early. */
  readonly isSignedOutMeanwhile: boolean
  /** The provider has ended the sessions of this user since the attempt began, and the response is older than that. */
  readonly isEndedByProvider: boolean
  /** Which response the attempt has used. */
  readonly used: 'none' | 'the same' | 'another'
  /** The session that the same response has brought lives. */
  readonly usedSessionLives: boolean
  /** The browser got another session by a later sign-in, and that one lives. */
  readonly hasAnotherSession: boolean
  /** The same user signed in by another tab since the attempt began, that session lives, and the attempt asks for nothing more and is none of a circle. */
  readonly isSignedInByAnotherTab: boolean
  /** How often the attempt was begun anew. */
  readonly restarts: number
}

export type Outcome = 'signed in' | 'the session again' | 'the page' | 'anew' | 'refused'

/** One decision. The first rule that applies decides. */
export interface Rule {
  readonly name: string
  readonly applies: (facts: Facts) => boolean
  readonly outcome: Outcome
}

/** The table "What becomes of a response" of docs/architecture.md, as far as no clock and no fault is part of it. */
export const rules: readonly Rule[] = [
  { name: 'another browser', applies: facts => !facts.isBound, outcome: 'refused' },
  {
    name: 'signed out since',
    applies: facts => !facts.isSameBinding && facts.isSignedOutSince,
    outcome: 'refused',
  },
  {
    name: 'signed out meanwhile, so nothing begins anew',
    applies: facts => facts.isSignedOutMeanwhile && (!facts.isSameBinding || facts.used === 'another'),
    outcome: 'refused',
  },
  { name: 'another tab has replaced the binding', applies: facts => !facts.isSameBinding, outcome: 'anew' },
  {
    name: 'the same response again, and the browser has got another session since',
    applies: facts => facts.used === 'the same' && facts.hasAnotherSession,
    outcome: 'the page',
  },
  {
    name: 'the same response again, and its session lives',
    applies: facts => facts.used === 'the same' && facts.usedSessionLives,
    outcome: 'the session again',
  },
  {
    name: 'the same response again, and its session has ended',
    applies: facts => facts.used === 'the same',
    outcome: 'the page',
  },
  {
    name: 'another response, for the first time',
    applies: facts => facts.used === 'another' && facts.restarts === 0,
    outcome: 'anew',
  },
  { name: 'another response once more', applies: facts => facts.used === 'another', outcome: 'refused' },
  {
    name: 'the same user has signed in by another tab',
    applies: facts => facts.isSignedInByAnotherTab,
    outcome: 'the page',
  },
  { name: 'signed out meanwhile', applies: facts => facts.isSignedOutMeanwhile, outcome: 'refused' },
  { name: 'the provider has ended it', applies: facts => facts.isEndedByProvider, outcome: 'refused' },
  { name: 'the first response', applies: () => true, outcome: 'signed in' },
]

export function decide(facts: Facts, table = rules): Rule {
  return table.find(rule => rule.applies(facts)) as Rule
}
