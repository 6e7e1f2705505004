import assert from 'node:assert/strict'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import type { Express } from 'express'
import type { JWK } from 'jose'
import type { OidcErrorCode, OidcOptions } from '../../lib/index.js'
import { createSelfSigned } from '../attacks/self-signed.js'
import { type Agent, createAgent, type Page } from '../support/agent.js'
import { type Faults, type HostileProvider, startHostileProvider } from '../support/hostile-provider.js'
import type { FapiDemands } from '../support/hostile-requests.js'
import { handOnTo, type MtlsFront, startMtlsFront } from '../support/mtls-front.js'
import { createSigningKey, exportPrivateJwk } from '../support/signing-keys.js'
import { type Site, startSite } from '../support/site.js'

/** A choice of the suite's variants. */
export interface FapiVariant {
  /** As it stands in the names of tests. */
  readonly name: string
  readonly clientAuth: 'private_key_jwt' | 'mtls'
  readonly senderConstrain: 'dpop' | 'mtls'
  readonly signedRequests: boolean
  readonly jarm: boolean
  /** Whether requests are pushed. FAPI 1.0 also has them by value. */
  readonly pushed: boolean
  readonly oidc: OidcOptions
}

/** One run of one module. */
export interface FapiRun {
  readonly variant: FapiVariant
  readonly provider: HostileProvider
  readonly site: Site
  readonly agent: Agent
}

export interface FapiModule {
  /** Behind the prefix of its plan. */
  readonly id: string
  readonly applies?: (variant: FapiVariant) => boolean
  /** What is different from a right response, from the first request on. */
  readonly faults?: Faults
  readonly demands?: FapiDemands
  /** Whether endpoints for clients with a certificate are aliases; else every client uses them. Default `true`. */
  readonly hasAliases?: boolean
  readonly oidc?: OidcOptions
  readonly run: (run: FapiRun) => Promise<void>
}

const providerKey = await createSigningKey('PS256')
const clientKey = await createSigningKey('ES256')
const certificate = createSelfSigned({ host: 'www.test' })
/** They are published with the `kid` of the provider's key, so that `kid` alone does not select a key. */
const decoys = await Promise.all([createSigningKey('ES256'), createSigningKey('RS256')])
/** A key that the provider publishes without its algorithm, and that must not sign ID Tokens. */
export const otherRsaKey = await createSigningKey('RS256')
const encryption = generateKeyPairSync('rsa', { modulusLength: 2048 })
/** What ID Tokens are encrypted to. */
export const encryptionKey: JWK = {
  ...(encryption.privateKey.export({ format: 'jwk' }) as JWK),
  kid: 'enc',
  use: 'enc',
}
export const publicEncryptionKey = encryption.publicKey

/** Registers a test for every variant a module applies to. */
export function registerFapi(prefix: string, modules: readonly FapiModule[], variants: readonly FapiVariant[]): void {
  for (const module of modules) {
    for (const variant of variants) {
      if (module.applies && !module.applies(variant)) continue
      test(`${prefix}${module.id} (${variant.name})`, () => runModule(module, variant))
    }
  }
}

async function runModule(module: FapiModule, variant: FapiVariant): Promise<void> {
  const front = await startMtlsFront()
  const provider = await startHostileProvider({
    issuerPath: '/test/a/alias/',
    alg: 'PS256',
    signingKey: providerKey,
    sid: null,
    clientJwks: [clientKey.publicJwk],
    demands: { ...demandsOf(variant), ...module.demands },
  })
  front.target = handOnTo(provider.port)
  const { metadata, ...faults } = module.faults ?? {}
  const withAliases = (document: Record<string, unknown>) => {
    const endpoints = aliasesOf(provider, front)
    const complete = {
      ...document,
      ...(module.hasAliases === false ? endpoints : { mtls_endpoint_aliases: endpoints }),
    }
    return metadata?.(complete) ?? complete
  }
  provider.break({ metadata: withAliases, keys: withDecoys, ...faults })
  const site = await startSite({
    oidc: optionsOf(variant, module, provider, front),
    routes: accountsOf(provider, front, variant),
  })
  try {
    await module.run({ variant, provider, site, agent: createAgent() })
  } finally {
    await site.close()
    await provider.close()
    await front.close()
  }
}

function demandsOf({ clientAuth, senderConstrain, signedRequests, pushed }: FapiVariant): FapiDemands {
  return {
    pushed,
    signed: signedRequests,
    proofNonces: senderConstrain === 'dpop',
    bindsToCertificate: senderConstrain === 'mtls',
    ...(clientAuth === 'mtls' && { certificate: new X509Certificate(certificate.cert).fingerprint256 }),
  }
}

