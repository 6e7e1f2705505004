import assert from 'node:assert/strict'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { describe, test } from 'node:test'
import type { JWK } from 'jose'
import type { PrivateKeyAuthentication } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import {
  duende,
  identityServer3,
  identityServer4,
  openIddict,
  openIdentityServer,
  startImitation,
  type Traits,
  visitSigningIn,
} from '../support/imitations/index.js'
import { keepSecret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const publicJwk = { ...publicKey.export({ format: 'jwk' }), kid: 'ours', use: 'sig' } as JWK

const byDefault = {}
const tokenEndpoint = { audience: 'token_endpoint' } as const
const untyped = { header: { typ: false } } as const

/** What each of them takes. */
const servers: readonly [Traits, assertion: Partial<PrivateKeyAuthentication>, taken: boolean][] = [
  [identityServer3({ flow: 'Hybrid' }), byDefault, false],
  [identityServer3({ flow: 'Hybrid' }), tokenEndpoint, true],
  [identityServer4(), byDefault, false],
  [identityServer4(), tokenEndpoint, true],
  [openIdentityServer(), byDefault, false],
  [openIdentityServer(), tokenEndpoint, true],
  [duende(), byDefault, true],
  [duende(), tokenEndpoint, false],
  [duende(), { ...tokenEndpoint, ...untyped }, true],
  [duende({ strictAudience: true }), byDefault, true],
  [duende({ strictAudience: true }), { audience: ['issuer'] }, false],
  [openIddict(), byDefault, true],
  [openIddict(), untyped, false],
]

describe('private_key_jwt', () => {
  for (const [traits, assertion, taken] of servers) {
    const outcome = taken ? 'signs in' : 'is refused, and the log says what to try'
    test(`at ${traits.name} with ${JSON.stringify(assertion)} ${outcome}`, async () => {
      const imitation = await startImitation(traits, { clientJwks: [publicJwk], asksConsent: false })
      const { issuer, clientId } = imitation
      const clientAuthentication = { method: 'private_key_jwt', key: privateKey, ...assertion } as const
      const site = await startSite({
        oidc: { issuer, clientId, clientAuthentication, pkce: traits.pkce !== 'ignored', scope: 'openid' },
        handlesErrors: false,
      })
      imitation.register({ redirectUris: [`${site.url}/callback`], postLogoutRedirectUris: [] })
      try {
        const page = await visitSigningIn(createAgent(), `${site.url}/claims`)
        assert.equal(page.status, taken ? 200 : 502, `${page.text} ${imitation.log.join()}`)
        const warnings = site.log.filter(line => line.includes('does not list'))
        assert.equal(warnings.length, traits.name.startsWith('IdentityServer3') ? 1 : 0, site.log.join('\n'))
        if (!taken) assert.match(site.log.join('\n'), /invalid_client[\s\S]*audience: 'token_endpoint'/)
      } finally {
        await site.close()
        await imitation.close()
      }
    })
  }
})

describe('a secret that form encoding changes', () => {
  for (const [what, clientAuthentication, status] of [
    ['goes into the body by itself, and signs in', undefined, 200],
    ['is refused where the site chose Basic, and the log names the other way', 'client_secret_basic', 502],
  ] as const) {
    test(`at a server that does not decode Basic credentials: it ${what}`, async () => {
      const clientSecret = keepSecret('odd client secret', `s3+cr/3t=%20-${randomBytes(12).toString('hex')}`)
      const imitation = await startImitation(identityServer3(), { clientSecret, asksConsent: false })
      const { issuer, clientId } = imitation
      const oidc = { issuer, clientId, clientSecret, clientAuthentication, pkce: false, scope: 'openid' }
      const site = await startSite({ oidc, handlesErrors: false })
      imitation.register({ redirectUris: [`${site.url}/callback`], postLogoutRedirectUris: [] })
      try {
        const page = await visitSigningIn(createAgent(), `${site.url}/claims`)
        assert.equal(page.status, status, `${page.text} ${imitation.log.join()}`)
        if (status === 502) assert.match(site.log.join('\n'), /CLIENT_REJECTED.*'client_secret_post'/)
      } finally {
        await site.close()
        await imitation.close()
      }
    })
  }
})
