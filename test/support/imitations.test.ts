import assert from 'node:assert/strict'
import { createHash, randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { type Agent, createAgent } from './agent.js'
import { send } from './http-client.js'
import {
  duende,
  type Imitation,
  type ImitationOptions,
  identityServer3,
  identityServer4,
  leaveProvider,
  openIddict,
  openIdentityServer,
  startImitation,
  type Traits,
  visitSigningIn,
} from './imitations/index.js'
import { createSigningKey, type SigningKey, signJwt } from './signing-keys.js'

const SITE = 'http://localhost:9'
const VERIFIER = 'v'.repeat(43)
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url')
const SPECIFIED = 'openid email profile read write offline_access'

const all = [
  identityServer3(),
  identityServer3({ flow: 'HybridWithProofKey' }),
  identityServer4(),
  openIdentityServer(),
  duende(),
  openIddict(),
]

async function withImitation(
  traits: Traits,
  options: ImitationOptions,
  run: (imitation: Imitation, agent: Agent) => Promise<void>,
): Promise<void> {
  const imitation = await startImitation(traits, options)
  imitation.register({ redirectUris: [`${SITE}/callback`], postLogoutRedirectUris: [`${SITE}/logout/callback`] })
  try {
    await run(imitation, createAgent())
  } finally {
    await imitation.close()
  }
}

function addressOf(imitation: Imitation, more: Readonly<Record<string, string | undefined>> = {}): string {
  const params = {
    client_id: imitation.clientId,
    redirect_uri: `${SITE}/callback`,
    response_type: 'code id_token token',
    response_mode: 'form_post',
    scope: SPECIFIED,
    state: 'a state',
    nonce: 'a nonce',
    ...(imitation.traits.pkce !== 'ignored' && { code_challenge: CHALLENGE, code_challenge_method: 'S256' }),
    ...more,
  }
  const given = Object.entries(params).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return `${imitation.issuer}/connect/authorize?${new URLSearchParams(given)}`
}

/** The fields that a user's browser would post to the site. */
async function signIn(imitation: Imitation, agent: Agent, more: Readonly<Record<string, string | undefined>> = {}) {
  // Nothing listens at the site, so the form that posts itself there is where the walk ends.
  const page = await visitSigningIn(agent, addressOf(imitation, more)).catch(() => agent.page)
  const fields: Readonly<Record<string, string>> = Object.fromEntries(page?.forms[0]?.fields ?? [])
  return { fields }
}

async function token(imitation: Imitation, form: Readonly<Record<string, string>>, headers = {}) {
  const { clientId: client_id, clientSecret: client_secret } = imitation
  const isProven = 'authorization' in headers || 'client_assertion' in form
  const response = await send({
    url: imitation.tokenEndpoint,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams({ ...(!isProven && { client_id, client_secret }), ...form }).toString(),
  })
  return { status: response.status, body: JSON.parse(response.text) as Readonly<Record<string, string>> }
}

const redeem = (imitation: Imitation, code = '', more: Readonly<Record<string, string>> = {}) =>
  token(imitation, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: `${SITE}/callback`,
    ...(imitation.traits.pkce !== 'ignored' && { code_verifier: VERIFIER }),
    ...more,
  })

const refresh = (imitation: Imitation, refresh_token = '', more = {}) =>
  token(imitation, { grant_type: 'refresh_token', refresh_token, ...more })

function claimsOf(jwt = ''): Readonly<Record<string, unknown>> {
  return JSON.parse(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString() || '{}')
}

