import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { scale } from '../faults/scale.js'
import { Browser } from './browser.js'
import { type Event, possibleEvents } from './events.js'
import type { ModelAttempt, ModelResponse } from './history.js'
import { rules } from './rules.js'
import { createModelSite, type ModelSite, type Seen } from './site.js'
import { stories } from './stories.js'

/** A model check: one browser, two users, three tabs, and events in any order, on the real middleware. */

let site: ModelSite
before(async () => {
  site = await createModelSite()
})
after(() => site.oidc.close())

let count = 0

interface Change {
  readonly event: Event
  readonly before: Seen
  readonly now: Seen
  /** The response that was used last, before the event. */
  readonly used: ModelResponse | undefined
}

/** What has to hold after every event, whatever the rules say. */
function checkStep(browser: Browser, { event, before, now, used }: Change): void {
  assert.ok(now.owner === null || now.owner === now.user, `${now.user} sees data of ${now.owner}`)
  if (now.user === before.user) return
  const { arrived, history, signedOutAt } = browser
  if (now.user !== null) {
    assert.ok(event.brings === 'response' && arrived?.user === now.user, `${now.user} did not sign in`)
    const { begunAt } = history.attempts.get(arrived.state) as ModelAttempt
    assert.ok(Math.max(begunAt, arrived.typedAt) > signedOutAt, `${now.user} is signed in again after a sign-out`)
  } else {
    // By the sign-in of another user: at the site, or by its cookie, although that session has ended since.
    const isReplaced =
      (browser.used !== used && browser.used?.user !== before.user) ||
      (event.brings === 'response' && arrived !== undefined && arrived.user !== before.user)
    // The browser keeps the cookies of the response that comes last: one from before a sign-out, whose session has ended with it.
    const isOvertaken = event.brings === 'response' && arrived !== undefined && arrived.issuedAt < signedOutAt
    const isEnded = isReplaced || isOvertaken || ['sign-out', 'end', 'refusal'].includes(event.brings ?? '')
    assert.ok(isEnded, `${before.user} is signed out without having asked`)
  }
}

type Choose = (events: readonly Event[], step: number) => Event | undefined

/** Lets events happen until `choose` finds no more. */
async function play(choose: Choose, table = rules): Promise<Browser> {
  count += 1
  const browser = new Browser(site, table)
  const done: string[] = []
  try {
    for (let step = 0; ; step += 1) {
      const event = choose(possibleEvents(browser, [`alice.${count}`, `bob.${count}`]), step)
      if (event === undefined) return browser
      done.push(event.name)
      const before = await browser.look()
      const { used } = browser
      await event.happen()
      const now = await browser.look()
      checkStep(browser, { event, before, now, used })
      assert.equal(now.user, browser.expected(), 'who is signed in, by the cookies the browser has')
    }
  } catch (error) {
    throw new Error(`${done.join('\n')}\n${error instanceof Error ? error.message : error}`, { cause: error })
  } finally {
    for (const tab of browser.tabs) await browser.lose(tab).catch(() => {})
  }
}

/** Lets the events happen that these names stand for. */
function tell(names: readonly string[], table = rules): Promise<Browser> {
  const choose: Choose = (possible, step) => {
    const wanted = names[step]
    if (wanted === undefined) return undefined
    const found = possible.find(({ name }) => name.replace(/\.\d+/, '') === wanted)
    assert.ok(found, `${wanted} is not possible; what is: ${possible.map(({ name }) => name).join(', ')}`)
    return found
  }
  return play(choose, table)
}

describe('one browser, two users, three tabs', () => {
  test('in whatever order: no user sees the data of another, is signed out without asking, or stays signed in', async () => {
    const sequences = fc.array(fc.nat(999), { minLength: 6, maxLength: 18 })
    const run = async (numbers: readonly number[]) => {
      await play((events, step) => {
        const number = numbers[step]
        return number === undefined ? undefined : events[number % events.length]
      })
    }
    // A run can be repeated. Other orders: OIDC_MODEL_SEED.
    const seed = Number(process.env.OIDC_MODEL_SEED ?? scale)
    const times = Number(process.env.OIDC_MODEL_SCALE ?? scale)
    await fc.assert(fc.asyncProperty(sequences, run), { numRuns: 150 * times, seed, includeErrorInReport: true })
  })

  for (const { rule, events } of stories) {
    test(`a story in which the rule decides: ${rule}`, async () => {
      const { decided } = await tell(events)
      assert.ok(decided.has(rule), [...decided].join(', '))
    })
  }

  test('the same user signs in again while the provider refuses to refresh the earlier session: the user stays signed in', async () => {
    const events = [
      'tab 0: a page is opened',
      'tab 0: alice signs in at the provider',
      'tab 0: the form is posted, and the response arrives',
      'tab 1: a page is opened',
      'tab 1: a script finds that the provider refuses a refresh',
      'tab 0: a link to the sign-in',
      'tab 0: the form is posted, and the response arrives',
      'tab 1: the response arrives',
    ]
    const browser = await tell(events)
    assert.match((await browser.look()).user ?? '', /^alice/)
  })

  /** What long runs have found: orders in which a sign-out did not end all that the browser had. */
  const found: Readonly<Record<string, readonly string[]>> = {
    'a late response brings the binding from before a sign-out back: the next sign-out ends the session that came in between':
      [
        'tab 1: a page is opened',
        'tab 1: alice signs in at the provider',
        'tab 2: a page is opened',
        'tab 2: the form is posted',
        'tab 1: the form is posted, and the response arrives',
        'tab 1: sign out here only',
        'tab 1: a page is opened',
        'tab 1: the form is posted, and the response arrives',
        'tab 2: the response arrives',
        'tab 1: sign out',
      ],
    'a sign-in with the binding from before a sign-out is late: a sign-out with the new one ends it': [
      'tab 1: a page is opened',
      'tab 1: alice signs in at the provider',
      'tab 1: the form is posted, and the response arrives',
      'tab 1: sign out, and the response is late',
      'tab 0: a page is opened',
      'tab 0: the form is posted',
      'tab 1: the response arrives',
      'tab 1: the same form is posted again',
      'tab 1: sign out',
      'tab 0: the response arrives',
    ],
  }
  for (const [name, events] of Object.entries(found)) {
    test(name, async () => {
      const browser = await tell(events)
      assert.equal((await browser.look()).user, null)
    })
  }

  test('a sign-out without any cookie: what began before it does not begin anew', async () => {
    const browser = await tell([
      'tab 0: two tabs are restored',
      'the browser forgets its cookies',
      'tab 0: alice signs in at the provider',
      'tab 0: the form is posted, and the response arrives',
      'tab 1: alice signs in at the provider',
      'tab 0: sign out',
      'tab 2: a page is opened',
      'tab 1: the form is posted, and the response arrives',
    ])
    assert.equal(browser.tab(1).screen, 'error')
    assert.ok(browser.decided.has('signed out since'))
  })

  test('a rule that is wrong is found: its story fails', async () => {
    for (const { rule, events } of stories) {
      const changed = rules.map(one =>
        one.name === rule ? { ...one, outcome: one.outcome === 'anew' ? 'signed in' : 'anew' } : one,
      ) as typeof rules
      await assert.rejects(tell(events, changed), { message: new RegExp(`\\n${rule}: `) }, rule)
    }
  })

  test('every rule has a story', () => {
    assert.deepEqual(
      rules.map(({ name }) => name).filter(name => !stories.some(({ rule }) => rule === name)),
      [],
    )
  })
})
