import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { requiresClaim } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import type { Claims } from '../support/hostile-provider.js'
import { createSigningKey } from '../support/signing-keys.js'
import { startSite } from '../support/site.js'
import { attack, whoIs } from './fixture.js'

const now = () => Math.floor(Date.now() / 1000)
const once = { tokenRequests: 1, userInfoRequests: 1 } as const
const set = (more: Claims) => (claims: Claims) => ({ ...claims, ...more })

describe('whose userinfo it is', () => {
  attack(
    'userinfo of another user, without a sub, or with a sub of another type does not sign a user in',
    { allows: [502] },
    async ({ refuses }) => {
      for (const sub of ['bob', 'ALICE-0001', 'alice-0001 ', 'alice-00010', 'alice']) {
        await refuses({
          what: sub,
          faults: { userInfoClaims: set({ sub }) },
          code: 'ERR_OIDC_USER_INFO_SUBJECT',
          ...once,
        })
      }
      for (const sub of [undefined, null, '', 1, ['alice-0001'], { 0: 'alice-0001' }, true]) {
        const faults = { userInfoClaims: set({ sub }) }
        await refuses({ what: `${JSON.stringify(sub)}`, faults, code: 'ERR_OIDC_USER_INFO_RESPONSE', ...once })
      }
    },
  )

  attack(
    'userinfo that is not a JSON object, or has another content type, does not sign a user in',
    { allows: [502, 503] },
    async ({ refuses }) => {
      const code = 'ERR_OIDC_USER_INFO_RESPONSE'
      for (const value of [[], [{ sub: 'alice-0001' }], 'alice-0001', 1, true]) {
        await refuses({ what: JSON.stringify(value), faults: { userInfoClaims: () => value }, code, ...once })
      }
      const response = 'ERR_OIDC_PROVIDER_RESPONSE'
      for (const contentType of ['text/html', 'text/plain', 'image/png', 'application/xml']) {
        await refuses({ what: contentType, faults: { userinfo: { contentType } }, code: response, ...once })
      }
      for (const status of [400, 403, 404, 500]) {
        const faults = { userinfo: { status, body: { sub: 'alice-0001' } } }
        const expected = status === 500 ? 'ERR_OIDC_PROVIDER_UNAVAILABLE' : code
        await refuses({ what: `${status}`, faults, code: expected, ...once })
      }
    },
  )

  attack(
    'signed userinfo with alg none, another key, algorithm, issuer, audience or time does not sign a user in',
    { allows: [502] },
    async ({ refuses, provider, accepts }) => {
      const own = await createSigningKey()
      const code = 'ERR_OIDC_USER_INFO_RESPONSE'
      for (const [what, signedUserInfo] of Object.entries({
        'alg none': { alg: 'none' },
        'another key': { key: 'foreign' },
        'a key of its own': { key: own.privateKey, header: (given: Claims) => ({ ...given, jwk: own.publicJwk }) },
        RS512: { alg: 'RS512' },
        'the client secret': { alg: 'HS256', key: provider.clientSecret },
        'another issuer': set({ iss: 'https://evil.example' }),
        'another audience': set({ aud: 'other' }),
        'exp past': set({ exp: now() - 60 }),
        'changed signature': { signature: (bytes: Buffer) => Buffer.from(bytes.map(byte => byte ^ 1)) },
      } as const)) {
        await refuses({ what, faults: { signedUserInfo }, code, ...once })
      }
      await accepts('good', { signedUserInfo: true })
    },
  )

  attack('a plain userinfo response is refused where the site requires a signed one', {}, async ({ provider }) => {
    const { issuer, clientId, clientSecret } = provider
    const oidc = { issuer, clientId, clientSecret, userInfo: { algorithm: 'RS256' } } as const
    const site = await startSite({ oidc })
    try {
      const agent = createAgent()
      await agent.visit(`${site.url}/claims`)
      assert.equal(site.lastCode(), 'ERR_OIDC_USER_INFO_RESPONSE')
      assert.equal(await whoIs({ site }, agent), undefined)
      provider.break({ signedUserInfo: true })
      assert.equal((await agent.visit(`${site.url}/claims`)).status, 200)
    } finally {
      await site.close()
    }
  })
})

