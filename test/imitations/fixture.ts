import assert from 'node:assert/strict'
import type { OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent } from '../support/agent.js'
import {
  type Imitation,
  type ImitationOptions,
  startImitation,
  type Traits,
  type Visitor,
  visitSigningIn,
} from '../support/imitations/index.js'
import { type Site, type SiteOptions, startSite } from '../support/site.js'

/** Seconds. */
export const TOKEN_LIFE = 3600
export const SPECIFIED = 'openid email profile read write offline_access'

export interface Fixture {
  readonly imitation: Imitation
  readonly site: Site
  /** Moves the clocks of provider, site and browsers. */
  advance(seconds: number): void
  browser(): Agent
}

export interface FixtureOptions {
  readonly oidc?: OidcOptions
  readonly imitation?: ImitationOptions
  readonly routes?: SiteOptions['routes']
}

/** An imitation, a site that is registered there, and clocks to move. */
export async function withFixture(
  traits: Traits,
  { oidc, imitation: imitationOptions, routes }: FixtureOptions,
  run: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  let moved = 0
  const now = () => Date.now() + moved
  const imitation = await startImitation(traits, { accessTokenLife: TOKEN_LIFE, now, ...imitationOptions })
  const { issuer, clientId, clientSecret } = imitation
  const site = await startSite({
    oidc: {
      issuer,
      clientId,
      clientSecret,
      scope: SPECIFIED,
      now: () => new Date(now()),
      ...oidc,
    },
    ...(routes && { routes }),
  })
  register({ imitation, site }, {})
  try {
    await run({
      imitation,
      site,
      advance(seconds) {
        moved += seconds * 1000
      },
      browser: () => createAgent({ now }),
    })
  } finally {
    await site.close()
    await imitation.close()
  }
}

/** A channel at a time, so that one that does nothing is not covered by the other. */
export function register(
  { imitation, site: { url } }: Pick<Fixture, 'imitation' | 'site'>,
  { frontChannel = false, backChannel = false },
): void {
  imitation.register({
    redirectUris: [`${url}/callback`],
    postLogoutRedirectUris: [`${url}/logout/callback`],
    frontChannelLogoutUri: frontChannel ? `${url}/logout/frontchannel` : undefined,
    backChannelLogoutUri: backChannel ? `${url}/logout/backchannel` : undefined,
  })
}

export async function signIn({ site, imitation, browser }: Fixture, visitor: Visitor = {}): Promise<Agent> {
  const agent = browser()
  const page = await visitSigningIn(agent, `${site.url}/claims`, visitor)
  assert.deepEqual(
    [page.url, page.status],
    [`${site.url}/claims`, 200],
    `${page.status} ${page.text}\n${imitation.log.join('\n')}`,
  )
  return agent
}

export async function isSignedIn({ site }: Fixture, agent: Agent): Promise<boolean> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ isAuthenticated: boolean }>().isAuthenticated
}
