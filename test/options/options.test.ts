import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import type { OidcOptions } from '../../lib/index.js'
import { parseOptions } from '../../lib/options/parse-options.js'
import { createSelfSigned } from '../attacks/self-signed.js'

const good: OidcOptions = {
  issuer: 'https://op.example',
  clientId: 'client',
  clientSecret: 'not a real secret',
  baseUrl: 'https://rp.example',
  secret: 'abcdefghijklmnopqrstuvwxyz012345',
  redis: 'redis://127.0.0.1:1',
  log: () => {},
}

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa1024 = generateKeyPairSync('rsa', { modulusLength: 1024 })

const siteEnvironment = {
  OIDC_ISSUER: 'https://op.example/',
  OIDC_CLIENT_ID: 'client',
  OIDC_CLIENT_SECRET: 'from the environment',
  OIDC_BASE_URL: 'https://rp.example/',
}

/** What must not start, whatever types say. */
const refused: { readonly name: string; readonly options: Record<string, unknown>; readonly says: RegExp }[] = [
  { name: 'no issuer', options: { issuer: undefined }, says: /OIDC_ISSUER/ },
  { name: 'no clientId', options: { clientId: undefined }, says: /OIDC_CLIENT_ID/ },
  { name: 'no baseUrl', options: { baseUrl: undefined }, says: /OIDC_BASE_URL/ },
  { name: 'no secret', options: { secret: undefined }, says: /SESSION_SECRET.*randomBytes/ },
  { name: 'a short secret', options: { secret: 'short' }, says: /32 characters/ },
  { name: 'a short old secret', options: { secret: [good.secret, 'short'] }, says: /32 characters/ },
  { name: 'a secret of one letter', options: { secret: 'a'.repeat(40) }, says: /guessed/ },
  { name: 'an http issuer elsewhere', options: { issuer: 'http://op.example' }, says: /https/ },
  { name: 'an http baseUrl elsewhere', options: { baseUrl: 'http://rp.example' }, says: /localhost only/ },
  { name: 'a baseUrl with a query', options: { baseUrl: 'https://rp.example/?x' }, says: /query/ },
  { name: 'an issuer with credentials', options: { issuer: 'https://a:b@op.example' }, says: /credentials/ },
  { name: 'an issuer that is no URL', options: { issuer: 'op.example' }, says: /absolute URL/ },
  { name: 'a misspelt option', options: { clientID: 'x' }, says: /clientID/ },
  {
    name: 'a published key set without a key',
    options: { routes: { jwks: '/jwks' } },
    says: /routes.jwks has nothing to publish/,
  },
  {
    name: 'a published key set with a certificate that a CA vouches for',
    options: { routes: { jwks: '/jwks' }, mtls: createSelfSigned(), clientAuthentication: 'tls_client_auth' },
    says: /routes.jwks has nothing to publish/,
  },
  { name: 'no decryption keys', options: { decryption: { keys: [] } }, says: /decryption.keys/ },
  { name: 'a public decryption key', options: { decryption: { keys: [rsa1024.publicKey] } }, says: /decryption.keys/ },
  { name: 'a short decryption key', options: { decryption: { keys: [rsa1024.privateKey] } }, says: /2048 bits/ },
  {
    name: 'a decryption key that is a damaged JWK',
    options: { decryption: { keys: [{ kty: 'EC', crv: 'P-256', d: 'AA' }] } },
    says: /decryption.keys/,
  },
  {
    name: 'a decryption key for signatures',
    options: { decryption: { keys: [generateKeyPairSync('ed25519').privateKey] } },
    says: /decryption.keys/,
  },
  { name: 'a misspelt route', options: { routes: { signin: '/x' } }, says: /signin/ },
  { name: 'a misspelt session option', options: { session: { maxAge: 1 } }, says: /maxAge/ },
  { name: 'an unknown response type', options: { responseType: 'token' }, says: /./ },
  { name: 'query for tokens', options: { responseType: 'code id_token', responseMode: 'query' }, says: /form_post/ },
  { name: 'fragment', options: { responseMode: 'fragment' }, says: /"form_post", "query"/ },
  {
    name: 'query.jwt for tokens',
    options: { responseType: 'code id_token', responseMode: 'query.jwt' },
    says: /use form_post.jwt/,
  },
  {
    name: 'encrypted responses that are not signed',
    options: { decryption: { keys: [privateKey], response: true } },
    says: /decryption.response needs signed/,
  },
  { name: 'no PKCE and no credentials', options: { pkce: false, clientSecret: undefined }, says: /pkce.*clientSecret/ },
  { name: 'no PKCE and an empty secret', options: { pkce: false, clientSecret: '' }, says: /clientSecret/ },
  { name: 'no PKCE for a public client', options: { pkce: false, clientAuthentication: 'none' }, says: /pkce/ },
  {
    name: 'no PKCE for a public client of any response type',
    options: { pkce: false, clientAuthentication: 'none', responseType: 'id_token' },
    says: /pkce/,
  },
  ...['code token', 'code id_token token', 'id_token'].map(responseType => ({
    name: `dpop for ${responseType}`,
    options: { dpop: true, responseType },
    says: /dpop.*"code id_token"/,
  })),
  {
    name: 'dpop with tokens for scripts',
    options: { dpop: true, routes: { token: '/token' } },
    says: /routes.token.*dpop/,
  },
  {
    name: 'an algorithm of proofs that is not known',
    options: { dpop: { algorithm: 'RS256' } },
    says: /dpop.algorithm/,
  },
  { name: 'a word where DPoP is switched', options: { dpop: 'ES256' }, says: /dpop must be true, false or an object/ },
  {
    name: 'a certificate for the client and none to show',
    options: { clientSecret: undefined, clientAuthentication: 'tls_client_auth' },
    says: /tls_client_auth.*mtls/,
  },
  { name: 'a certificate without its key', options: { mtls: { cert: 'x' } }, says: /mtls.*PEM/ },
  { name: 'a word where a certificate belongs', options: { mtls: 'client.pem' }, says: /mtls must be.*cert and key/ },
  { name: 'a word where PKCE is switched', options: { pkce: 'false' }, says: /pkce must be true or false/ },
  { name: 'the PKCE method plain', options: { pkce: 'plain' }, says: /pkce must be true or false/ },
  ...[
    {
      name: 'a member of clientAuthentication that is not known',
      change: { aud: 'issuer' },
      says: /clientAuthentication.aud".*audience/,
    },
    { name: 'an audience that is misspelt', change: { audience: 'tokenEndpoint' }, says: /audience.*token_endpoint/ },
    { name: 'an audience that is no text', change: { audience: 5 }, says: /audience/ },
    { name: 'an empty audience', change: { audience: [] }, says: /audience/ },
    { name: 'a list of audiences with a gap', change: { audience: ['issuer', ''] }, says: /audience/ },
    { name: 'a header member that is not known', change: { header: { alg: 'none' } }, says: /header.alg".*x5t#S256/ },
    { name: 'a header member that is no text', change: { header: { kid: 7 } }, says: /header.kid/ },
    { name: 'a key name that is left out by false', change: { header: { kid: false } }, says: /header.kid/ },
    { name: 'a typ with a line break', change: { header: { typ: 'a\nb' } }, says: /header.typ.*false/ },
    { name: 'no key', change: { key: undefined }, says: /key/ },
    { name: 'an algorithm of secrets for a key', change: { algorithm: 'HS256' }, says: /client_secret_jwt/ },
    { name: 'a method that has no members', change: { method: 'client_secret_basic' }, says: /as a string/ },
  ].map(({ name, change, says }) => {
    const clientAuthentication = { method: 'private_key_jwt', key: privateKey, ...change }
    return { name, options: { clientAuthentication }, says }
  }),
  {
    name: 'a secret that is too short for HS512',
    options: { clientAuthentication: { method: 'client_secret_jwt', algorithm: 'HS512' } },
    says: /HS512.*64 bytes/,
  },
  {
    name: 'an algorithm of keys for a secret',
    options: { clientAuthentication: { method: 'client_secret_jwt', algorithm: 'RS256' } },
    says: /"HS256", "HS384" or "HS512"/,
  },
  ...[
    { name: 'one object', details: { type: 'payment' }, says: /authorization_details must be a list of objects/ },
    { name: 'text that is no JSON', details: 'payment', says: /authorization_details must be a list of objects/ },
    { name: 'JSON of one object', details: '{"type":"payment"}', says: /authorization_details must be a list/ },
    { name: 'an object without a type', details: [{ type: 'a' }, {}], says: /authorization_details\[1\]\.type/ },
    { name: 'actions as one string', details: [{ type: 'a', actions: 'x' }], says: /\[0\]\.actions must be a list/ },
    { name: 'an identifier that is a number', details: [{ type: 'a', identifier: 7 }], says: /\[0\]\.identifier/ },
  ].map(({ name, details, says }) => {
    return {
      name: `authorization_details: ${name}`,
      options: { authorizationParams: { authorization_details: details } },
      says,
    }
  }),
  {
    name: 'RSA1_5 for requests',
    options: { requestObject: { key: privateKey, encryption: { algorithm: 'RSA1_5' } } },
    says: /encryption\.algorithm must be "RSA-OAEP-256"/,
  },
  {
    name: 'a word where requests are encrypted',
    options: { requestObject: { key: privateKey, encryption: 'ECDH-ES' } },
    says: /requestObject\.encryption must be true, false or an object/,
  },
  {
    name: 'a typ for requests',
    options: { requestObject: { key: privateKey, header: { typ: 'JWT' } } },
    says: /requestObject\.header\.typ/,
  },
  { name: 'a scope with a quote', options: { scope: 'openid "x"' }, says: /RFC 6749/ },
  { name: 'a route without a slash', options: { routes: { login: 'login' } }, says: /slash/ },
  { name: 'two routes of one path', options: { routes: { login: '/callback' } }, says: /same path/ },
  { name: 'no callback route', options: { routes: { callback: false } }, says: /callback/ },
  { name: 'a cookie name with a semicolon', options: { session: { name: 'a;b' } }, says: /session.name/ },
  { name: 'keeping the cookie', options: { session: { keep: ['cookie'] } }, says: /express-session/ },
  { name: 'an idle time of zero', options: { session: { idle: 0 } }, says: /session.idle/ },
  { name: 'an absolute time that is no number', options: { session: { absolute: '1h' } }, says: /session.absolute/ },
]

describe('openIdConnect refuses to start with', () => {
  for (const { name, options, says } of refused) {
    test(name, () => {
      assert.throws(
        () => parseOptions({ ...good, ...options } as OidcOptions, {}),
        (error: { code?: string; message?: string }) =>
          error.code === 'ERR_OIDC_OPTIONS' && says.test(error.message ?? ''),
      )
    })
  }

  test('nothing, but with a warning, at an address of this machine in production', () => {
    const log: string[] = []
    const options = { ...good, log: (line: string) => void log.push(line) }
    parseOptions({ ...options, baseUrl: 'http://localhost:3000' }, { NODE_ENV: 'development' })
    parseOptions(options, { NODE_ENV: 'production' })
    assert.deepEqual(log, [])
    parseOptions({ ...options, baseUrl: 'http://localhost:3000' }, { NODE_ENV: 'production' })
    assert.match(log.join(), /redirect URI is not https/)
  })

  test('no redis in production', () => {
    const { redis: _, ...memory } = good
    assert.throws(() => parseOptions(memory, { NODE_ENV: 'production' }), { code: 'ERR_OIDC_OPTIONS' })
    assert.doesNotThrow(() => parseOptions(memory, {}))
  })

  test('TLS verification switched off in production, and says so elsewhere', () => {
    const environment = { NODE_TLS_REJECT_UNAUTHORIZED: '0' }
    assert.throws(() => parseOptions(good, { ...environment, NODE_ENV: 'production' }), { code: 'ERR_OIDC_OPTIONS' })
    const lines: string[] = []
    parseOptions({ ...good, log: line => lines.push(line) }, environment)
    assert.match(lines.join(), /NODE_TLS_REJECT_UNAUTHORIZED/)
  })
})

describe('options', () => {
  test('are read from the environment where they are left out', () => {
    const {
      config: site,
      provider,
      store: state,
      hosts,
    } = parseOptions(
      { log: () => {} },
      {
        ...siteEnvironment,
        SESSION_SECRET: 'abcdefghijklmnopqrstuvwxyz012345,ABCDEFGHIJKLMNOPQRSTUVWXYZ012345',
        REDIS_URL: 'redis://127.0.0.1:1',
      },
    )
    assert.equal(site.issuer, 'https://op.example/', 'the slash of an issuer counts')
    assert.equal(hosts.only?.baseUrl, 'https://rp.example', 'that of the base URL does not')
    assert.equal(provider.clientSecret, 'from the environment')
    assert.equal(state.secrets.length, 2)
    assert.equal(state.redis, 'redis://127.0.0.1:1')
  })

  test('one short secret of the environment is named without a number', () => {
    const read = (SESSION_SECRET: string) => () =>
      parseOptions({ log: () => {} }, { SESSION_SECRET, ...siteEnvironment })
    assert.throws(read('short'), /SESSION_SECRET\) needs at least 32 characters/)
    assert.throws(read(`${'abcdefgh'.repeat(4)},short`), /SESSION_SECRET\)\[1\] needs at least 32 characters/)
  })

  test('have the defaults the README names', () => {
    const { config: site, store: state } = parseOptions(good, {})
    const { responseType, responseMode, scope, userInfo, lifetime, routes } = site
    assert.deepEqual(
      { responseType, responseMode, scope, userInfo, lifetime, idle: state.idle },
      {
        responseType: 'code id_token',
        responseMode: 'form_post',
        scope: 'openid profile email',
        userInfo: 'front-channel',
        lifetime: 604_800,
        idle: 86_400,
      },
    )
    assert.equal(routes.callback, '/callback')
    assert.ok(Object.isFrozen(site) && Object.isFrozen(routes), 'not frozen')
  })

  test('take dpop with one of its algorithms, ES256 where none is named, and dpop_jkt belongs to them', () => {
    const algorithmOf = (dpop: OidcOptions['dpop']) => parseOptions({ ...good, dpop }, {}).config.proofAlgorithm
    assert.deepEqual([undefined, false].map(algorithmOf), [undefined, undefined])
    assert.deepEqual([true, {}, { algorithm: undefined }].map(algorithmOf), ['ES256', 'ES256', 'ES256'])
    assert.deepEqual(
      [{ algorithm: 'EdDSA' }, { algorithm: 'Ed25519' }].map(given => algorithmOf(given as { algorithm: 'EdDSA' })),
      ['EdDSA', 'Ed25519'],
    )
    assert.equal(parseOptions({ ...good, dpop: true, routes: { token: false } }, {}).provider.proofAlgorithm, 'ES256')
    const authorizationParams = { dpop_jkt: 'x' }
    assert.throws(() => parseOptions({ ...good, authorizationParams }, {}), { code: 'ERR_OIDC_OPTIONS' })
  })

  test('take a certificate, and say what a fetch of the site has to do with it', () => {
    const lines: string[] = []
    const mtls = createSelfSigned()
    const given = {
      ...good,
      clientSecret: undefined,
      clientAuthentication: 'tls_client_auth',
      log: (line: string) => lines.push(line),
    } as const
    assert.ok(parseOptions({ ...given, mtls }, {}).provider.certificate)
    assert.ok(parseOptions({ ...given, mtls: () => mtls, pkce: false }, {}).provider.certificate)
    assert.deepEqual(
      lines.filter(line => line.includes('mtls')),
      [],
    )
    parseOptions({ ...given, mtls, fetch }, {})
    assert.match(lines.find(line => line.includes('mtls')) ?? '', /fetch has to show the certificate/)
    assert.equal(parseOptions({ ...given, fetch }, {}).provider.certificate, undefined)
  })

  test('take pkce: false for a client that proves itself, and every other client has PKCE', () => {
    const key = { method: 'private_key_jwt', key: privateKey } as const
    const none = { ...good, clientSecret: undefined }
    assert.equal(parseOptions({ ...good, pkce: false }, {}).config.pkce, false)
    assert.equal(
      parseOptions({ ...good, pkce: false, clientAuthentication: 'client_secret_jwt' }, {}).config.pkce,
      false,
    )
    assert.equal(parseOptions({ ...none, pkce: false, clientAuthentication: key }, {}).config.pkce, false)
    assert.equal(parseOptions({ ...none, pkce: false }, { OIDC_CLIENT_SECRET: 'from elsewhere' }).config.pkce, false)
    assert.equal(parseOptions({ ...none, pkce: undefined }, {}).config.pkce, true)
    assert.equal(parseOptions({ ...good, pkce: true }, {}).config.pkce, true)
  })

  test('take a response type in any word order, and add openid to a scope once', () => {
    const { config: site } = parseOptions({ ...good, responseType: 'token  id_token code', scope: 'email openid' }, {})
    assert.equal(site.responseType, 'code id_token token')
    assert.equal(site.scope, 'openid email')
  })
})

