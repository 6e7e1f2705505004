import assert from 'node:assert/strict'
import { createHash, createPublicKey, type JsonWebKey } from 'node:crypto'
import { describe } from 'node:test'
import type { JWK } from 'jose'
import { type OidcErrorCode, requiresScope } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Claims, type JwtFault, replace } from '../support/hostile-provider.js'
import { createSigningKey, signJwt } from '../support/signing-keys.js'
import { type AttackFixture, attack, startAttempt, whoIs } from './fixture.js'

const hybrid = { responseType: 'code id_token' }
const now = () => Math.floor(Date.now() / 1000)
const set = (more: Claims) => (claims: Claims) => ({ ...claims, ...more })

/** The same fault in the ID Token of either channel: nothing follows a bad first one, and only the code was sent before a bad second. */
async function refusesBoth(
  { refuses }: AttackFixture,
  what: string,
  fault: JwtFault,
  code: OidcErrorCode,
): Promise<void> {
  await refuses({ what: `front: ${what}`, faults: { frontIdToken: fault }, code })
  await refuses({ what: `back: ${what}`, faults: { backIdToken: fault }, code, tokenRequests: 1 })
}

/** Every value for one claim, `undefined` for none. */
async function refusesValues(fixture: AttackFixture, claim: string, values: readonly unknown[], code: OidcErrorCode) {
  for (const value of values) {
    await refusesBoth(fixture, `${claim} ${JSON.stringify(value)?.slice(0, 60)}`, set({ [claim]: value }), code)
  }
}

