import assert from 'node:assert/strict'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { describe, test } from 'node:test'
import { inspect } from 'node:util'
import type { OidcError, OidcOptions } from '../../lib/index.js'
import { deleteClient, readClient, registerClient, updateClient } from '../../lib/registration/index.js'
import { readBody, startLoopbackServer } from '../support/loopback-server.js'
import { secret } from '../support/secrets.js'

interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown>
}

type Respond = (response: ServerResponse, request: Received) => void

interface Setting {
  readonly issuer: string
  readonly options: OidcOptions
  readonly log: readonly string[]
  /** Requests other than that for the metadata. */
  readonly received: readonly Received[]
  respond: Respond
  metadata: Record<string, unknown>
  stop(): Promise<void>
}

const initialAccessToken = secret('initial access token')
const token = secret('registration access token')
const clientSecret = secret('client secret')

const json =
  (body: unknown, status = 201): Respond =>
  response => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

/** What an honest provider says: what it was sent, and the credentials. */
const honest =
  (change: (body: Record<string, unknown>) => unknown = body => body): Respond =>
  (response, request) => {
    const { issuer } = { issuer: `http://${request.headers.host}` }
    const body = { client_id: 'shop', client_secret: clientSecret, client_secret_expires_at: 0, ...request.body }
    const management = { registration_access_token: token, registration_client_uri: `${issuer}/clients/shop` }
    json(change({ ...body, ...management }), request.method === 'POST' ? 201 : 200)(response, request)
  }

async function withProvider(run: (setting: Setting) => Promise<void>): Promise<void> {
  const received: Received[] = []
  const log: string[] = []
  const server = await startLoopbackServer(async (request, response) => {
    const { method = '', url = '', headers } = request
    const text = await readBody(request)
    if (url === '/.well-known/openid-configuration') return json(setting.metadata, 200)(response, {} as Received)
    const all = { method, url, headers, body: text === '' ? {} : JSON.parse(text) }
    received.push(all)
    setting.respond(response, all)
  })
  const issuer = `http://127.0.0.1:${server.port}`
  const setting: Setting = {
    issuer,
    received,
    log,
    options: {
      issuer,
      baseUrl: 'http://localhost:9',
      timeouts: { provider: 400 },
      log: line => void log.push(line),
    } as OidcOptions,
    respond: honest(),
    metadata: {
      issuer,
      authorization_endpoint: `${issuer}/authorize`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      registration_endpoint: `${issuer}/register`,
    },
    stop: server.stop,
  }
  try {
    await run(setting)
  } finally {
    await server.stop()
    assert.deepEqual(log, [])
  }
}

/** The error, in which nothing secret stands. */
async function failure(call: Promise<unknown>): Promise<OidcError> {
  const error = await call.then(
    () => assert.fail('it did not fail'),
    (reason: OidcError) => reason,
  )
  const shown = inspect(error, { depth: 10, showHidden: true })
  for (const value of [initialAccessToken, token, clientSecret]) assert.ok(!shown.includes(value), shown)
  return error
}

const register = ({ options }: Setting, given = {}) => registerClient(options, { initialAccessToken, ...given })

/** As a site has kept it. */
const kept = ({ issuer }: Setting, changes: object = {}) => ({
  issuer,
  credentials: { clientId: 'shop', clientSecret },
  registrationAccessToken: token,
  registrationClientUri: `${issuer}/clients/shop`,
  ...changes,
})

