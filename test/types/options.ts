import { createPrivateKey } from 'node:crypto'
import type { Request } from 'express'
import { type Hooks, type OidcOptions, type OpenIdConnect, openIdConnect, type Routes } from 'express-hybrid-oidc'
import { expectType, type Same } from './expect.js'

// Nothing is required by the types: everything may come from the environment.
expectType<Same<ReturnType<typeof openIdConnect>, OpenIdConnect>>()
openIdConnect()
openIdConnect({})

// process.env gives strings that may be undefined, under exactOptionalPropertyTypes as well.
openIdConnect({
  issuer: process.env.ISSUER,
  clientSecret: process.env.SECRET,
  secret: process.env.SESSION_SECRET,
  redis: process.env.REDIS_URL,
  session: { name: process.env.COOKIE, idle: undefined, deviceBound: 'when-possible', deviceProofLifetime: 300 },
  timeouts: { redis: undefined },
})

openIdConnect({
  secret: ['newest', 'older'],
  session: false,
  pkce: false,
  dpop: { algorithm: 'Ed25519' },
  mtls: async () => ({ cert: 'pem', key: 'pem', passphrase: undefined }),
  userInfo: { token: 'token-endpoint', algorithm: 'PS256' },
  clientAuthentication: { method: 'private_key_jwt', key: createPrivateKey('pem'), algorithm: 'ES256' },
  authorizationParams: { prompt: 'login', max_age: 0, resource: ['https://a.example'], claims: { id_token: {} } },
  routes: { login: false, user: '/me' },
})

openIdConnect({
  clientAuthentication: {
    method: 'private_key_jwt',
    key: createPrivateKey('pem'),
    audience: ['issuer', 'https://as.example'],
    header: { typ: false, kid: 'k', 'x5t#S256': process.env.THUMBPRINT },
  },
})
openIdConnect({ clientAuthentication: { method: 'client_secret_jwt', algorithm: 'HS512', audience: 'endpoint' } })
openIdConnect({
  issuer: 'https://login.microsoftonline.com/organizations/v2.0',
  tenants: ['00000000-0000-0000-0000-000000000000'],
})
openIdConnect({ tenants: async tid => tid.startsWith('0') })
openIdConnect({ routes: { popup: '/signed-in' } })
openIdConnect({
  routes: { keptForm: '/form' },
  hooks: { keptForm: ({ address, fields, req }) => ({ [address]: fields.title ?? req.path }) },
  pages: {
    keptForm: ({ address, fields: [first], form }) => address + first?.name + first?.text + form.inputs + form.encoding,
    unsentForm: ({ reason }) => reason.toUpperCase(),
  },
})
openIdConnect({
  authorizationParams: { authorization_details: [{ type: 'payment', actions: ['initiate'], amount: 5 }] },
})
openIdConnect({ authorizationParams: { authorization_details: '[{"type":"payment"}]' } })
// @ts-expect-error a detail has a type
openIdConnect({ authorizationParams: { authorization_details: [{ actions: ['initiate'] }] } })
// @ts-expect-error actions are a list
openIdConnect({ authorizationParams: { authorization_details: [{ type: 'payment', actions: 'initiate' }] } })
openIdConnect({
  requestObject: {
    header: { kid: 'k' },
    encryption: { algorithm: 'ECDH-ES', contentEncryption: 'A256GCM' },
  },
})
// @ts-expect-error RSA1_5 is not offered
openIdConnect({ requestObject: { encryption: { algorithm: 'RSA1_5' } } })
// @ts-expect-error every tenant has to be named, or decided about
openIdConnect({ tenants: true })
// @ts-expect-error the algorithm is not the header's to say
openIdConnect({ clientAuthentication: { method: 'client_secret_jwt', header: { alg: 'none' } } })