function aliasesOf({ issuer }: HostileProvider, { origin }: MtlsFront): Record<string, string> {
  const base = origin + new URL(issuer).pathname
  return {
    token_endpoint: `${base}token`,
    userinfo_endpoint: `${base}userinfo`,
    pushed_authorization_request_endpoint: `${base}par`,
    revocation_endpoint: `${base}revocation`,
  }
}

function withDecoys(own: readonly JWK[]): JWK[] {
  const { alg: _, ...unnamed } = otherRsaKey.publicJwk
  return [...decoys.map(({ publicJwk }) => ({ ...publicJwk, kid: own[0]?.kid ?? '' })), ...own, unnamed]
}

function optionsOf(
  { clientAuth, senderConstrain, signedRequests, oidc }: FapiVariant,
  module: FapiModule,
  { issuer, clientId }: HostileProvider,
  front: MtlsFront,
): OidcOptions {
  const needsCertificate = clientAuth === 'mtls' || senderConstrain === 'mtls'
  return {
    issuer,
    clientId,
    clientAuthentication:
      clientAuth === 'mtls'
        ? 'self_signed_tls_client_auth'
        : { method: 'private_key_jwt', key: exportPrivateJwk(clientKey) },
    ...(needsCertificate && { mtls: { ...certificate, ca: front.ca } }),
    ...(needsCertificate && senderConstrain === 'dpop' && { dpop: true }),
    ...(signedRequests && { requestObject: { key: exportPrivateJwk(clientKey) } }),
    ...oidc,
    apis: [new URL(issuer).origin, front.origin],
    ...module.oidc,
  }
}

/** A page of the site that asks the accounts endpoint of the module. */
function accountsOf({ issuer }: HostileProvider, { origin }: MtlsFront, { senderConstrain }: FapiVariant) {
  const { pathname } = new URL(issuer)
  const url = `${senderConstrain === 'mtls' ? origin : new URL(issuer).origin}${pathname}accounts`
  return (app: Express) => {
    app.get('/accounts', (req, res, next) => {
      req.oidc.fetch(url).then(response => res.json({ status: response.status }), next)
    })
  }
}

/** The flow ends at the accounts endpoint: discovery, PAR, authorize with the reference alone, token, accounts. */
export async function assertFinishes({ provider, site, agent, variant }: FapiRun): Promise<void> {
  const page = await agent.visit(`${site.url}/claims`)
  assert.equal(page.status, 200, `${page.text} ${provider.problems.join()} ${site.log.join()}`)
  const accounts = await agent.fetch(`${site.url}/accounts`, { from: `${site.url}/` })
  assert.deepEqual([accounts.status, accounts.text], [200, '{"status":200}'])
  assert.deepEqual(provider.problems, [])
  assert.equal(provider.requests.at(-1)?.path.split('/').at(-1), 'accounts')
  assert.equal(provider.count('authorize'), 1)
  assert.equal(provider.count('token'), 1)
  if (variant.pushed) assert.ok(provider.count('par') >= 1)
  const proofs = provider.requests.flatMap(({ headers }) => headers.dpop ?? [])
  assert.equal(new Set(proofs).size, proofs.length)
  assert.equal(proofs.length > 0, variant.senderConstrain === 'dpop')
}

/** What may have been asked when the fault was found. */
export interface FapiCalls {
  readonly authorize: 0 | 1
  readonly token: 0 | 1
}

/** The module's fault is found: the right code, no session, and no request afterwards but for keys. */
export async function assertStops(
  { provider, site, agent }: FapiRun,
  code: OidcErrorCode,
  { authorize, token }: FapiCalls,
): Promise<Page> {
  const page = await agent.visit(`${site.url}/claims`)
  assert.equal(site.lastCode(), code, `${page.text} ${provider.problems.join()}`)
  assert.ok(page.status >= 400, `status ${page.status}`)
  const user = await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })
  assert.equal(user.json<{ isAuthenticated: boolean }>().isAuthenticated, false)
  assert.deepEqual(
    page.hops.flatMap(hop => hop.setCookies).filter(cookie => cookie.startsWith('sid=')),
    [],
    'no session cookie',
  )
  const accounts = await agent.fetch(`${site.url}/accounts`, { from: `${site.url}/` })
  assert.equal(accounts.status, 401)
  const calls = Object.fromEntries(
    (['authorize', 'token', 'userinfo', 'accounts'] as const).map(name => [name, provider.count(name)]),
  )
  assert.deepEqual(calls, { authorize, token, userinfo: 0, accounts: 0 })
  if (authorize === 0) assert.equal(provider.count('par'), 0)
  assert.deepEqual(provider.problems, [])
  return page
}