describe('the requests', () => {
  test('are the ones of RFC 7591 and RFC 7592, with the token for each', () =>
    withProvider(async setting => {
      const { options, received } = setting
      const client = await register(setting, { metadata: { client_name: 'Shop', contacts: ['a@example.com'] } })
      assert.deepEqual(client.changes, [])
      await readClient(options, client)
      await updateClient(options, client, { metadata: { backchannel_logout_uri: null } })
      setting.respond = response => void response.writeHead(204).end()
      await deleteClient(options, client)
      assert.deepEqual(
        received.map(({ method, url, headers }) => [method, url, headers.authorization, headers['content-type']]),
        [
          ['POST', '/register', `Bearer ${initialAccessToken}`, 'application/json'],
          ['GET', '/clients/shop', `Bearer ${token}`, undefined],
          ['PUT', '/clients/shop', `Bearer ${token}`, 'application/json'],
          ['DELETE', '/clients/shop', `Bearer ${token}`, undefined],
        ],
      )
      const [create, , update] = received
      assert.deepEqual(create?.body, {
        token_endpoint_auth_method: 'client_secret_basic',
        redirect_uris: ['http://localhost:9/callback'],
        post_logout_redirect_uris: ['http://localhost:9/logout/callback'],
        backchannel_logout_uri: 'http://localhost:9/logout/backchannel',
        frontchannel_logout_uri: 'http://localhost:9/logout/frontchannel',
        response_types: ['code id_token'],
        grant_types: ['authorization_code', 'implicit'],
        scope: 'openid profile email',
        client_name: 'Shop',
        contacts: ['a@example.com'],
      })
      // RFC 7592 section 2.2: id and secret as they are, and no member that belongs to the provider.
      const { client_name: _n, contacts: _c, backchannel_logout_uri: _b, ...others } = create?.body ?? {}
      assert.deepEqual(update?.body, { ...others, client_id: 'shop', client_secret: clientSecret })
    }))

  test('have the method that the provider lists first, and what an option says comes before a list', () =>
    withProvider(async setting => {
      const methodWith = async (listed: unknown, changes: OidcOptions = {}) => {
        setting.metadata = { ...setting.metadata, token_endpoint_auth_methods_supported: listed }
        const client = await registerClient({ ...setting.options, ...changes })
        return [setting.received.at(-1)?.body.token_endpoint_auth_method, client.credentials.clientAuthentication]
      }
      assert.deepEqual(await methodWith(undefined), ['client_secret_basic', 'client_secret_basic'])
      assert.deepEqual(await methodWith(['none', 'client_secret_post']), ['client_secret_post', 'client_secret_post'])
      const named = { clientAuthentication: 'client_secret_jwt' } as const
      assert.deepEqual(await methodWith(['client_secret_post'], named), ['client_secret_jwt', undefined])
      assert.deepEqual(await methodWith([], { clientAuthentication: 'none' }), ['none', undefined])
    }))

  test('carry a software statement, and no initial access token where there is none', () =>
    withProvider(async setting => {
      const client = await registerClient(setting.options, { softwareStatement: 'e30.e30.c2ln' })
      const [request] = setting.received
      assert.deepEqual([request?.body.software_statement, request?.headers.authorization], ['e30.e30.c2ln', undefined])
      assert.deepEqual(client.changes, [])
    }))

  test('go out in production without Redis and without a session secret, whatever client the environment names', () =>
    withProvider(async setting => {
      const before = { ...process.env }
      Object.assign(process.env, { NODE_ENV: 'production', OIDC_CLIENT_ID: 'old', OIDC_CLIENT_SECRET: 'old-secret' })
      try {
        const { baseUrl: _, ...options } = setting.options
        process.env.OIDC_BASE_URL = 'http://localhost:7'
        await registerClient({ ...options, clientAuthentication: 'none' })
        const [request] = setting.received
        assert.deepEqual(request?.body.redirect_uris, ['http://localhost:7/callback'])
        assert.ok(!JSON.stringify(request?.body).includes('old'))
      } finally {
        for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
        Object.assign(process.env, before)
      }
    }))
})