describe('the signature', () => {
  attack(
    'CVE-2026-48558: an ID Token whose signature is changed, cut, missing or by another key is refused in either channel',
    { oidc: hybrid },
    async fixture => {
      const code = 'ERR_OIDC_ID_TOKEN_SIGNATURE'
      await refusesBoth(fixture, 'changed', { signature: bytes => flipByte(bytes, 9) }, code)
      await refusesBoth(fixture, 'cut', { signature: bytes => bytes.subarray(1) }, code)
      await refusesBoth(fixture, 'missing', { signature: () => Buffer.alloc(0) }, code)
      await refusesBoth(fixture, 'zeros', { signature: bytes => Buffer.alloc(bytes.length) }, code)
      await refusesBoth(fixture, 'by another key', { key: 'foreign' }, code)
      const claimsOf = (token: string) => token.split('.').map((part, i) => (i === 1 ? reencode(part, 'bob') : part))
      await refusesBoth(fixture, 'of other claims', { token: token => claimsOf(token).join('.') }, code)
    },
  )

  attack(
    'CVE-2016-1000223 CVE-2021-44878 CVE-2022-23540: alg none is refused in every spelling, although the provider offers it',
    { oidc: hybrid, provider: { metadata: { id_token_signing_alg_values_supported: ['none', 'None', 'RS256'] } } },
    async fixture => {
      for (const alg of [
        'none',
        'None',
        'NONE',
        'nOnE',
        ' none',
        'none ',
        '',
        null,
        0,
        false,
        ['none'],
        ['RS256'],
        {},
        undefined,
      ]) {
        const header = (given: Claims) => ({ ...given, alg })
        const what = `alg ${JSON.stringify(alg)}`
        await refusesBoth(fixture, `${what} unsigned`, { alg: 'none', header }, 'ERR_OIDC_ID_TOKEN_ALGORITHM')
        await refusesBoth(fixture, `${what} signed`, { header }, 'ERR_OIDC_ID_TOKEN_ALGORITHM')
      }
    },
  )

  attack(
    'CVE-2015-9235 CVE-2022-29217 CVE-2024-33663 CVE-2024-37568 CVE-2023-48223 CVE-2025-65945 CVE-2026-34950: an HS256 token signed with a public key as the secret is refused, whatever the form of the key',
    { oidc: hybrid },
    async fixture => {
      for (const [form, key] of publicKeyForms(fixture)) {
        for (const alg of ['HS256', 'HS512']) {
          const code = 'ERR_OIDC_ID_TOKEN_ALGORITHM'
          await fixture.refuses({ what: `${alg} ${form}`, faults: { frontIdToken: { alg, key } }, code })
          // The same with a header that promises RS256.
          const header = (given: Claims) => ({ ...given, alg: 'RS256' })
          const faults = { frontIdToken: { alg, key, header } }
          await fixture.refuses({ what: `${alg} as RS256 ${form}`, faults, code: 'ERR_OIDC_ID_TOKEN_SIGNATURE' })
        }
      }
    },
  )

  attack(
    'where the site has chosen HS256, a public key is not accepted as the secret, and RS256 is refused',
    { oidc: { ...hybrid, idTokenAlgorithm: 'HS256' }, provider: { alg: 'HS256' } },
    async fixture => {
      for (const [form, key] of publicKeyForms(fixture)) {
        const code = 'ERR_OIDC_ID_TOKEN_SIGNATURE'
        await fixture.refuses({ what: form, faults: { frontIdToken: { alg: 'HS256', key } }, code })
      }
      await fixture.refuses({
        what: 'no key',
        faults: { frontIdToken: { key: '' } },
        code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
      })
      await refusesBoth(fixture, 'RS256', { alg: 'RS256' }, 'ERR_OIDC_ID_TOKEN_ALGORITHM')
    },
  )

  attack(
    'CVE-2026-33322 CVE-2022-23541: an ID Token signed with the client secret is refused unless the site has chosen an HS algorithm',
    { oidc: hybrid, provider: { metadata: { id_token_signing_alg_values_supported: ['HS256', 'RS256'] } } },
    async fixture => {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        await refusesBoth(fixture, alg, { alg, key: fixture.provider.clientSecret }, 'ERR_OIDC_ID_TOKEN_ALGORITHM')
      }
    },
  )

  attack(
    'CVE-2026-28498: another algorithm than the configured one is refused, although the provider publishes its key and the signature is valid',
    { oidc: hybrid },
    async fixture => {
      const [rsa] = fixture.provider.keys.published
      assert.ok(rsa, 'no rsa')
      for (const alg of ['RS384', 'RS512', 'PS256', 'ES256', 'ES384', 'ES512', 'EdDSA', 'ES256K']) {
        await refusesBoth(fixture, alg, { alg }, 'ERR_OIDC_ID_TOKEN_ALGORITHM')
      }
      const header = (given: Claims) => ({ ...given, alg: 'RS256', kid: rsa.kid })
      const code = 'ERR_OIDC_ID_TOKEN_SIGNATURE'
      await refusesBoth(fixture, 'PS256 that says RS256', { alg: 'PS256', key: rsa.privateKey, header }, code)
      await refusesBoth(fixture, 'ES256 that says RS256 and names its key', { alg: 'ES256', header }, code)
    },
  )

  attack(
    'CVE-2022-21449: an ES256 signature of zeros, of the group order, or in DER is refused',
    { oidc: { ...hybrid, idTokenAlgorithm: 'ES256' }, provider: { alg: 'ES256' } },
    async fixture => {
      const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
      const code = 'ERR_OIDC_ID_TOKEN_SIGNATURE'
      for (const [what, bytes] of Object.entries({
        zeros: Buffer.alloc(64),
        'the order twice': Buffer.concat([order, order]),
        'r of zero': Buffer.concat([Buffer.alloc(32), order]),
        DER: Buffer.from('3006020100020100', 'hex'),
        nothing: Buffer.alloc(0),
      })) {
        await refusesBoth(fixture, what, { signature: () => bytes }, code)
      }
      await fixture.accepts('a good one', {})
    },
  )
})