describe('an imitation of a provider', () => {
  for (const traits of all) {
    test(`${traits.name}: signs in, redeems the code, says who it is, refreshes and signs out`, () =>
      withImitation(traits, {}, async (imitation, agent) => {
        const { fields } = await signIn(imitation, agent)
        assert.equal(fields.state, 'a state', imitation.log.join('\n'))
        assert.equal(claimsOf(fields.id_token).nonce, 'a nonce')
        assert.equal(fields.scope, SPECIFIED)
        const redeemed = await redeem(imitation, fields.code)
        assert.equal(redeemed.status, 200, imitation.log.join('\n'))
        assert.equal(redeemed.body.scope, traits.tokens.saysScope ? SPECIFIED : undefined)
        assert.equal(claimsOf(redeemed.body.id_token).email, undefined, 'the ID Token is slim')
        const userinfo = await send({
          url: `${imitation.issuer}/connect/userinfo`,
          headers: { authorization: `Bearer ${redeemed.body.access_token}` },
        })
        const { sub, email } = JSON.parse(userinfo.text) as Record<string, string>
        assert.deepEqual([sub, email], ['818727-alice', 'alice@idsrv.example'])
        const refreshed = await refresh(imitation, redeemed.body.refresh_token)
        assert.equal(refreshed.status, 200, imitation.log.join('\n'))
        assert.notEqual(refreshed.body.refresh_token, redeemed.body.refresh_token)
        const out = await agent.open(
          `${imitation.issuer}/connect/endsession?${new URLSearchParams({
            id_token_hint: refreshed.body.id_token ?? '',
            post_logout_redirect_uri: `${SITE}/logout/callback`,
            state: 'back',
          })}`,
        )
        assert.match(out.text, /You are signed out.*logout.callback\?state.*back/)
        assert.equal(imitation.isSignedIn('alice'), false)
      }))
  }

  test('IdentityServer3, flow Hybrid: refuses every code_verifier, although its metadata list S256 and it took a challenge', () =>
    withImitation(identityServer3(), {}, async (imitation, agent) => {
      const metadata = JSON.parse((await send({ url: `${imitation.issuer}/.well-known/openid-configuration` })).text)
      assert.deepEqual(metadata.code_challenge_methods_supported, ['plain', 'S256'])
      const { fields } = await signIn(imitation, agent, { code_challenge: CHALLENGE, code_challenge_method: 'S256' })
      const refused = await redeem(imitation, fields.code, { code_verifier: VERIFIER })
      assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant'])
      assert.match(imitation.log.at(-1) ?? '', /Unexpected code_verifier/)
      const again = await signIn(imitation, agent)
      assert.equal((await redeem(imitation, again.fields.code)).status, 200)
    }))

  test('IdentityServer3, flow HybridWithProofKey: refuses a request without a challenge, and a code without its verifier', () =>
    withImitation(identityServer3({ flow: 'HybridWithProofKey' }), {}, async (imitation, agent) => {
      const without = await agent.open(addressOf(imitation, { code_challenge: undefined }))
      assert.equal(without.status, 400)
      assert.equal(imitation.log.at(-1), 'code challenge required')
      const { fields } = await signIn(imitation, agent)
      const { code = '' } = fields
      const refused = await token(imitation, {
        grant_type: 'authorization_code',
        code,
        redirect_uri: `${SITE}/callback`,
      })
      assert.equal(refused.body.error, 'invalid_grant')
    }))

  test('IdentityServer3: each flow takes its own response types and no other', () =>
    withImitation(identityServer3({ flow: 'AuthorizationCode' }), {}, async (imitation, agent) => {
      assert.equal((await agent.open(addressOf(imitation))).status, 400)
      assert.match(imitation.log.at(-1) ?? '', /Invalid flow for client/)
      const { fields } = await signIn(imitation, agent, { response_type: 'code' })
      assert.ok(fields.code)
    }))

  test('IdentityServer3: takes a redirect URI in another case, sends scope by the front channel alone, and never iss', () =>
    withImitation(identityServer3(), {}, async (imitation, agent) => {
      const redirect_uri = `${SITE}/CallBack`
      const { fields } = await signIn(imitation, agent, { redirect_uri })
      assert.deepEqual([fields.scope, fields.iss], [SPECIFIED, undefined])
      const response = await redeem(imitation, fields.code)
      assert.deepEqual(response.body.error, 'unauthorized_client', 'the token endpoint compares exactly')
    }))

  for (const [traits, name, refusedWith] of [
    [identityServer3(), 'takes the secret of an Authorization header as it stands', 400],
    [openIdentityServer(), 'takes the secret of an Authorization header form-decoded', 400],
    [openIddict(), 'takes the secret of an Authorization header form-decoded', 401],
  ] as const) {
    test(`${traits.name}: ${name}`, () =>
      withImitation(traits, { clientSecret: 'a+secret/with=signs%' }, async (imitation, agent) => {
        const encode = (text: string) => new URLSearchParams([['', text]]).toString().slice(1)
        const basic = (text: string) => `Basic ${Buffer.from(`katanaclient:${text}`).toString('base64')}`
        const forms = [imitation.clientSecret, encode(imitation.clientSecret)]
        const statuses: number[] = []
        for (const form of forms) {
          const { fields } = await signIn(imitation, agent)
          const challenge = imitation.traits.pkce === 'ignored' ? {} : { code_verifier: VERIFIER }
          const response = await token(
            imitation,
            {
              grant_type: 'authorization_code',
              code: fields.code ?? '',
              redirect_uri: `${SITE}/callback`,
              ...challenge,
            },
            { authorization: basic(form) },
          )
          statuses.push(response.status)
        }
        assert.deepEqual(statuses, traits.clients.decodesBasic ? [refusedWith, 200] : [200, refusedWith])
      }))
  }

  test('each server takes the client assertions it takes: by audience, by typ, and once', async () => {
    const key = await createSigningKey('ES256')
    const accepted: Record<string, string[]> = {}
    for (const traits of [...all, duende({ strictAudience: true })]) {
      await withImitation(traits, { clientJwks: [key.publicJwk] }, async imitation => {
        const { issuer, tokenEndpoint } = imitation
        const tried: Record<string, string> = {
          'token endpoint': assertionOf(key, tokenEndpoint),
          issuer: assertionOf(key, issuer),
          list: assertionOf(key, [issuer, tokenEndpoint]),
          'issuer, typed': assertionOf(key, issuer, 'client-authentication+jwt'),
          'token endpoint, typed': assertionOf(key, tokenEndpoint, 'client-authentication+jwt'),
        }
        const name = traits.clients.assertion.typ === 'required' && /Duende/.test(traits.name) ? 'strict' : traits.name
        accepted[name] = []
        for (const [what, assertion] of Object.entries(tried)) {
          if (await isTaken(imitation, assertion)) accepted[name]?.push(what)
        }
        const twice = assertionOf(key, tokenEndpoint)
        await isTaken(imitation, twice)
        if (traits.name === 'IdentityServer4') assert.equal(await isTaken(imitation, twice), false, 'a jti works once')
      })
    }
    const tokenEndpointAlone = ['token endpoint', 'token endpoint, typed']
    assert.deepEqual(accepted, {
      'IdentityServer3, flow Hybrid': tokenEndpointAlone,
      'IdentityServer3, flow HybridWithProofKey': tokenEndpointAlone,
      IdentityServer4: tokenEndpointAlone,
      'Open.IdentityServer': tokenEndpointAlone,
      'Duende IdentityServer': ['token endpoint', 'issuer', 'issuer, typed'],
      strict: ['issuer, typed'],
      OpenIddict: ['issuer, typed'],
    })
  })

  test('max_age=0 shows the login page again and again at IdentityServer3, and once at Duende and OpenIddict', async () => {
    for (const traits of all) {
      let milliseconds = Date.now()
      await withImitation(traits, { now: () => milliseconds }, async (imitation, agent) => {
        await signIn(imitation, agent)
        milliseconds += 2500
        const first = await agent.open(addressOf(imitation, { max_age: '0' }))
        assert.match(first.url, /account\/login/, traits.name)
        milliseconds += 1500
        const second = await agent.submitForm({ username: 'alice' }, { redirect: 'manual' })
        milliseconds += 1500
        const third = await agent.open(second.hops.at(-1)?.location ?? '')
        const isAsked = /account\/login/.test(third.url)
        assert.equal(isAsked, traits.maxAge !== 'once', traits.name)
      })
    }
  })

  test('a refused refresh has the error of each server: a disabled user, a scope that was taken, a token that was used', async () => {
    const errors: Record<string, (string | undefined)[]> = {}
    for (const traits of all) {
      let milliseconds = Date.now()
      await withImitation(traits, { now: () => milliseconds }, async (imitation, agent) => {
        const { fields } = await signIn(imitation, agent)
        const { body } = await redeem(imitation, fields.code)
        const { body: second } = await refresh(imitation, body.refresh_token)
        milliseconds += 60_000
        const used = await refresh(imitation, body.refresh_token)
        const wider = await refresh(imitation, second.refresh_token, { scope: 'openid other' })
        imitation.takeScope('write')
        const taken = await refresh(imitation, wider.body.refresh_token ?? second.refresh_token)
        imitation.disable('alice')
        const latest = taken.body.refresh_token ?? wider.body.refresh_token ?? second.refresh_token
        const disabled = await refresh(imitation, latest)
        errors[traits.name] = [used, wider, taken, disabled].map(({ body: { error } }) => error)
      })
    }
    const invalid = 'invalid_grant'
    assert.deepEqual(errors, {
      'IdentityServer3, flow Hybrid': [invalid, undefined, invalid, invalid],
      'IdentityServer3, flow HybridWithProofKey': [invalid, undefined, invalid, invalid],
      IdentityServer4: [invalid, undefined, undefined, 'invalid_request'],
      'Open.IdentityServer': [invalid, undefined, undefined, 'invalid_request'],
      'Duende IdentityServer': [invalid, undefined, 'invalid_scope', 'invalid_scope'],
      OpenIddict: [invalid, invalid, undefined, invalid],
    })
  })

  test('IdentityServer3 responds to the refresh of a disabled user with invalid_request', () =>
    withImitation(identityServer3(), {}, async (imitation, agent) => {
      const { fields } = await signIn(imitation, agent)
      const { body } = await redeem(imitation, fields.code)
      imitation.disable('alice')
      assert.equal((await refresh(imitation, body.refresh_token)).body.error, 'invalid_request')
    }))

  test('a sign-out without a hint, or with that of another user, asks and ends there', () =>
    withImitation(identityServer3(), {}, async (imitation, agent) => {
      const { fields } = await signIn(imitation, agent)
      const other = createAgent()
      await visitSigningIn(other, addressOf(imitation), { user: 'bob' }).catch(() => undefined)
      const back = { post_logout_redirect_uri: `${SITE}/logout/callback` }
      for (const query of [back, { ...back, id_token_hint: fields.id_token ?? '' }]) {
        const page = await other.open(`${imitation.issuer}/connect/endsession?${new URLSearchParams(query)}`)
        assert.match(page.text, /Sign out\?/)
        assert.equal(imitation.isSignedIn('bob'), true)
      }
      const confirmed = await other.submitForm()
      assert.equal((await leaveProvider(other, confirmed)).back, undefined, 'there is no way back')
      assert.equal(imitation.isSignedIn('bob'), false)
    }))

  test('a target longer than 8 KiB is 414, and the same hint by POST is taken', () =>
    withImitation(identityServer4(), {}, async (imitation, agent) => {
      const hint = 'h'.repeat(8200)
      const endpoint = `${imitation.issuer}/connect/endsession`
      assert.equal((await agent.open(`${endpoint}?id_token_hint=${hint}`)).status, 414)
      assert.equal((await agent.post(endpoint, { id_token_hint: hint })).status, 200)
    }))

  test('the parameter iss comes with a pure code alone at Duende, although its metadata promise it', () =>
    withImitation(duende(), {}, async (imitation, agent) => {
      const { fields } = await signIn(imitation, agent, { response_type: 'code' })
      assert.equal(fields.iss, imitation.issuer)
      const hybrid = await signIn(imitation, agent, { response_type: 'code token' })
      assert.deepEqual([hybrid.fields.code === undefined, hybrid.fields.iss], [false, undefined])
    }))

  test('Duende, where pushed requests are required: every other authorization request is refused', () =>
    withImitation(duende({ requiresPushedRequests: true }), {}, async (imitation, agent) => {
      const page = await agent.open(addressOf(imitation))
      assert.equal(page.status, 400)
      assert.equal(imitation.log.at(-1), 'Pushed authorization is required.')
    }))
})

function assertionOf(key: SigningKey, aud: unknown, typ?: string): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'katanaclient', sub: 'katanaclient', aud, jti: randomUUID(), iat: now, exp: now + 60 }
  return signJwt({ alg: key.alg, kid: key.kid, ...(typ && { typ }) }, claims, key.alg, key.privateKey)
}

/** Past the check of the client, an unknown refresh token is `invalid_grant`. */
async function isTaken(imitation: Imitation, assertion: string): Promise<boolean> {
  const { body } = await token(imitation, {
    grant_type: 'refresh_token',
    refresh_token: 'unknown',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  })
  return body.error === 'invalid_grant'
}