describe('what the provider has changed', () => {
  const changesOf = async (setting: Setting, members: Record<string, unknown>, changes: OidcOptions = {}) => {
    setting.respond = honest(body => ({ ...body, ...members }))
    const client = await registerClient({ ...setting.options, ...changes })
    return client.changes.map(({ name, registered, breaksSignIn }) => [name, registered, breaksSignIn])
  }

  test('is reported, and whether sign-ins fail by it', () =>
    withProvider(async setting => {
      const foreign = ['https://evil.example/callback']
      assert.deepEqual(await changesOf(setting, { redirect_uris: foreign }), [['redirect_uris', foreign, true]])
      const more = ['http://localhost:9/callback', 'https://evil.example/callback']
      assert.deepEqual(await changesOf(setting, { redirect_uris: more }), [['redirect_uris', more, false]])
      assert.deepEqual(await changesOf(setting, { response_types: ['id_token code'] }), [])
      assert.deepEqual(await changesOf(setting, { response_types: ['code'] }), [['response_types', ['code'], true]])
      assert.deepEqual(await changesOf(setting, { grant_types: ['implicit'] }), [['grant_types', ['implicit'], true]])
      assert.deepEqual(await changesOf(setting, { grant_types: ['implicit', 'authorization_code'] }), [])
      assert.deepEqual(await changesOf(setting, { scope: 'email openid profile' }), [])
      assert.deepEqual(await changesOf(setting, { scope: 'openid' }), [['scope', 'openid', false]])
      assert.deepEqual(await changesOf(setting, { backchannel_logout_uri: undefined }), [
        ['backchannel_logout_uri', undefined, false],
      ])
      assert.deepEqual(await changesOf(setting, { redirect_uris: null, scope: null, response_types: 1 }), [
        ['redirect_uris', undefined, false],
        ['response_types', 1, true],
        ['scope', undefined, false],
      ])
    }))

  test('another way to send the secret is used; a way for which this site has nothing breaks sign-ins', () =>
    withProvider(async setting => {
      const authentication = async (method: unknown, changes: OidcOptions = {}) => {
        setting.respond = honest(body => ({ ...body, token_endpoint_auth_method: method }))
        const { changes: found, credentials } = await registerClient({ ...setting.options, ...changes })
        return [credentials.clientAuthentication, credentials.clientSecret === undefined, found[0]?.breaksSignIn]
      }
      assert.deepEqual(await authentication('client_secret_post'), ['client_secret_post', false, false])
      assert.deepEqual(await authentication(undefined), ['client_secret_basic', false, false])
      assert.deepEqual(await authentication('none'), ['none', true, true])
      assert.deepEqual(await authentication('private_key_jwt'), [undefined, false, true])
      assert.deepEqual(await authentication(['client_secret_basic']), [undefined, false, true])
      const explicit = { clientAuthentication: 'client_secret_post' } as const
      assert.deepEqual(await authentication('client_secret_basic', explicit), ['client_secret_basic', false, false])
      const open = { clientAuthentication: 'none' } as const
      assert.deepEqual(await authentication('client_secret_basic', open), ['client_secret_basic', false, true])
    }))

  test('a demand that the provider drops, or an algorithm that it replaces, breaks sign-ins', () =>
    withProvider(async setting => {
      const strict = { responseType: 'code', dpop: true, pushedAuthorization: true, idTokenAlgorithm: 'ES256' } as const
      const none = { dpop_bound_access_tokens: undefined, require_pushed_authorization_requests: false }
      assert.deepEqual(await changesOf(setting, { ...none, id_token_signed_response_alg: 'none' }, strict), [
        ['id_token_signed_response_alg', 'none', true],
        ['require_pushed_authorization_requests', false, true],
        ['dpop_bound_access_tokens', undefined, true],
      ])
      assert.deepEqual(await changesOf(setting, { id_token_signed_response_alg: undefined }, strict), [
        ['id_token_signed_response_alg', undefined, false],
      ])
    }))
})

