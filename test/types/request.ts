import type { Request } from 'express'
import {
  type AccessToken,
  type OidcRequest,
  type OidcSession,
  type OidcUser,
  type OpenIdConnect,
  openIdConnect,
  type SessionEndReason,
} from 'express-hybrid-oidc'
import { expectType, type Same } from './expect.js'

// What a site writes once, so that its claims and its session have types everywhere.
declare module 'express-hybrid-oidc' {
  interface OidcUser {
    readonly email: string
    readonly role?: readonly string[]
  }
}
declare module 'express-session' {
  interface SessionData {
    cart: { readonly items: readonly string[] }
  }
}

export async function page(req: Request): Promise<void> {
  expectType<Same<typeof req.oidc, OidcRequest>>()
  expectType<Same<typeof req.oidc.user, OidcUser | undefined>>()
  expectType<Same<typeof req.oidc.isAuthenticated, boolean>>()
  expectType<Same<typeof req.oidc.sid, string | undefined>>()

  // @ts-expect-error there may be no user
  req.oidc.user.email
  const user = req.oidc.user
  if (user === undefined) return
  expectType<Same<typeof user.email, string>>()
  expectType<Same<typeof user.role, readonly string[] | undefined>>()
  expectType<Same<typeof user.sub, string>>()
  // A claim that is not declared has the type unknown.
  expectType<Same<typeof user.department, unknown>>()
  // @ts-expect-error claims change by signing in, not by assignment
  user.email = 'mallory@example.com'
  // @ts-expect-error the context belongs to the request
  req.oidc = undefined

  const token = await req.oidc.accessToken({ minValidity: 300, resource: 'https://api.example.com' })
  expectType<Same<typeof token, AccessToken>>()
  expectType<Same<typeof token.expiresAt, number | undefined>>()
  expectType<Same<Awaited<ReturnType<typeof req.oidc.dpopProof>>, string | undefined>>()
  await req.oidc.dpopProof({ method: 'GET', url: 'https://api.example.com', token, nonce: 'n' })
  // @ts-expect-error a proof is for one request
  await req.oidc.dpopProof({ method: 'GET' })
  await req.oidc.accessToken({ authorizationDetails: [{ type: 'payment' }] })
  // @ts-expect-error seconds are a number
  await req.oidc.accessToken({ minValidity: '5m' })
  expectType<Same<Awaited<ReturnType<typeof req.oidc.idToken>>, string | undefined>>()
  const response = await req.oidc.fetch('https://api.example.com/orders', { method: 'POST', body: '{}' })
  expectType<Same<typeof response.status, number>>()
  await req.oidc.login({ returnTo: '/', maxAge: 0, acr: ['mfa'], loginHint: user.email, scope: 'calendar' })
  // @ts-expect-error there is no such wish
  await req.oidc.login({ redirectUri: 'https://evil.example' })
  await req.oidc.logout({ returnTo: '/bye', local: true })

  expectType<Same<typeof req.session.cart, { readonly items: readonly string[] } | undefined>>()
  req.session.cart = { items: [] }
  // @ts-expect-error not what the site declared
  req.session.cart = 'a book'
  req.session.save(() => {})
}

export async function instance(oidc: OpenIdConnect, req: Request): Promise<void> {
  expectType<Same<Awaited<ReturnType<typeof oidc.authenticate>>, OidcUser | undefined>>()
  expectType<Same<Awaited<ReturnType<typeof oidc.sessions.list>>, readonly OidcSession[]>>()
  await oidc.sessions.revoke({ sub: 'alice' })
  // @ts-expect-error a user is required
  await oidc.sessions.revoke({})
  expectType<Same<Awaited<ReturnType<typeof oidc.health>>['ok'], boolean>>()
  oidc.proxy('/api', { target: 'https://api.example.com' })
  oidc.proxy('/api', {
    target: 'https://api.example.com',
    methods: ['GET'],
    headers: ['X-Tenant'],
    encodedSlashes: true,
    limits: { connections: 10, perUser: 2, wait: 1000 },
  })
  // @ts-expect-error methods are a list
  oidc.proxy('/api', { target: 'https://api.example.com', methods: 'GET' })
  // @ts-expect-error a limit that does not exist
  oidc.proxy('/api', { target: 'https://api.example.com', limits: { perSession: 2 } })
  // @ts-expect-error a proxy needs somewhere to go
  oidc.proxy('/api', {})
  await oidc.authenticate(req)
  const stop: () => void = oidc.watch(req, {
    onEnd({ reason }) {
      expectType<Same<typeof reason, SessionEndReason | undefined>>()
    },
    signal: AbortSignal.timeout(1000),
  })
  stop()
  oidc.watch(req, { onEnd: async () => {} })
  // @ts-expect-error what is done at the end is required
  oidc.watch(req, {})
}

openIdConnect({ hooks: { signIn: ({ req }) => ({ sub: 'x', ip: req.ip }) } })
