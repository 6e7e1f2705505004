/** For every rule, events that lead to it. */
export interface Story {
  readonly rule: string
  /** Names of events, as `events.ts` has them. */
  readonly events: readonly string[]
}

const open = (tab: number) => `tab ${tab}: a page is opened`
const link = (tab: number) => `tab ${tab}: a link to the sign-in`
const type = (tab: number, user: 'alice' | 'bob') => `tab ${tab}: ${user} signs in at the provider`
const response = (tab: number) => `tab ${tab}: the form is posted, and the response arrives`
const again = (tab: number) => `tab ${tab}: the same form is posted again`
const back = (tab: number) => `tab ${tab}: Back to the page of the provider`
const arrive = (tab: number) => `tab ${tab}: the response arrives`
const signIn = (tab: number, user: 'alice' | 'bob') => [open(tab), type(tab, user), response(tab)]

export const stories: readonly Story[] = [
  {
    rule: 'another browser',
    events: [open(0), type(0, 'alice'), 'the browser forgets its cookies', response(0)],
  },
  { rule: 'the first response', events: signIn(0, 'alice') },
  {
    rule: 'signed out since',
    events: [open(1), ...signIn(0, 'alice'), 'tab 0: sign out here only', type(1, 'alice'), response(1)],
  },
  {
    rule: 'signed out meanwhile',
    events: [
      ...signIn(0, 'alice'),
      link(1),
      'tab 1: the form is posted, and the token endpoint is slow',
      'tab 0: sign out by a double click',
      arrive(1),
    ],
  },
  {
    rule: 'signed out meanwhile, so nothing begins anew',
    events: [
      'tab 0: two tabs are restored',
      type(0, 'alice'),
      open(2),
      response(2),
      'tab 2: sign out, and the response is late',
      response(0),
      'tab 2: the response is lost',
    ],
  },
  {
    rule: 'another tab has replaced the binding',
    events: ['tab 0: two tabs are restored', type(0, 'alice'), response(0), response(0)],
  },
  { rule: 'the same response again, and its session lives', events: [...signIn(0, 'alice'), again(0)] },
  {
    rule: 'the same response again, and its session has ended',
    events: [...signIn(0, 'alice'), 'the provider ends alice', again(0)],
  },
  {
    rule: 'the same response again, and the browser has got another session since',
    events: [...signIn(0, 'alice'), link(1), response(1), again(0)],
  },
  {
    rule: 'another response, for the first time',
    events: [...signIn(0, 'alice'), back(0), type(0, 'bob'), response(0), response(0)],
  },
  {
    rule: 'another response once more',
    events: [
      ...signIn(0, 'alice'),
      back(0),
      type(0, 'bob'),
      response(0),
      response(0),
      back(0),
      type(0, 'alice'),
      response(0),
    ],
  },
  {
    rule: 'the same user has signed in by another tab',
    events: [open(1), ...signIn(0, 'alice'), type(1, 'alice'), response(1), again(1)],
  },
  {
    rule: 'the provider has ended it',
    events: [open(0), type(0, 'alice'), 'the provider ends alice', response(0)],
  },
]
