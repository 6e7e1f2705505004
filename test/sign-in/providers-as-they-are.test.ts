import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import { decodeProtectedHeader, type JWK, jwtVerify } from 'jose'
import type { OidcOptions, SignInContext } from '../../lib/index.js'
import { createAgent } from '../support/agent.js'
import { type Fixture, type FixtureOptions, withFixture } from '../support/handler-fixture.js'
import { type Claims, extra, type Faults, replace } from '../support/hostile-provider.js'
import { secret } from '../support/secrets.js'
import { startSite } from '../support/site.js'

// A provider that bends one thing at a time, named after the provider that does it, and beside it what protects and stays strict.

type Page = Awaited<ReturnType<Fixture['agent']['visit']>>

const open = ({ agent, site }: Fixture): Promise<Page> => agent.visit(`${site.url}/claims`)

async function signsIn(fixture: Fixture): Promise<Claims> {
  const page = await open(fixture)
  assert.equal(page.status, 200, `${page.text}\n${fixture.site.log.join('\n')}`)
  return page.json()
}

async function isRefused(fixture: Fixture, code: string): Promise<string> {
  const page = await open(fixture)
  assert.equal(fixture.site.lastCode(), code, page.text)
  return String(fixture.site.errors.at(-1))
}

function works(
  name: string,
  faults: Faults,
  options: FixtureOptions = {},
  check?: (user: Claims, fixture: Fixture) => void,
) {
  test(
    name,
    withFixture(options, async fixture => {
      fixture.provider.break(faults)
      const user = await signsIn(fixture)
      assert.equal(user.sub, 'alice-0001')
      check?.(user, fixture)
    }),
  )
}

function refused(name: string, faults: Faults, code: string, options: FixtureOptions = {}) {
  test(
    name,
    withFixture(options, async fixture => {
      fixture.provider.break(faults)
      await isRefused(fixture, code)
    }),
  )
}

const add = (claims: Claims): Faults => ({
  frontIdToken: found => ({ ...found, ...claims }),
  backIdToken: found => ({ ...found, ...claims }),
})
const inResponse = (members: Claims): Faults => ({ tokenResponse: body => ({ ...body, ...members }) })

describe('Twitch: members of the token response that are not needed', () => {
  works('a list is a scope, and an empty refresh token is none', inResponse({ scope: ['openid'], refresh_token: '' }))
  refused('an empty ID Token is none', inResponse({ id_token: '' }), 'ERR_OIDC_TOKEN_RESPONSE')
  refused('an empty access token is none', inResponse({ access_token: '' }), 'ERR_OIDC_TOKEN_RESPONSE')
})

describe('a provider that writes null where it has nothing to say', () => {
  const nothing = { acr: null, sid: null, azp: null, nbf: null, auth_time: null }
  works('claims without a value are absent', add(nothing), { provider: { sid: null } })
  works('so are members of the metadata', {}, { provider: { metadata: { end_session_endpoint: null } } })
  for (const [claim, code] of [
    ['nonce', 'NONCE'],
    ['exp', 'EXPIRED'],
    ['iss', 'ISSUER'],
    ['aud', 'AUDIENCE'],
    ['sub', 'SUBJECT'],
    ['iat', 'ISSUED_AT'],
  ] as const)
    refused(`${claim} is missing then`, add({ [claim]: null }), `ERR_OIDC_ID_TOKEN_${code}`)
})

test(
  'Azure AD B2C: a code of 5,000 characters goes to the token endpoint as it is',
  withFixture({ oidc: { responseType: 'code' } }, async fixture => {
    const code = secret('code of B2C').padEnd(5000, 'x')
    fixture.provider.break({ response: replace('code', code) })
    await isRefused(fixture, 'ERR_OIDC_CODE_REJECTED')
    assert.equal(fixture.provider.requestsTo('token')[0]?.form.code, code)
  }),
)