describe('what claims say', () => {
  attack(
    'CVE-2026-55075 CVE-2026-55076 CVE-2024-27918: email_verified is met by the boolean true only, not by a string or a number',
    {
      site: {
        routes: app => app.get('/verified', requiresClaim('email_verified', true), (_req, res) => void res.send('yes')),
      },
    },
    async ({ provider, site }) => {
      for (const email_verified of ['true', 'TRUE', 1, 'false', false, [], ['true'], {}, null, '', undefined]) {
        provider.break({ userInfoClaims: set({ email_verified }) })
        const agent = createAgent()
        await agent.visit(`${site.url}/login`)
        const page = await agent.open(`${site.url}/verified`)
        assert.equal(page.status, 403, JSON.stringify(email_verified))
      }
      provider.heal()
      const agent = createAgent()
      await agent.visit(`${site.url}/login`)
      assert.equal((await agent.open(`${site.url}/verified`)).status, 200)
    },
  )

  attack(
    'CVE-2026-40574 CVE-2026-73420: an e-mail address that only looks like the required one does not meet requiresClaim',
    {
      site: {
        routes: app =>
          app.get('/boss', requiresClaim('email', 'boss@corp.example'), (_req, res) => void res.send('yes')),
      },
    },
    async ({ provider, site }) => {
      for (const email of [
        ...['boss@evil@corp.example', 'boss@corp.example@evil.example', 'boss＠corp.example', 'boss@corp.example.'],
        ...[
          'boss@corp.example ',
          ' boss@corp.example',
          'BOSS@CORP.EXAMPLE',
          'boss(x)@corp.example',
          'boss@cоrp.example',
        ],
        ...['"boss"@corp.example', 'boss@corp.example\u0000', 'boss@corp。example', 'boss@corp.example,x@y', ''],
      ]) {
        provider.break({ userInfoClaims: set({ email }) })
        const agent = createAgent()
        await agent.visit(`${site.url}/login`)
        assert.equal((await agent.open(`${site.url}/boss`)).status, 403, JSON.stringify(email))
      }
    },
  )

  attack(
    'CVE-2026-23990: empty and null claims do not meet requiresClaim',
    {
      site: {
        routes: app => {
          app.get('/admin', requiresClaim('role', 'admin'), (_req, res) => void res.send('yes'))
          app.get('/proto', requiresClaim('constructor', 'x'), (_req, res) => void res.send('yes'))
        },
      },
    },
    async ({ provider, site }) => {
      for (const role of [
        undefined,
        null,
        '',
        [],
        [''],
        [null],
        {},
        { admin: true },
        [['admin']],
        'admins',
        'ADMIN',
        0,
      ]) {
        provider.break({ userInfoClaims: set({ role }) })
        const agent = createAgent()
        await agent.visit(`${site.url}/login`)
        assert.equal((await agent.open(`${site.url}/admin`)).status, 403, JSON.stringify(role))
        assert.equal((await agent.open(`${site.url}/proto`)).status, 403)
      }
    },
  )

  attack(
    'CVE-2021-21411: a user without the group gets 403 on every request, without another sign-in',
    {},
    async ({ provider, site }) => {
      provider.break({ userInfoClaims: set({ role: ['reader'] }) })
      const agent = createAgent()
      await agent.visit(`${site.url}/login`)
      const before = provider.count('authorize')
      for (let i = 0; i < 3; i += 1) {
        const page = await agent.open(`${site.url}/editors`)
        assert.equal(page.status, 403)
        assert.ok(!page.text.includes('welcome'), 'the page was shown')
      }
      assert.equal(provider.count('authorize'), before)
      assert.equal(await whoIs({ site }, agent), 'alice-0001')
    },
  )
})

describe('what claims can do', () => {
  attack(
    'CVE-2026-23603: no URL in a claim is ever requested: pictures, distributed and aggregated claims',
    {},
    async ({ accepts, evil }) => {
      const page = await accepts('addresses', {
        userInfoClaims: set({
          picture: `${evil.url}/picture`,
          profile: `${evil.url}/profile`,
          _claim_names: { credit_score: 'a', role: 'b' },
          _claim_sources: {
            a: { endpoint: `${evil.url}/claims`, access_token: 'x' },
            b: { JWT: 'eyJhbGciOiJub25lIn0.eyJyb2xlIjoicm9vdCJ9.' },
          },
        }),
      })
      const user = page.json<Claims>()
      assert.equal(user.credit_score, undefined)
      assert.deepEqual(user.role, ['editor', 'admin'])
      assert.equal(user._claim_names, undefined)
      assert.equal(user._claim_sources, undefined)
      assert.equal(user.picture, `${evil.url}/picture`)
    },
  )

  attack('claims named like members of Object.prototype change no object', {}, async ({ accepts }) => {
    const hostile =
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":"x","hasOwnProperty":"x","address":{"__proto__":{"polluted":true},"a":1}}'
    const claims = (given: Claims) => ({ ...given, ...JSON.parse(hostile) })
    const raw = (given: { status: number; headers: Record<string, string>; body: string }) => ({
      ...given,
      body: given.body.replace(/}$/, `,${hostile.slice(1)}`),
    })
    const page = await accepts('hostile names', {
      frontIdToken: claims,
      backIdToken: claims,
      userinfo: { respond: raw },
    })
    assert.equal(({} as Claims).polluted, undefined)
    const user = page.json<Claims>()
    assert.equal(user.polluted, undefined)
    assert.ok(!page.text.includes('polluted'), page.text)
    assert.equal(user.sub, 'alice-0001')
  })

  attack(
    'userinfo cannot bring back or replace what only an ID Token may say: sub, sid, iss, nonce, acr, auth_time',
    {},
    async ({ accepts }) => {
      const planted = {
        sid: 'planted',
        iss: 'planted',
        aud: 'planted',
        nonce: 'planted',
        azp: 'planted',
        at_hash: 'planted',
      }
      const page = await accepts('planted', { userInfoClaims: set(planted) })
      const user = page.json<Claims>()
      assert.equal(user.sid, 'sid-1')
      assert.deepEqual([user.iss, user.aud, user.nonce, user.azp, user.at_hash], Array(5).fill(undefined))
    },
  )

  attack(
    'the access token of the front channel is not used before its at_hash in the ID Token was verified',
    {},
    async ({ refuses }) => {
      await refuses({
        what: 'foreign',
        faults: { frontIdToken: { key: 'foreign' } },
        code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
        userInfoRequests: 0,
      })
    },
  )
})