describe('the key', () => {
  attack(
    'CVE-2018-0114: a key that an ID Token contains or points to is never used and never fetched',
    { oidc: hybrid },
    async fixture => {
      const own = await createSigningKey()
      const kid = fixture.provider.keys.published[0]?.kid
      for (const [what, hint] of Object.entries({
        jwk: { jwk: own.publicJwk },
        jku: { jku: `${fixture.evil.url}/jwks` },
        x5u: { x5u: `${fixture.evil.url}/cert` },
        x5c: { x5c: [Buffer.from(own.publicJwk.n ?? '', 'base64url').toString('base64')] },
        x5t: { x5t: 'AAAA', 'x5t#S256': 'AAAA' },
      })) {
        const fault = (id: string | undefined) => ({
          key: own.privateKey,
          header: (given: Claims) => ({ ...given, ...hint, kid: id }),
        })
        await refusesBoth(fixture, `${what}, our kid`, fault(kid), 'ERR_OIDC_ID_TOKEN_SIGNATURE')
        await refusesBoth(fixture, `${what}, no kid`, fault(undefined), 'ERR_OIDC_ID_TOKEN_SIGNATURE')
      }
      const header = (given: Claims) => ({ ...given, kid: own.kid, jwk: own.publicJwk })
      await refusesBoth(fixture, 'own kid', { key: own.privateKey, header }, 'ERR_OIDC_ID_TOKEN_KEY')
    },
  )

  attack(
    'CVE-2025-59420: an ID Token with a critical extension is refused, whatever it is',
    { oidc: hybrid },
    async fixture => {
      for (const crit of [['exp'], ['b64'], ['x'], [], 'x', null, {}]) {
        const header = (given: Claims) => ({ ...given, crit, b64: true, x: 1 })
        await refusesBoth(fixture, JSON.stringify(crit), { header }, 'ERR_OIDC_ID_TOKEN_MALFORMED')
      }
    },
  )

  attack(
    'a kid of any value selects a published key or none, and causes a few fetches of the key set at most',
    { oidc: hybrid },
    async fixture => {
      const before = fixture.provider.count('jwks')
      for (const kid of [
        '../../etc/passwd',
        '__proto__',
        'constructor',
        'toString',
        '%s%n{}',
        '\u0000',
        'x'.repeat(30_000),
      ]) {
        const fault = { header: (given: Claims) => ({ ...given, kid }) }
        await refusesBoth(fixture, kid.slice(0, 20), fault, 'ERR_OIDC_ID_TOKEN_KEY')
      }
      for (const kid of [1, {}, [], true]) {
        const fault = { header: (given: Claims) => ({ ...given, kid }) }
        await refusesBoth(fixture, JSON.stringify(kid), fault, 'ERR_OIDC_ID_TOKEN_MALFORMED')
      }
      assert.ok(fixture.provider.count('jwks') - before <= 6, 'one budget for all of them')
    },
  )

  attack(
    'of several keys with one kid the right one is used, and a key of another party is not',
    { oidc: hybrid },
    async ({ provider, accepts, refuses }) => {
      const twin = await createSigningKey()
      const [own] = provider.keys.published
      assert.ok(own, 'no own')
      const keys = () => [
        { ...twin.publicJwk, kid: own.kid },
        own.publicJwk,
        null,
        'x',
        { kty: 'RSA' },
        { kid: own.kid },
      ]
      provider.keys.published = [{ ...own }]
      await provider.keys.rotate()
      const [renewed] = provider.keys.published
      assert.ok(renewed, 'no renewed')
      const all = () => [{ ...twin.publicJwk, kid: renewed.kid }, renewed.publicJwk, ...keys()]
      await accepts('twins', { keys: all })
      await refuses({
        what: 'foreign',
        faults: { keys: all, frontIdToken: { key: 'foreign' } },
        code: 'ERR_OIDC_ID_TOKEN_SIGNATURE',
      })
    },
  )

  attack(
    'CVE-2022-23539: a key that is too short, made for encryption, for another algorithm, or secret is not used although it is published',
    { oidc: hybrid },
    async ({ provider, refuses, accepts }) => {
      const [weak, key] = await Promise.all([createSigningKey('RS256', { modulusLength: 1024 }), createSigningKey()])
      const octets = { kty: 'oct', k: Buffer.from(provider.clientSecret).toString('base64url') }
      const odd = [
        ['1024 bits', { ...weak.publicJwk, kid: 'a' }, weak.privateKey],
        ['use enc', { ...key.publicJwk, kid: 'b', use: 'enc' }, key.privateKey],
        ['alg PS256', { ...key.publicJwk, kid: 'c', alg: 'PS256' }, key.privateKey],
        ['key_ops encrypt', { ...key.publicJwk, kid: 'd', key_ops: ['encrypt'] }, key.privateKey],
        ['with its private part', { ...key.publicJwk, kid: 'e', d: 'AAAA' }, key.privateKey],
        ['octets', { ...octets, kid: 'f' }, key.privateKey],
      ] as const
      // All of them are published from the first row on, because the keys are not fetched for every row.
      const keys = (own: readonly object[]) => [...own, ...odd.map(([, jwk]) => jwk), { ...key.publicJwk, kid: 'good' }]
      for (const [what, jwk, privateKey] of odd) {
        const frontIdToken = { key: privateKey, header: (given: Claims) => ({ ...given, kid: jwk.kid }) }
        await refuses({ what, faults: { keys, frontIdToken }, code: 'ERR_OIDC_ID_TOKEN_KEY' })
      }
      const good = { key: key.privateKey, header: (given: Claims) => ({ ...given, kid: 'good' }) }
      await accepts('the same key, published as it should be', { keys, frontIdToken: good, backIdToken: good })
    },
  )
})