describe('a client secret by a function', () => {
  const clientSecret = () => 'a secret of now'
  const parse = (options: OidcOptions) => parseOptions({ ...good, clientSecret, ...options }, {})

  for (const clientAuthentication of [
    undefined,
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    { method: 'client_secret_jwt', algorithm: 'HS512' },
  ] as const)
    test(`is taken with clientAuthentication ${JSON.stringify(clientAuthentication) ?? 'left out'}, and is not called at the start`, () => {
      let calls = 0
      const counted = () => {
        calls += 1
        return 'x'
      }
      parse({ clientSecret: counted, clientAuthentication })
      assert.equal(calls, 0)
    })

  for (const [what, options] of Object.entries({
    'what the provider signs with the secret': { idTokenAlgorithm: 'HS256' },
    'userinfo that the provider signs with the secret': { userInfo: { algorithm: 'HS256' } },
    'a public client': { clientAuthentication: 'none' },
    'a class': { clientSecret: class {} as never },
  } as Record<string, OidcOptions>))
    test(`is refused for ${what}`, () => {
      assert.throws(() => parse(options), { code: 'ERR_OIDC_OPTIONS', message: /clientSecret/ })
    })

  test('says where a string is needed', () => {
    const message =
      'idTokenAlgorithm "HS256" needs a clientSecret that does not change: give a string instead of a function'
    assert.throws(() => parse({ idTokenAlgorithm: 'HS256' }), { message })
  })

  test('makes a confidential client, which may do without PKCE', () => {
    parse({ pkce: false })
  })
})