describe('a response that is not one', () => {
  const odd: Readonly<Record<string, readonly [Respond, code: string]>> = {
    'no client_id': [honest(({ client_id: _, ...body }) => body), 'ERR_OIDC_REGISTRATION_RESPONSE'],
    'a client_id of null': [honest(body => ({ ...body, client_id: null })), 'ERR_OIDC_REGISTRATION_RESPONSE'],
    'a client_id that is a number': [honest(body => ({ ...body, client_id: 7 })), 'ERR_OIDC_REGISTRATION_RESPONSE'],
    'a client_id with a line break': [
      honest(body => ({ ...body, client_id: 'a\nb' })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'a client_id of 5,000 characters': [
      honest(body => ({ ...body, client_id: 'x'.repeat(5000) })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'a secret that is an object': [
      honest(body => ({ ...body, client_secret: { value: clientSecret } })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'a secret with a space at its end': [
      honest(body => ({ ...body, client_secret: `${clientSecret} ` })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'an expiry that is text': [
      honest(body => ({ ...body, client_secret_expires_at: 'never' })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'an expiry before all time': [
      honest(body => ({ ...body, client_secret_expires_at: -1 })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'a token with a line break': [
      honest(body => ({ ...body, registration_access_token: `${token}\r\nx: y` })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'an address on plain http elsewhere': [
      honest(body => ({ ...body, registration_client_uri: 'http://169.254.169.254/latest' })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'an address with credentials': [
      honest(body => ({ ...body, registration_client_uri: 'https://a:b@op.example/c' })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'an address with a fragment': [
      honest(body => ({ ...body, registration_client_uri: 'https://op.example/c#d' })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'an address that is a file': [
      honest(body => ({ ...body, registration_client_uri: 'file:///etc/passwd' })),
      'ERR_OIDC_REGISTRATION_RESPONSE',
    ],
    'a list': [json([{ client_id: 'shop' }]), 'ERR_OIDC_REGISTRATION_RESPONSE'],
    null: [json(null), 'ERR_OIDC_REGISTRATION_RESPONSE'],
    'deep nesting': [json(JSON.parse(`${'['.repeat(100)}${']'.repeat(100)}`)), 'ERR_OIDC_REGISTRATION_RESPONSE'],
    'HTML with 201': [
      response => void response.writeHead(201, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>'),
      'ERR_OIDC_PROVIDER_RESPONSE',
    ],
    'no body with 204': [response => void response.writeHead(204).end(), 'ERR_OIDC_PROVIDER_RESPONSE'],
    'JSON that is cut off': [
      response => void response.writeHead(201, { 'content-type': 'application/json' }).end('{"client_id":'),
      'ERR_OIDC_PROVIDER_RESPONSE',
    ],
    'a redirect': [
      response => void response.writeHead(307, { location: 'http://127.0.0.1:1/elsewhere' }).end(),
      'ERR_OIDC_PROVIDER_RESPONSE',
    ],
    'a body of 2 MB': [honest(body => ({ ...body, more: 'x'.repeat(2_000_000) })), 'ERR_OIDC_PROVIDER_RESPONSE'],
    'a body without end': [
      response => {
        response.writeHead(201, { 'content-type': 'application/json' })
        response.write('{"client_id":"')
        const timer = setInterval(() => response.write('x'), 20)
        response.on('close', () => clearInterval(timer))
      },
      'ERR_OIDC_PROVIDER_UNAVAILABLE',
    ],
    'no response at all': [() => {}, 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
    'a connection that ends': [response => void response.destroy(), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
    'trouble of its own': [json({ error: 'server_error' }, 503), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
    'too many requests': [json({}, 429), 'ERR_OIDC_PROVIDER_UNAVAILABLE'],
    'a refusal that repeats the token': [
      json({ error: 'invalid_token', error_description: `not ${initialAccessToken} nor ${clientSecret}` }, 401),
      'ERR_OIDC_REGISTRATION_REJECTED',
    ],
    'a refusal without words': [json({}, 400), 'ERR_OIDC_REGISTRATION_REJECTED'],
    'a method that is not allowed': [json({}, 405), 'ERR_OIDC_UNSUPPORTED'],
  }
  for (const [what, [respond, code]] of Object.entries(odd))
    test(`${what}: ${code}; nothing is kept`, () =>
      withProvider(async setting => {
        setting.respond = respond
        let isSaved = false
        const save = () => {
          isSaved = true
        }
        const error = await failure(register(setting, { save }))
        assert.equal(error.code, code, String(error))
        assert.equal(isSaved, false)
        assert.equal(setting.received.filter(({ method }) => method === 'POST').length, 1, 'it was sent once')
      }))

  test('a provider that is away is unavailable', () =>
    withProvider(async setting => {
      await setting.stop()
      assert.equal((await failure(register(setting))).code, 'ERR_OIDC_PROVIDER_UNAVAILABLE')
    }))

  test('the token of one client does not change another: a response about another client is refused', () =>
    withProvider(async setting => {
      setting.respond = honest(body => ({ ...body, client_id: 'other' }))
      for (const call of [readClient, updateClient]) {
        const error = await failure(call(setting.options, kept(setting)))
        assert.equal(error.code, 'ERR_OIDC_REGISTRATION_RESPONSE')
        assert.match(error.message, /another client/)
      }
    }))

  test('what a response does not repeat stays as it was: secret, token and address', () =>
    withProvider(async setting => {
      setting.respond = json({ client_id: 'shop' }, 200)
      const client = await readClient(setting.options, kept(setting))
      assert.equal(client.credentials.clientSecret, clientSecret)
      assert.equal(client.registrationAccessToken, token)
      assert.equal(client.registrationClientUri, `${setting.issuer}/clients/shop`)
      setting.respond = honest(body => ({
        ...body,
        client_secret: 'another secret',
        client_secret_expires_at: 2_000_000_000,
      }))
      const next = await readClient(setting.options, kept(setting))
      assert.deepEqual([next.credentials.clientSecret, next.clientSecretExpiresAt], ['another secret', 2_000_000_000])
    }))

  test('token and address come together, or count for nothing', () =>
    withProvider(async setting => {
      for (const name of ['registration_access_token', 'registration_client_uri']) {
        setting.respond = honest(body => ({ ...body, [name]: undefined }))
        const client = await register(setting)
        assert.deepEqual([client.registrationAccessToken, client.registrationClientUri], [undefined, undefined])
        await assert.rejects(readClient(setting.options, client), /allows no changes/)
      }
    }))

  test('no secret is in the metadata of the result', () =>
    withProvider(async setting => {
      const { metadata } = await register(setting)
      assert.ok(![clientSecret, token].some(value => JSON.stringify(metadata).includes(value)))
    }))
})

describe('addresses', () => {
  test('a registration endpoint is checked as every endpoint is, and needed', () =>
    withProvider(async setting => {
      const codeFor = async (registration_endpoint: unknown) => {
        setting.metadata = { ...setting.metadata, registration_endpoint }
        return (await failure(register(setting))).code
      }
      for (const address of [
        'http://op.example/r',
        'https://a:b@op.example/r',
        'https://op.example/r#x',
        7,
        ['https://op.example/r'],
      ])
        assert.equal(await codeFor(address), 'ERR_OIDC_METADATA')
      assert.equal(await codeFor(undefined), 'ERR_OIDC_UNSUPPORTED')
      assert.equal(setting.received.length, 0)
    }))

  test('what was kept is checked again before the token is sent', () =>
    withProvider(async setting => {
      const { options, received } = setting
      for (const [client, message] of [
        [kept(setting, { registrationClientUri: 'http://169.254.169.254/' }), /registrationClientUri/],
        [kept(setting, { issuer: 'https://other.example' }), /another provider/],
        [kept(setting, { issuer: undefined }), /another provider/],
        [kept(setting, { registrationAccessToken: undefined }), /allows no changes/],
        [kept(setting, { registrationAccessToken: 7 }), /registrationAccessToken/],
        [kept(setting, { credentials: undefined }), /allows no changes/],
        [kept(setting, { token: 'x' }), /token/],
        [undefined, /client/],
        ['shop', /client/],
      ] as const)
        for (const call of [readClient, updateClient, deleteClient]) {
          const error = await failure(call(options, client as never))
          assert.equal(error.code, 'ERR_OIDC_OPTIONS')
          assert.match(error.message, message)
        }
      assert.equal(received.length, 0)
    }))

  test('an https issuer gets no token over plain http, not even on this machine', () =>
    withProvider(async setting => {
      const options = { ...setting.options, issuer: 'https://op.example' }
      const client = kept(setting, { issuer: 'https://op.example', registrationClientUri: 'http://localhost:9/c' })
      assert.match((await failure(readClient(options, client))).message, /registrationClientUri/)
    }))
})

test('arguments of the wrong type are named', async () => {
  const options: OidcOptions = { issuer: 'https://op.example', baseUrl: 'https://www.example.com' }
  for (const [given, message] of [
    [{ initialAccessToken: 7 }, /registerClient: initialAccessToken must be/],
    [{ initialAccessToken: 'a\nb' }, /initialAccessToken must be/],
    [{ softwareStatement: {} }, /softwareStatement must be/],
    [{ metadata: [] }, /metadata must be/],
    [{ metadata: { a: () => {} } }, /metadata.a must be/],
    [{ save: 'file' }, /save must be/],
    [{ provider: 7 }, /provider must be/],
    [{ initialAcessToken: 'x' }, /initialAccessToken/],
    ['x', /registerClient/],
  ] as const)
    await assert.rejects(registerClient(options, given as never), { code: 'ERR_OIDC_OPTIONS', message })
  for (const wrong of [undefined, null, 7, () => {}, { issuer: 7 }, { providers: 7 }, { providers: { a: 7 } }])
    await assert.rejects(registerClient(wrong as never), { code: 'ERR_OIDC_OPTIONS' })
})