describe('the form', () => {
  attack(
    'CVE-2026-29000 CVE-2024-33531 CVE-2022-36083 CVE-2023-31582 CVE-2024-28176 CVE-2024-28180 CVE-2024-21319 CVE-2025-62706 CVE-2016-9121 CVE-2021-29443 CVE-2021-29444 CVE-2021-29445 CVE-2021-29446 CVE-2026-34986: an encrypted token is refused without being decrypted, whatever its content',
    { oidc: hybrid },
    async fixture => {
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const plain = `${encode({ alg: 'none' })}.${encode({ sub: 'bob' })}.`
      const bodies = ['', 'AAAA', Buffer.from(plain).toString('base64url'), 'A'.repeat(20_000)]
      for (const header of [
        { alg: 'RSA-OAEP', enc: 'A256GCM', cty: 'JWT' },
        { alg: 'dir', enc: 'A128CBC-HS256' },
        { alg: 'PBES2-HS512+A256KW', p2c: 2_147_483_647, p2s: 'AAAA', enc: 'A256GCM' },
        { alg: 'dir', enc: 'A256GCM', zip: 'DEF' },
        { alg: 'ECDH-ES', enc: 'A256GCM', epk: { kty: 'EC', crv: 'P-256', x: 'AAAA', y: 'AAAA' } },
        { alg: 'none', enc: 'none' },
        { alg: 'RS256', enc: 'A256GCM' },
      ]) {
        for (const body of bodies) {
          const jwe = `${encode(header)}.${body}.AAAAAAAAAAAAAAAA.${body}.AAAA`
          await refusesBoth(fixture, JSON.stringify(header), { token: () => jwe }, 'ERR_OIDC_ID_TOKEN_MALFORMED')
        }
      }
      const withEnc = { header: (given: Claims) => ({ ...given, enc: 'A256GCM', zip: 'DEF' }), key: 'foreign' } as const
      await refusesBoth(fixture, 'three parts with enc', withEnc, 'ERR_OIDC_ID_TOKEN_SIGNATURE')
    },
  )

  attack(
    'CVE-2025-22868 CVE-2025-27144 CVE-2025-61920: tokens of nothing but dots are refused at once, and so are those too long to be read',
    { oidc: { responseType: 'code id_token token' }, allows: [502] },
    async ({ refuses, site, provider }) => {
      const code = 'ERR_OIDC_ID_TOKEN_MALFORMED'
      for (const token of ['.', '..', '...', '.'.repeat(60_000), `${'a.'.repeat(30_000)}a`, 'a'.repeat(60_000)]) {
        await refuses({ what: `front ${token.length}`, faults: { frontIdToken: { token: () => token } }, code })
      }
      const dots = () => '.'.repeat(500_000)
      const refusal = { code, tokenRequests: 1, userInfoRequests: 1 } as const
      await refuses({ what: 'back', faults: { backIdToken: { token: dots } }, ...refusal })
      for (const name of ['code', 'access_token', 'id_token', 'state']) {
        const before = provider.count('token')
        provider.break({ response: replace(name, '.'.repeat(100_000)) })
        const page = await createAgent().visit(`${site.url}/claims`)
        provider.heal()
        assert.ok(page.status === 400 || page.status === 413, `${name}: ${page.status}`)
        assert.equal(provider.count('token'), before)
      }
    },
  )

  attack(
    'claims that are no object, are nested without end, or are no UTF-8 are refused',
    { oidc: hybrid },
    async fixture => {
      const deep = (depth: number) => Array.from({ length: depth }).reduce(inner => ({ inner }), {}) as Claims
      for (const claims of [[], null, 'x', 1, true, deep(2000)]) {
        await refusesBoth(fixture, typeof claims, { claims: () => claims }, 'ERR_OIDC_ID_TOKEN_MALFORMED')
      }
      const [key] = fixture.provider.keys.published
      assert.ok(key, 'no key')
      for (const bytes of [Buffer.from([0xff, 0xfe]), Buffer.from('{"sub":'), Buffer.from('')]) {
        const head = signJwt({ alg: 'RS256', kid: key.kid }, {}, 'none', '').split('.')[0]
        const token = () => `${head}.${bytes.toString('base64url')}.AAAA`
        const code = bytes.length === 0 ? 'ERR_OIDC_ID_TOKEN_MALFORMED' : 'ERR_OIDC_ID_TOKEN_SIGNATURE'
        await refusesBoth(fixture, bytes.toString('hex'), { token }, code)
      }
    },
  )

  attack(
    'a JWT that the same provider made for another purpose is no ID Token: a logout token, an access token, an assertion',
    { oidc: hybrid },
    async fixture => {
      const { provider } = fixture
      const malformed = 'ERR_OIDC_ID_TOKEN_MALFORMED'
      const logoutToken = await provider.createLogoutToken()
      await refusesBoth(fixture, 'logout token', { token: () => logoutToken }, malformed)
      for (const typ of ['at+jwt', 'application/at+jwt', 'logout+jwt', 'secevent+jwt', 'JOSE', 'dpop+jwt', 1, '']) {
        await refusesBoth(fixture, `typ ${typ}`, { header: header => ({ ...header, typ }) }, malformed)
      }
      const untyped = await provider.keys.sign({
        iss: provider.issuer,
        sub: 'alice-0001',
        aud: 'client',
        iat: now(),
        exp: now() + 60,
        events: {},
      })
      await refusesBoth(fixture, 'a logout token without typ', { token: () => untyped }, 'ERR_OIDC_ID_TOKEN_NONCE')
    },
  )

  attack('an ID Token of thirty kilobytes with five hundred groups signs in', { oidc: hybrid }, async ({ accepts }) => {
    const groups = Array.from({ length: 500 }, (_, i) => `cn=group-${i},ou=department,dc=example,dc=com`)
    const page = await accepts('groups', { frontIdToken: set({ groups }), backIdToken: set({ groups }) })
    assert.equal(page.json<{ groups: string[] }>().groups.length, 500)
  })
})

