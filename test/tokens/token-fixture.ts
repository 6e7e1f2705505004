import type { Express, Request, RequestHandler, Response } from 'express'
import type { OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent } from '../support/agent.js'
import { type HostileProvider, type HostileProviderOptions, startHostileProvider } from '../support/hostile-provider.js'
import { type Site, startSite } from '../support/site.js'

/** Seconds an access token lives unless a test says otherwise. */
export const LIFE = 300

export interface TokenFixtureOptions {
  readonly provider?: HostileProviderOptions
  readonly oidc?: OidcOptions
  readonly routes?: (app: Express) => void
}

/** A site and a provider whose clocks a test moves, and a browser to visit it with. */
export interface TokenFixture {
  readonly provider: HostileProvider
  readonly site: Site
  readonly agent: Agent
  /** Moves the clocks of site and provider. */
  advance(seconds: number): void
  now(): number
  /** Signs in, and leaves the browser on a page of the site. */
  signIn(): Promise<void>
  /** A script asks for the access token; `query` holds its options. */
  token(query?: string): Promise<TokenResponse>
  /** Token requests that sent a refresh token. */
  refreshes(): ReturnType<HostileProvider['requestsTo']>
  close(): Promise<void>
}

export interface TokenResponse {
  readonly status: number
  readonly value?: string
  readonly scope?: string
  readonly expiresAt?: number
  readonly code?: string
}

/** 2026-06-01, epoch s. */
const START = 1_780_272_000

export async function startTokenFixture(options: TokenFixtureOptions = {}): Promise<TokenFixture> {
  let seconds = START
  const provider = await startHostileProvider({ expiresIn: LIFE, now: () => seconds, ...options.provider })
  const site = await startSite({
    oidc: {
      issuer: provider.issuer,
      clientId: provider.clientId,
      clientSecret: provider.clientSecret,
      scope: 'openid profile offline_access',
      now: () => new Date(seconds * 1000),
      ...options.oidc,
    },
    routes(app) {
      app.get('/fresh', (req, res, next) => {
        const { minValidity, scope, resource, force } = req.query as Record<string, string>
        const wanted = {
          ...(minValidity !== undefined && { minValidity: Number(minValidity) }),
          ...(scope !== undefined && { scope }),
          ...(resource !== undefined && { resource }),
          ...(force !== undefined && { forceRefresh: true }),
        }
        req.oidc.accessToken(wanted).then(token => res.json(token), next)
      })
      options.routes?.(app)
    },
  })
  const agent = createAgent({ now: () => seconds * 1000 })
  return {
    provider,
    site,
    agent,
    advance(more) {
      seconds += more
    },
    now: () => seconds,
    async signIn() {
      const page = await agent.visit(`${site.url}/claims`)
      if (page.status !== 200) throw new Error(`signing in ended with ${page.status}: ${page.text}`)
    },
    async token(query = '') {
      const page = await agent.fetch(`${site.url}/fresh${query}`)
      return { status: page.status, ...page.json<Omit<TokenResponse, 'status'>>() }
    },
    refreshes: () => provider.requestsTo('token').filter(({ form }) => form.grant_type === 'refresh_token'),
    async close() {
      await site.close()
      await provider.close()
    },
  }
}

/** For `app.get`: answers with what `work` resolves with. */
export function answering(work: (req: Request, res: Response) => Promise<unknown>): RequestHandler {
  return (req, res, next) => {
    work(req, res).then(value => {
      if (!res.headersSent) res.json(value ?? null)
    }, next)
  }
}
