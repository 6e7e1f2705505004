import assert from 'node:assert/strict'
import type { OidcOptions, SignedOut } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import { type Fixture, type FixtureOptions, openFixture } from '../support/handler-fixture.js'
import { type RawResponse, send } from '../support/http-client.js'

/** A fixture that writes down what the hook on sign-out is told. */
export interface LogoutFixture extends Fixture {
  readonly signedOut: SignedOut[]
}

export async function openLogoutFixture(options: FixtureOptions = {}): Promise<LogoutFixture> {
  const signedOut: SignedOut[] = []
  const hooks = { signOut: (event: SignedOut) => void signedOut.push(event), ...options.oidc?.hooks }
  return { ...(await openFixture({ ...options, oidc: { ...options.oidc, hooks } })), signedOut }
}

export function withLogoutFixture(
  options: FixtureOptions,
  run: (fixture: LogoutFixture) => Promise<void>,
): () => Promise<void> {
  return async () => {
    const fixture = await openLogoutFixture(options)
    try {
      await run(fixture)
    } finally {
      await fixture.close()
    }
  }
}

/** What the site logged, but for the word that there is no Redis. */
export function linesOf({ site }: Place): readonly string[] {
  return site.log.filter(line => !line.startsWith('No Redis is set'))
}

type Place = Pick<Fixture, 'site'>

/** Signs the browser in, and shows a page of the site. */
export async function signIn({ site }: Place, agent: Agent): Promise<Page> {
  const page = await agent.visit(`${site.url}/claims`)
  assert.equal(page.status, 200, page.text)
  return page
}

/** Another browser that is signed in. */
export async function signedInAgent(place: Place): Promise<Agent> {
  const agent = createAgent()
  await signIn(place, agent)
  return agent
}

export async function isSignedIn({ site }: Place, agent: Agent): Promise<boolean> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  assert.equal(page.status, 200, page.text)
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}

export interface TokenRequest {
  readonly body?: string | Buffer
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly path?: string
}

/** What the provider sends: a POST without a cookie. */
export function postLogoutToken(siteUrl: string, token: string, request: TokenRequest = {}): Promise<RawResponse> {
  return send({
    url: siteUrl + (request.path ?? '/logout/backchannel'),
    method: request.method ?? 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...request.headers },
    body: request.body ?? new URLSearchParams({ logout_token: token }).toString(),
  })
}

export async function assertObeyed(response: Promise<RawResponse>): Promise<void> {
  const { status, headers, setCookies, text } = await response
  assert.equal(status, 200, text)
  assert.equal(headers['cache-control'], 'no-store')
  assert.deepEqual(setCookies, [])
  assert.equal(text, '')
}

/** A gate that a request of the hostile provider waits at. */
export function createGate(): {
  readonly until: () => Promise<void>
  readonly reached: Promise<void>
  readonly open: () => void
} {
  let open = () => {}
  let arrive = () => {}
  const opened = new Promise<void>(resolve => {
    open = resolve
  })
  const reached = new Promise<void>(resolve => {
    arrive = resolve
  })
  const until = () => {
    arrive()
    return opened
  }
  return { until, reached, open: () => open() }
}

export type { Fixture, OidcOptions }