describe('the claims', () => {
  attack(
    'CVE-2016-7191 CVE-2018-15801 CVE-2024-53861 CVE-2025-30144 CVE-2024-47807 CVE-2023-39953 CVE-2025-46647: an ID Token of any other issuer is refused, however alike it looks and even under the same key',
    { oidc: hybrid },
    async fixture => {
      const { issuer } = fixture.provider
      const values = [
        ...['https://evil.example', `${issuer}/`, `${issuer}x`, `${issuer} `, ` ${issuer}`, issuer.slice(0, -1), ''],
        ...[
          issuer.toUpperCase(),
          issuer.replace('http:', 'https:'),
          issuer.replace('127', '１２７'),
          `${issuer}\u0000`,
        ],
        ...[
          `${issuer}@evil.example`,
          `${issuer}#`,
          `${issuer}?`,
          [issuer],
          [issuer, 'x'],
          { 0: issuer },
          null,
          1,
          true,
        ],
      ]
      await refusesValues(fixture, 'iss', [...values, undefined], 'ERR_OIDC_ID_TOKEN_ISSUER')
    },
  )

  attack(
    'CVE-2023-22482 CVE-2026-40946 CVE-2026-55669 CVE-2024-5798 CVE-2023-36820 CVE-2024-47806: an ID Token for any other client is refused, however alike it looks',
    { oidc: hybrid },
    async fixture => {
      const { clientId: id } = fixture.provider
      const strings = [
        'other',
        '',
        `${id} `,
        `${id}x`,
        id.slice(0, -1),
        id.toUpperCase(),
        `${id}\u0000`,
        '*',
        `${id} other`,
      ]
      const others = [[], ['other'], [[id]], { 0: id }, [{ id }], null, 1, true, undefined]
      await refusesValues(fixture, 'aud', [...strings, ...others], 'ERR_OIDC_ID_TOKEN_AUDIENCE')
      const party = 'ERR_OIDC_ID_TOKEN_AUTHORIZED_PARTY'
      await refusesValues(fixture, 'azp', ['other', [id], {}, 1], party)
      await refusesValues(fixture, 'aud', [[id, 'other']], party)
      const both = set({ aud: [id, 'other'], azp: id })
      await fixture.accepts('a second audience that is vouched for', { frontIdToken: both, backIdToken: both })
      const list = set({ aud: [id] })
      await fixture.accepts('a list of one', { frontIdToken: list, backIdToken: list })
    },
  )

  attack(
    'GHSA-wxg7-w2v3-w38g CVE-2026-22748: an ID Token that has expired, is not yet valid, or was issued in the future or long ago is refused',
    { oidc: hybrid },
    async fixture => {
      const odd = [undefined, null, '', `${now() + 300}`, 'tomorrow', -1, true, [now() + 300], {}]
      await refusesValues(fixture, 'exp', [...odd, 0, now() - 31, now() - 86_400], 'ERR_OIDC_ID_TOKEN_EXPIRED')
      const issuedAt = [...odd, 0, now() + 3600, now() - 86_400, now() - 700]
      await refusesValues(fixture, 'iat', issuedAt, 'ERR_OIDC_ID_TOKEN_ISSUED_AT')
      const notBefore = odd.filter(value => value !== undefined && value !== null && value !== '')
      await refusesValues(fixture, 'nbf', [...notBefore, now() + 3600], 'ERR_OIDC_ID_TOKEN_NOT_BEFORE')
      for (const [what, claims] of Object.entries({
        'clocks apart': { exp: now() - 20, nbf: now() + 20, iat: now() + 20 },
        'half a second': { exp: now() + 100.5, iat: now() - 0.5 },
      })) {
        await fixture.accepts(what, { frontIdToken: set(claims), backIdToken: set(claims) })
      }
    },
  )

  attack('a session_expiry that has passed or is not a time is refused', { oidc: hybrid }, async fixture => {
    await refusesValues(fixture, 'session_expiry', [0, now() - 31, now() - 86_400], 'ERR_OIDC_ID_TOKEN_EXPIRED')
    const odd = ['', `${now() + 300}`, 'never', -1, true, [now() + 300], {}]
    await refusesValues(fixture, 'session_expiry', odd, 'ERR_OIDC_ID_TOKEN_MALFORMED')
    for (const session_expiry of [null, now() - 20, now() + 3600]) {
      const faults = { frontIdToken: set({ session_expiry }), backIdToken: set({ session_expiry }) }
      await fixture.accepts(`session_expiry ${session_expiry}`, faults)
    }
  })

  attack(
    'CVE-2026-42206: a nonce that is missing, of another type, of another user or of an earlier sign-in is refused, and so is an earlier ID Token',
    { oidc: hybrid },
    async fixture => {
      const code = 'ERR_OIDC_ID_TOKEN_NONCE'
      const earlier = fixture.provider.requestsTo('authorize')[0]?.query.nonce ?? ''
      await refusesValues(fixture, 'nonce', [undefined, null, '', 'x', 1, {}, earlier], code)
      const asList = (claims: Claims) => ({ ...claims, nonce: [claims.nonce] })
      await refusesBoth(fixture, 'a list', asList, code)
      await refusesBoth(fixture, 'longer', claims => ({ ...claims, nonce: `${claims.nonce}1` }), code)
      const old = (await startAttempt(fixture, createAgent())).find(([name]) => name === 'id_token')?.[1] ?? ''
      await refusesBoth(fixture, 'a whole earlier token', { token: () => old }, code)
    },
  )

  attack(
    'max_age is enforced on auth_time, whether the site or one call of login() asks for it',
    {
      oidc: hybrid,
      site: {
        routes: app =>
          app.get('/fresh', (req, _res, next) => void req.oidc.login({ maxAge: 60, returnTo: '/user' }).catch(next)),
      },
    },
    async ({ provider, site }) => {
      for (const auth_time of [undefined, null, 'now', -1, now() - 3600, now() + 3600, `${now()}`, 0]) {
        provider.break({ frontIdToken: set({ auth_time }), backIdToken: set({ auth_time }) })
        const agent = createAgent()
        await agent.visit(`${site.url}/fresh`)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_AUTH_TIME', JSON.stringify(auth_time))
        assert.equal(await whoIs({ site }, agent), undefined)
      }
      provider.heal()
      const agent = createAgent()
      await agent.visit(`${site.url}/fresh`)
      assert.equal(await whoIs({ site }, agent), 'alice-0001')
    },
  )

  attack(
    'an essential acr that is missing, weaker or of another kind is refused',
    {
      oidc: {
        ...hybrid,
        authorizationParams: { claims: { id_token: { acr: { essential: true, values: ['mfa', 'hw'] } } } },
      },
      provider: { idTokenClaims: { acr: 'hw' } },
    },
    async ({ provider, site, accepts }) => {
      for (const acr of [undefined, null, '', 'pwd', 'MFA', ['mfa'], 'mfa hw', 1]) {
        provider.break({ frontIdToken: set({ acr }), backIdToken: set({ acr }) })
        await createAgent().visit(`${site.url}/claims`)
        assert.equal(site.lastCode(), 'ERR_OIDC_ID_TOKEN_ACR', JSON.stringify(acr))
      }
      await accepts('one of those', { frontIdToken: set({ acr: 'hw' }), backIdToken: set({ acr: 'hw' }) })
    },
  )

  attack(
    'a sub that is missing, empty, too long, of another kind or not plain ASCII is refused, so that no two people are one',
    { oidc: hybrid },
    async fixture => {
      const composed = ['Amélie', 'Ame\u0301lie', 'alice-0001\u200b', 'аlice']
      const values = [undefined, null, '', 'x'.repeat(256), 1, ['alice-0001'], {}, true, ...composed]
      await refusesValues(fixture, 'sub', values, 'ERR_OIDC_ID_TOKEN_SUBJECT')
    },
  )

  attack(
    'two ID Tokens of one sign-in that differ in iss, sub, aud or azp are refused',
    { oidc: hybrid },
    async ({ refuses, provider }) => {
      for (const [claims, code] of [
        [{ sub: 'bob' }, 'ERR_OIDC_ID_TOKEN_MISMATCH'],
        [{ sub: 'ALICE-0001' }, 'ERR_OIDC_ID_TOKEN_MISMATCH'],
        [{ sub: 'alice-0001 ' }, 'ERR_OIDC_ID_TOKEN_MISMATCH'],
        [{ aud: [provider.clientId, 'x'], azp: provider.clientId }, 'ERR_OIDC_ID_TOKEN_MISMATCH'],
        [{ iss: `${provider.issuer}/` }, 'ERR_OIDC_ID_TOKEN_ISSUER'],
      ] as const) {
        await refuses({ what: JSON.stringify(claims), faults: { backIdToken: set(claims) }, code, tokenRequests: 1 })
      }
    },
  )

  attack(
    'c_hash or at_hash refuses a code or an access token of another response before it is sent anywhere',
    { oidc: { responseType: 'code id_token token' } },
    async ({ refuses, site }) => {
      const foreign = new Map(await startAttempt({ site }, createAgent()))
      for (const [name, claim, code] of [
        ['code', 'c_hash', 'ERR_OIDC_ID_TOKEN_CODE_HASH'],
        ['access_token', 'at_hash', 'ERR_OIDC_ID_TOKEN_ACCESS_TOKEN_HASH'],
      ] as const) {
        await refuses({ what: name, faults: { response: replace(name, foreign.get(name) ?? '') }, code })
        const whole = createHash('sha256').update('x').digest('base64url')
        for (const value of [undefined, null, '', 'x', 1, ['x'], whole]) {
          await refuses({ what: `${claim} ${value}`, faults: { frontIdToken: set({ [claim]: value }) }, code })
        }
      }
      const code = 'ERR_OIDC_ID_TOKEN_STATE_HASH'
      await refuses({ what: 's_hash', faults: { frontIdToken: set({ s_hash: 'x' }) }, code })
    },
  )
})