// @ts-expect-error a misspelt option
openIdConnect({ clientID: 'x' })
// @ts-expect-error a fragment is never a way to hand over a response
openIdConnect({ responseMode: 'fragment' })
// @ts-expect-error none is no algorithm
openIdConnect({ idTokenAlgorithm: 'none' })
// @ts-expect-error a private key needs the key
openIdConnect({ clientAuthentication: { method: 'private_key_jwt' } })
// @ts-expect-error a secret proves nothing where a key is given
openIdConnect({ clientAuthentication: { method: 'client_secret_basic', key: createPrivateKey('pem') } })
// @ts-expect-error the callback cannot be left out
openIdConnect({ routes: { callback: false } })
// @ts-expect-error there is no such word
openIdConnect({ session: { deviceBound: 'always' } })
// @ts-expect-error express-session's maxAge is not ours
openIdConnect({ session: { maxAge: 1000 } })
// @ts-expect-error seconds are a number
openIdConnect({ session: { idle: '1h' } })

// Options are read, never written.
const options: OidcOptions = { scope: 'openid' }
// @ts-expect-error read-only
options.scope = 'openid email'

expectType<Same<Routes['callback'], string>>()

// Hooks get what they are about, and give back claims.
export const hooks: Hooks = {
  authorizationParams: req => ({ ui_locales: req.acceptsLanguages()[0] }),
  signIn: async ({ claims, idTokenClaims, userInfo }) => {
    expectType<Same<typeof idTokenClaims.iss, string>>()
    expectType<Same<NonNullable<typeof userInfo>['sub'], string>>()
    // @ts-expect-error what the provider says is not to be changed
    claims.sub = 'another user'
    return { ...claims, local: 1 }
  },
  signal: ({ action, subject }) => {
    expectType<Same<typeof action, 'end' | 'reauthenticate' | 'sign-in' | 'none'>>()
    // @ts-expect-error what the transmitter says is not to be changed
    subject.format = 'email'
    return { action: 'end', sub: 'alice' }
  },
  audit: (entry, req) => {
    type Types = 'sign-in' | 'step-up' | 'sign-in-refused' | 'refresh-refused' | 'sign-out' | 'session-expired'
    expectType<Same<typeof entry.type, Types>>()
    expectType<Same<typeof req, Request | undefined>>()
    if (entry.type === 'sign-out') expectType<Same<typeof entry.by, 'user' | 'provider' | 'site'>>()
    // @ts-expect-error a refused sign-in has no session
    if (entry.type === 'sign-in-refused') return void entry.session
    // @ts-expect-error an entry is not to be changed
    entry.at = 0
  },
  signOut: ({ reason }) => {
    type Reason = 'logout' | 'front-channel' | 'back-channel' | 'revoked' | 'replaced' | 'signal' | 'global-revocation'
    expectType<Same<typeof reason, Reason>>()
  },
}

openIdConnect({
  pages: {
    languages: ['en', 'ja'],
    error: ({ code, language, link }) => {
      expectType<Same<typeof language, 'en' | 'de' | 'fr' | 'es' | 'ja'>>()
      // @ts-expect-error what the page has to say is not to be changed
      link.href = '/'
      return code
    },
    // @ts-expect-error a page is made at once
    signOut: async ({ form }) => form.action,
    // @ts-expect-error the page after a sign-out has no form
    signedOut: ({ form }) => String(form),
  },
})

export const wrongHooks: Hooks = {
  // @ts-expect-error there is no such action
  signal: () => ({ action: 'delete' }),
  // @ts-expect-error claims are an object
  signIn: () => 'alice',
}

openIdConnect({ baseUrl: ['https://a.example', { url: 'https://b.example', provider: 'acme' }] as const })
openIdConnect({
  baseUrl: async host => {
    expectType<Same<typeof host, string>>()
    return host === 'a.example' ? { url: `https://${host}` } : undefined
  },
})
// @ts-expect-error an address is a string or an object
openIdConnect({ baseUrl: [7] })
// @ts-expect-error a request is no host
openIdConnect({ baseUrl: (req: Request) => req.hostname })
