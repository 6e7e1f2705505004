import type { Agent, Page } from '../agent.js'
import type { ImitatedUser } from './users.js'

export interface Visitor {
  /** Default alice. */
  readonly user?: ImitatedUser
  /** Scopes that the user unticks on the consent page. */
  readonly refuses?: readonly string[]
}

const MOST_STEPS = 10

/** Opens a page, and signs in and consents where the imitation asks for it, until there is nothing to fill in. */
export async function visitSigningIn(agent: Agent, url: string, visitor: Visitor = {}): Promise<Page> {
  return goOn(agent, await agent.open(url), visitor)
}

async function goOn(agent: Agent, first: Page, { user = 'alice', refuses = [] }: Visitor): Promise<Page> {
  let page = first
  for (let steps = 0; steps < MOST_STEPS; steps += 1) {
    const form = page.forms[0]
    const names = form?.fields.map(([name]) => name)
    if (form?.isAutomatic) page = await agent.submitForm()
    else if (names?.includes('username')) page = await agent.submitForm({ username: user })
    else if (form && names?.includes('scope'))
      page = await agent.post(
        form.action,
        form.fields.filter(([, value]) => !refuses.includes(value)),
      )
    else return page
  }
  throw new Error(`More than ${MOST_STEPS} pages, last ${page.url}`)
}

/** What a browser does on the page that says "You are signed out": it loads the frames, and the user goes back to the site. */
export async function leaveProvider(agent: Agent, page: Page): Promise<{ frames: Page[]; back: Page | undefined }> {
  const frames: Page[] = []
  for (const src of attributesOf(page.text, /<iframe src="([^"]*)"/g)) frames.push(await agent.frame(src))
  const [back] = attributesOf(page.text, /<a href="([^"]*)"/g)
  return { frames, back: back === undefined ? undefined : await agent.click(back) }
}

function attributesOf(html: string, pattern: RegExp): string[] {
  return [...html.matchAll(pattern)].map(([, value = '']) =>
    value.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))),
  )
}