describe('Entra ID, Okta, login.gov: an assertion with an audience and a header of their own', () => {
  const { privateKey: key, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const thumbprint = 'dGh1bWJwcmludCBvZiBhIGNlcnRpZmljYXRl'
  const clientAuthentication: OidcOptions['clientAuthentication'] = {
    method: 'private_key_jwt',
    key,
    algorithm: 'PS256',
    audience: 'token_endpoint',
    header: { typ: 'JWT', 'x5t#S256': thumbprint },
  }
  const jwk = { ...publicKey.export({ format: 'jwk' }), alg: 'PS256', use: 'sig' } as JWK
  works(
    'the token endpoint, and the thumbprint of the certificate',
    {},
    { oidc: { clientSecret: undefined, clientAuthentication }, provider: { clientJwks: [jwk] } },
    (_user, { provider }) => {
      const assertion = provider.requestsTo('token')[0]?.form.client_assertion ?? ''
      assert.deepEqual(decodeProtectedHeader(assertion), { alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint })
    },
  )
})

test(
  'Okta: a sign-out without id_token_hint is an error there; a user who is signed in brings the hint',
  withFixture({}, async fixture => {
    const { agent, provider, site } = fixture
    provider.break({
      endSession: {
        respond: (response, { query, form }) =>
          (query.id_token_hint ?? form.id_token_hint) ? response : { ...response, status: 400 },
      },
    })
    await signsIn(fixture)
    const page = await agent.click(`${site.url}/logout`)
    assert.deepEqual([page.status, page.url], [200, `${site.url}/`])
  }),
)

test(
  'Ory Hydra: a logout token has no exp, and ends the session where its iat is recent',
  withFixture({}, async fixture => {
    const { provider, site, agent } = fixture
    await signsIn(fixture)
    const post = async (claims: Claims) => {
      const body = new URLSearchParams({
        logout_token: await provider.createLogoutToken({ exp: undefined, ...claims }),
      })
      return (await fetch(`${site.url}/logout/backchannel`, { method: 'POST', body })).status
    }
    const isSignedIn = async () =>
      (await agent.fetch(`${site.url}/user`, { from: `${site.url}/` })).json<{ isAuthenticated: boolean }>()
        .isAuthenticated
    const long = Math.floor(Date.now() / 1000) - 3600
    assert.deepEqual([await post({ iat: long }), await isSignedIn()], [400, true])
    assert.deepEqual([await post({}), await isSignedIn()], [200, false])
  }),
)

for (const [name, status] of [
  ['AD FS: userinfo answers 401 to the token of another API', 401],
  ['Microsoft Graph: userinfo answers 400 to the token of another API', 400],
] as const) {
  const bent: Faults = { userinfo: { status, body: {} } }
  test(
    `${name}; the error names userInfo: false`,
    withFixture({}, async fixture => {
      fixture.provider.break(bent)
      assert.match(await isRefused(fixture, 'ERR_OIDC_USER_INFO_RESPONSE'), /set userInfo: false/)
    }),
  )
  works(`${name}; with userInfo: false the claims are those of the ID Token`, bent, { oidc: { userInfo: false } })
}

describe('Cognito: userinfo writes email_verified as text', () => {
  const text = (value: string): Faults => ({
    ...add({ email_verified: true }),
    userInfoClaims: claims => ({ ...claims, email_verified: value }),
  })
  works('"true" stays the boolean of the ID Token', text('true'), {}, user => assert.equal(user.email_verified, true))
  for (const value of ['yes', '1'])
    works(`"${value}" is no boolean`, text(value), {}, user => assert.equal(user.email_verified, value))
})

describe('Apple: a client secret that expires', () => {
  const current = secret('client secret of now that is long enough')

  test(
    'the function is asked for the secret of each request',
    withFixture({}, async fixture => {
      const secrets = ['a.secret.of-yesterday', fixture.provider.clientSecret, fixture.provider.clientSecret]
      const { provider } = fixture
      const asked: string[] = []
      const clientSecret = async () => asked[asked.push(secrets[asked.length] ?? 'none') - 1] ?? ''
      await withFixture({}, async other => {
        const { issuer, clientId } = provider
        const site = await startSite({ oidc: { issuer, clientId, clientSecret, responseType: 'code id_token token' } })
        try {
          await other.agent.visit(`${site.url}/claims`)
          assert.equal(site.lastCode(), 'ERR_OIDC_CLIENT_REJECTED')
          assert.equal((await other.agent.visit(`${site.url}/claims`)).status, 200, site.log.join('\n'))
          assert.deepEqual(asked, secrets.slice(0, asked.length))
          assert.ok(asked.length >= 2)
        } finally {
          await site.close()
        }
      })()
    }),
  )

  for (const clientAuthentication of ['client_secret_basic', 'client_secret_post', 'client_secret_jwt'] as const) {
    test(
      `by ${clientAuthentication}, at every endpoint that asks for it`,
      withFixture(
        { provider: { clientSecret: current }, oidc: { clientSecret: () => current, clientAuthentication } },
        async fixture => {
          await signsIn(fixture)
          await fixture.agent.click(`${fixture.site.url}/logout`)
          await fixture.site.oidc.close()
          const requests = [...fixture.provider.requestsTo('token'), ...fixture.provider.requestsTo('revocation')]
          assert.equal(requests.length, 2)
          for (const { headers, form } of requests) {
            const basic = Buffer.from((headers.authorization ?? '').slice('Basic '.length), 'base64').toString()
            if (clientAuthentication === 'client_secret_jwt')
              await jwtVerify(form.client_assertion ?? '', Buffer.from(current), { subject: 'client' })
            else assert.equal(form.client_secret ?? basic.split(':')[1], current)
          }
        },
      ),
    )
  }

  const wrong: Readonly<Record<string, () => unknown>> = {
    'throws an error': () => {
      throw new Error('the key is missing')
    },
    'returns nothing': () => undefined,
    'returns an empty string': () => '',
    'returns a line break': () => 'a\nb',
    'returns an object': () => ({ clientSecret: 'x' }),
  }
  for (const [what, clientSecret] of Object.entries(wrong)) {
    test(
      `a function that ${what} sends nothing to the token endpoint`,
      withFixture({ oidc: { clientSecret: clientSecret as () => string } }, async fixture => {
        assert.match(await isRefused(fixture, 'ERR_OIDC_OPTIONS'), /the function clientSecret/)
        assert.equal(fixture.provider.count('token'), 0)
      }),
    )
  }
})

describe('Apple: the name comes once, in a field beside the response', () => {
  let seen: SignInContext | undefined
  const hooks: OidcOptions['hooks'] = {
    signIn(context) {
      seen = context
      return undefined
    },
  }
  const posted = JSON.stringify({ name: { firstName: 'Zoë', lastName: 'Adams' }, email: 'mallory@example.org' })

  works(
    'the signIn hook gets it as it was posted, and the claims do not have it',
    { response: extra('user', posted) },
    { oidc: { hooks } },
    user => {
      assert.deepEqual(seen?.unverifiedParams, { user: posted })
      assert.equal(user.user, undefined)
      assert.equal(user.email, 'alice@example.com')
    },
  )
  works(
    'fields that are named like claims, or like what JavaScript knows an object by, change nothing',
    { response: fields => [...fields, ['sub', 'bob'], ['role', 'admin'], ['__proto__', 'x'], ['aud', 'y']] },
    { oidc: { hooks } },
    user => {
      assert.deepEqual(seen?.unverifiedParams, { sub: 'bob', role: 'admin', aud: 'y' })
      assert.deepEqual([user.sub, user.role], ['alice-0001', ['editor', 'admin']])
      assert.equal(seen?.idTokenClaims.sub, 'alice-0001')
    },
  )
  works(
    'what came twice, is long or has no value is left out, and so is the response itself',
    {
      response: fields => [
        ...fields,
        ['twice', '1'],
        ['twice', '2'],
        ['long', 'x'.repeat(4097)],
        ['empty', ''],
        ['a b', 'c'],
      ],
    },
    { oidc: { hooks } },
    () => assert.deepEqual(seen?.unverifiedParams, {}),
  )
})

describe('Authlete: authorization_details is a list of objects (RFC 9396)', () => {
  const details = [
    { type: 'payment_initiation', instructedAmount: { currency: 'EUR', amount: '12.50' } },
    { type: 'x' },
  ]
  const params = { authorization_details: details }
  const asked = ({ provider }: Fixture) => provider.requestsTo('authorize')[0]?.query.authorization_details ?? ''
  const sent = (_user: Claims, fixture: Fixture) => assert.deepEqual(JSON.parse(asked(fixture)), details)
  works('the hook sends it as JSON', {}, { oidc: { hooks: { authorizationParams: () => params } } }, sent)
  works('so does the option', {}, { oidc: { authorizationParams: params } }, sent)
  for (const [what, value] of Object.entries({
    'strings and objects together': ['payment', { type: 'payment' }],
    'nothing that can be sent': [null],
    'a list in a list': [['payment']],
    'a number too large for JSON': [{ amount: 10n }],
  })) {
    test(
      `a list of ${what} is refused before the browser leaves`,
      withFixture({ oidc: { hooks: { authorizationParams: () => ({ list: value as never }) } } }, async fixture => {
        assert.match(await isRefused(fixture, 'ERR_OIDC_OPTIONS'), /the parameter "list"/)
        assert.equal(fixture.provider.count('authorize'), 0)
      }),
    )
  }
})

test(
  'Keycloak in a cluster: a fetch of the site reaches it under an internal name, and the browser under the public one',
  withFixture({}, async fixture => {
    const { issuer, clientId, clientSecret, port } = fixture.provider
    const inside = `http://localhost:${port}`
    const site = await startSite({
      oidc: {
        issuer,
        clientId,
        clientSecret,
        fetch: (input, init) => fetch(String(input).replace(issuer, inside), init),
      },
    })
    try {
      assert.equal((await fixture.agent.visit(`${site.url}/claims`)).status, 200, site.log.join('\n'))
      for (const endpoint of ['discovery', 'jwks', 'token', 'userinfo'] as const)
        assert.equal(fixture.provider.requestsTo(endpoint).at(-1)?.headers.host, `localhost:${port}`, endpoint)
      assert.equal(fixture.provider.requestsTo('authorize')[0]?.headers.host, `127.0.0.1:${port}`)
    } finally {
      await site.close()
    }
  }),
)

describe('a file server in front of the keys and the metadata: JSON that is called something else', () => {
  const bent = (contentType: string): FixtureOptions => ({
    oidc: {
      async fetch(input, init) {
        const response = await fetch(input, init)
        if (!/jwks|openid-configuration/.test(String(input))) return response
        return new Response(await response.text(), {
          status: response.status,
          headers: { 'content-type': 'application/json' },
        })
      },
    },
    provider: { alg: contentType === '' ? 'ES256' : 'RS256' },
  })
  for (const [endpoint, contentType] of [
    ['discovery', 'text/plain'],
    ['jwks', 'text/html'],
  ] as const) {
    test(
      `${endpoint} as ${contentType}: the error names the type and the page that helps`,
      withFixture({}, async fixture => {
        fixture.provider.break({ [endpoint]: { contentType } })
        const said = await isRefused(fixture, 'ERR_OIDC_PROVIDER_RESPONSE')
        assert.match(said, new RegExp(`its Content-Type is "${contentType}".*docs/providers.md`))
      }),
    )
    works(
      `${endpoint} as ${contentType}: a fetch of the site names the right one`,
      { [endpoint]: { contentType } },
      bent(contentType),
    )
  }
})

test(
  'Auth0, when the operator rotates keys repeatedly: each new key is found, in a process that runs on',
  withFixture({ provider: { alg: 'ES256' } }, async fixture => {
    await signsIn(fixture)
    const before = fixture.provider.count('jwks')
    fixture.provider.break({ rotateBefore: 'both' })
    const rounds = 8
    for (let round = 0; round < rounds; round += 1) {
      const page = await createAgent().visit(`${fixture.site.url}/claims`)
      assert.equal(page.status, 200, `round ${round}: ${page.text}`)
    }
    assert.equal(fixture.provider.count('jwks') - before, 2 * rounds, 'one request for each key')
  }),
)

describe('OneLogin, years ago: the response is in the fragment, whatever was requested', () => {
  test(
    'the error of the callback names the two options',
    withFixture({}, async fixture => {
      fixture.provider.break({ responseMode: 'fragment' })
      assert.match(
        await isRefused(fixture, 'ERR_OIDC_REQUEST_METHOD'),
        /responseType: 'code' and responseMode: 'query'/,
      )
    }),
  )
  works(
    'a code is in the query by default, so that a provider which knows no response mode at all signs users in',
    {},
    { oidc: { responseType: 'code', responseMode: 'query' } },
    (_user, { provider }) => assert.equal(provider.requestsTo('authorize')[0]?.query.response_mode, undefined),
  )
})

describe('Facebook and others with numbers: integers beyond 2^53', () => {
  const big = '"id":9007199254740993,"list":[12345678901234567890]'
  const asText = { id: '9007199254740993', list: ['12345678901234567890'] }
  test(
    'in userinfo they are text with every digit',
    withFixture({ oidc: { responseType: 'code' } }, async fixture => {
      fixture.provider.break({ userinfo: { body: `{"sub":"alice-0001",${big}}`, contentType: 'application/json' } })
      const { id, list } = await signsIn(fixture)
      assert.deepEqual({ id, list }, asText)
    }),
  )
  test(
    'a numeric sub is refused, however many digits it has',
    withFixture({ oidc: { responseType: 'code' } }, async fixture => {
      fixture.provider.break({ userinfo: { body: '{"sub":9007199254740993}', contentType: 'application/json' } })
      await isRefused(fixture, 'ERR_OIDC_USER_INFO_RESPONSE')
    }),
  )
})
