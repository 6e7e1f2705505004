import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JWK } from 'jose'
import type { OidcErrorCode, OidcOptions } from '../../lib/index.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import {
  type Faults,
  type HostileProvider,
  type HostileProviderOptions,
  startHostileProvider,
} from '../support/hostile-provider.js'
import { secret } from '../support/secrets.js'
import { createSigningKey } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

export const responseTypes = ['code', 'code id_token', 'code token', 'code id_token token', 'id_token'] as const
export type ResponseType = (typeof responseTypes)[number]

export interface Variant {
  readonly responseType: ResponseType
  readonly responseMode: 'form_post' | 'query'
}

/** Every way to answer that this package knows; fragments never reach a server. */
export const variants: readonly Variant[] = [
  { responseType: 'code', responseMode: 'query' },
  ...responseTypes.map(responseType => ({ responseType, responseMode: 'form_post' as const })),
]

/** One run of one module of the OpenID Foundation's suite for relying parties. */
export interface Run extends Variant {
  readonly provider: HostileProvider
  readonly site: Site
  readonly agent: Agent
}

export interface Module {
  /** The suite's own name. */
  readonly id: string
  readonly appliesTo: readonly ResponseType[]
  readonly modes?: readonly Variant['responseMode'][]
  /** What is different from a right response, from the first request on. */
  readonly faults?: Faults
  readonly provider?: HostileProviderOptions
  readonly oidc?: OidcOptions
  /** Runs before the site knows anything of the provider; returns what has to be done in the end. */
  readonly prepare?: (provider: HostileProvider) => Promise<() => Promise<void>>
  readonly run: (run: Run) => Promise<void>
}

export const withCode: readonly ResponseType[] = ['code', 'code id_token', 'code token', 'code id_token token']
export const withFrontIdToken: readonly ResponseType[] = ['code id_token', 'code id_token token', 'id_token']

const SUBJECT = 'user-subject-1234531'

/** Registers a test for every variant a module applies to. */
export function register(modules: readonly Module[]): void {
  for (const module of modules) {
    for (const variant of variants) {
      if (!module.appliesTo.includes(variant.responseType)) continue
      if (module.modes && !module.modes.includes(variant.responseMode)) continue
      test(`${module.id} (${variant.responseType}, ${variant.responseMode})`, () => runModule(module, variant))
    }
  }
}

async function runModule(module: Module, variant: Variant): Promise<void> {
  const alg = module.provider?.alg ?? 'RS256'
  const strangers = await otherKeys()
  const provider = await startHostileProvider({
    issuerPath: '/test/a/alias/',
    // A secret of the suite ends in punctuation, which has to be encoded before it is joined with the client id.
    clientSecret: `${secret('client secret of the suite')}-0 :+%&='"~`,
    sendsIss: false,
    sid: null,
    expiresIn: null,
    frontTokenDiesOnRedeem: true,
    user: { sub: SUBJECT, name: 'Demo T. User', email: 'user@example.com', email_verified: false },
    metadata: metadataOfSuite(alg),
    ...module.provider,
  })
  provider.break({ keys: own => [...own.map(withoutAlg), ...strangers], ...module.faults })
  const finish = await module.prepare?.(provider)
  const { issuer, clientId, clientSecret } = provider
  const { responseType, responseMode } = variant
  const site = await startSite({
    oidc: {
      issuer,
      clientId,
      clientSecret,
      responseType,
      responseMode,
      // In the suite a call of userinfo ends the module, so that it has to be the last one, with the newest token.
      ...(responseType !== 'id_token' && { userInfo: { token: 'token-endpoint' } }),
      ...module.oidc,
    },
  })
  try {
    await module.run({ ...variant, provider, site, agent: createAgent() })
  } finally {
    await site.close()
    await provider.close()
    await finish?.()
  }
}

/** Ends with a slash, offers `none` first, writes response types in an odd order, and says nothing of PKCE. */
function metadataOfSuite(alg: string): Record<string, unknown> {
  return {
    response_types_supported: [
      'code',
      'id_token code',
      'token code id_token',
      'id_token',
      'token id_token',
      'token code',
    ],
    id_token_signing_alg_values_supported: ['none', alg],
    code_challenge_methods_supported: undefined,
    token_endpoint_auth_methods_supported: ['client_secret_basic'],
    grant_types_supported: ['authorization_code', 'implicit'],
  }
}