describe('the token endpoint', () => {
  attack(
    'CVE-2021-41580: a token response without a usable access token does not sign a user in',
    { oidc: hybrid, allows: [502] },
    async ({ refuses }) => {
      for (const access_token of [undefined, null, '', 1, [], {}, 'a b', 'a\r\nSet-Cookie: x=y', 'ü']) {
        const tokenResponse = (body: Claims) => ({ ...body, access_token })
        const refusal = { code: 'ERR_OIDC_TOKEN_RESPONSE', tokenRequests: 1 } as const
        await refuses({ what: JSON.stringify(access_token), faults: { tokenResponse }, ...refusal })
      }
    },
  )

  attack(
    'a token response without an ID Token does not sign a user in, in any flow',
    { oidc: { responseType: 'code id_token' }, allows: [502] },
    async ({ refuses }) => {
      for (const id_token of [undefined, null, '', 1, {}]) {
        const tokenResponse = (body: Claims) => ({ ...body, id_token })
        const refusal = { code: 'ERR_OIDC_TOKEN_RESPONSE', tokenRequests: 1 } as const
        await refuses({ what: JSON.stringify(id_token), faults: { tokenResponse }, ...refusal })
      }
    },
  )

  attack(
    'CVE-2022-31690: the scope is what was granted: an empty or narrower one is not taken for what was asked for',
    {
      oidc: { ...hybrid, scope: 'openid orders' },
      site: { routes: app => app.get('/orders', requiresScope('orders'), (_req, res) => void res.send('yours')) },
    },
    async ({ provider, site }) => {
      for (const [scope, status] of [
        ['', 403],
        ['openid', 403],
        ['openid orders-read', 403],
        ['orders', 200],
        ['openid orders admin', 200],
        [undefined, 200], // RFC 6749 section 5.1: left out where it is what was asked for
      ] as const) {
        provider.break({ tokenResponse: body => ({ ...body, scope }) })
        const agent = createAgent()
        await agent.visit(`${site.url}/login`)
        const page = await agent.fetch(`${site.url}/orders`)
        assert.equal(page.status, status, JSON.stringify(scope))
      }
    },
  )

  attack(
    'a token response that is not a JSON object, is too large, truncated or of another type is an error, and the code is sent once',
    { oidc: hybrid, allows: [502, 503] },
    async ({ refuses }) => {
      const once = { tokenRequests: 1 }
      const json = (text: string) => ({
        respond: (given: { status: number; headers: Record<string, string> }) => ({ ...given, body: text }),
      })
      const token = 'ERR_OIDC_TOKEN_RESPONSE'
      const response = 'ERR_OIDC_PROVIDER_RESPONSE'
      const away = 'ERR_OIDC_PROVIDER_UNAVAILABLE'
      for (const [what, fault, code] of [
        ['a list', json('[]'), token],
        ['null', json('null'), token],
        ['a string', json('"x"'), token],
        ['nothing', json(''), response],
        ['half', json('{"access_token":'), response],
        ['a page', { contentType: 'text/html', body: '<html>' }, response],
        ['plain text', { contentType: 'text/plain' }, response],
        ['204', { status: 204, body: '' }, token],
        ['two mebibytes', json(JSON.stringify({ x: 'x'.repeat(2_000_000) })), response],
        ['nested without end', json(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`), token],
        ['another encoding', json(Buffer.from([0x7b, 0xff]).toString('latin1')), response],
        ['cut before', { cut: 'before' }, away],
        ['cut after', { cut: 'after' }, away],
        ['cut in the middle', { cut: 'middle' }, away],
        ['400 without words', { status: 400, body: {} }, token],
        ['invalid_grant', { status: 400, body: { error: 'invalid_grant' } }, 'ERR_OIDC_CODE_REJECTED'],
        ['invalid_client', { status: 401, body: { error: 'invalid_client' } }, 'ERR_OIDC_CLIENT_REJECTED'],
        ['429', { status: 429, body: {}, headers: { 'retry-after': '1' } }, away],
        ['503', { status: 503, body: {} }, away],
      ] as const) {
        await refuses({ what, faults: { token: fault }, code, ...once })
      }
    },
  )
})

function flipByte(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 0x80
  return copy
}

function reencode(part: string, sub: string): string {
  const claims = JSON.parse(Buffer.from(part, 'base64url').toString()) as Claims
  return Buffer.from(JSON.stringify({ ...claims, sub })).toString('base64url')
}

/** What other libraries have taken for a shared secret. */
function publicKeyForms({ provider }: AttackFixture): [string, string | Uint8Array][] {
  const [key] = provider.keys.published
  if (!key) return []
  const jwk = key.publicJwk
  const forms: [string, string | Uint8Array][] = [
    ['the JWK', JSON.stringify(jwk)],
    ['the JWKS', JSON.stringify({ keys: [jwk] })],
    ['the modulus', jwk.n ?? ''],
    ['the bytes of the modulus', Buffer.from(jwk.n ?? '', 'base64url')],
    ['nothing', ''],
    ['the kid', key.kid],
  ]
  return forms.concat(pemForms(jwk))
}

function pemForms(jwk: JWK): [string, string | Uint8Array][] {
  const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  const types = ['spki', 'pkcs1'] as const
  return types.flatMap((type): [string, string | Uint8Array][] => {
    const pem = key.export({ type, format: 'pem' }).toString()
    return [
      [`PEM ${type}`, pem],
      [`PEM ${type} without the last newline`, pem.trimEnd()],
      [`PEM ${type} in CRLF`, pem.replaceAll('\n', '\r\n')],
      [`PEM ${type} behind a blank`, ` ${pem}`],
      [`PEM ${type} behind line breaks`, `\r\n\n${pem}`],
      [`PEM ${type} behind a byte order mark`, `\ufeff${pem}`],
      [`PEM ${type} between tabs and zeros`, `\t\0${pem}\0\t`],
      [`PEM ${type} behind other text`, `Bag Attributes\n${pem}`],
      [`DER ${type}`, key.export({ type, format: 'der' })],
    ]
  })
}