let others: Promise<JWK[]> | undefined

/** The keys of the suite that sign nothing here: one more of each kind, kinds few know, and two for encryption. */
function otherKeys(): Promise<JWK[]> {
  others ??= (async () => {
    const algorithms = ['RS256', 'ES256', 'ES256', 'ES256K', 'EdDSA']
    const signing = await Promise.all(algorithms.map(alg => createSigningKey(alg)))
    const encrypting = await Promise.all(['RS256', 'ES256'].map(alg => createSigningKey(alg)))
    return [
      ...signing.map(({ publicJwk }) => withoutAlg(publicJwk)),
      ...encrypting.map(({ publicJwk }, i) => ({ ...publicJwk, use: 'enc', alg: i === 0 ? 'RSA-OAEP' : 'ECDH-ES' })),
    ]
  })()
  return others
}

export function withoutAlg({ alg: _, ...jwk }: JWK): JWK {
  return jwk
}

export function withoutKid({ kid: _, ...jwk }: JWK): JWK {
  return jwk
}

/** The keys of the suite without names, `count` of each kind that signs. */
export async function namelessKeys(own: readonly JWK[], count: number): Promise<JWK[]> {
  const known = await otherKeys()
  const encrypting = known.filter(({ use }) => use === 'enc')
  const signing = known.filter(({ use }) => use === 'sig')
  const more = await Promise.all(Array.from({ length: 2 * (count - 1) }, () => createSigningKey('RS256')))
  const rsa = more.slice(0, count - 1).map(({ publicJwk }) => publicJwk)
  const rest = signing.filter(({ kty }) => kty !== 'RSA').slice(count === 1 ? 1 : 0)
  return [...encrypting, ...[...rsa, ...own, ...rest].map(withoutAlg).map(withoutKid)]
}

async function userOf({ agent, site }: Run): Promise<Record<string, unknown> | null> {
  const page = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  return page.json<{ user: Record<string, unknown> | null }>().user
}

/** The person is signed in, every call was made once, and userinfo was the last one. */
export async function assertSignsIn(run: Run, path = '/claims'): Promise<Record<string, unknown>> {
  const { agent, site, provider, responseType } = run
  const before = { token: provider.count('token'), userinfo: provider.count('userinfo') }
  const page = await agent.visit(site.url + path)
  assert.equal(page.status, 200, page.text)
  assert.equal(page.url, site.url + path)
  const user = await userOf(run)
  assert.equal(user?.sub, SUBJECT)
  const calls = withCode.includes(responseType) ? 1 : 0
  assert.equal(provider.count('token') - before.token, calls, 'token requests')
  assert.equal(provider.count('userinfo') - before.userinfo, calls, 'userinfo requests')
  const last = provider.requests.at(-1)?.path.split('/').at(-1)
  // Keys may be asked for at any time.
  assert.ok(calls === 1 ? last === 'userinfo' : last === 'authorize' || last === 'jwks', `the last request was ${last}`)
  assert.deepEqual(provider.problems, [])
  return user ?? {}
}

/** No user is signed in, the site has the expected error code, and no request was sent that comes after the fault. */
export async function assertRefuses(
  run: Run,
  code: OidcErrorCode,
  allowed: { readonly token?: number; readonly userinfo?: number } = {},
): Promise<Page> {
  const { agent, site, provider, responseType } = run
  const page = await agent.visit(`${site.url}/claims`)
  assert.equal(site.lastCode(), code, page.text)
  assert.ok(page.status >= 400, `status ${page.status}`)
  assert.equal(await userOf(run), null)
  assert.deepEqual(
    page.hops.flatMap(hop => hop.setCookies).filter(cookie => cookie.startsWith('sid=')),
    [],
    'no session cookie',
  )
  const token = allowed.token ?? (withFrontIdToken.includes(responseType) ? 0 : 1)
  assert.equal(provider.count('token'), token, 'token requests')
  assert.equal(provider.count('userinfo'), allowed.userinfo ?? 0, 'userinfo requests')
  return page
}
