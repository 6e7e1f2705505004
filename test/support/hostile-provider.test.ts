import assert from 'node:assert/strict'
import { createHash, createPublicKey, randomBytes, verify } from 'node:crypto'
import { after, afterEach, before, describe, test } from 'node:test'
import type { JWK } from 'jose'
import { createAgent } from './agent.js'
import {
  deny,
  drop,
  duplicate,
  extra,
  type Faults,
  type HostileProvider,
  replace,
  startHostileProvider,
} from './hostile-provider.js'
import { send } from './http-client.js'

const redirectUri = 'http://localhost:9/callback'
const verifier = randomBytes(32).toString('base64url')
const challenge = createHash('sha256').update(verifier).digest('base64url')

let provider: HostileProvider
before(async () => {
  provider = await startHostileProvider()
})
afterEach(() => provider.heal())
after(() => provider.close())

async function authorize(more: Record<string, string> = {}): Promise<URLSearchParams> {
  const query = new URLSearchParams({
    client_id: provider.clientId,
    redirect_uri: redirectUri,
    response_type: 'code id_token token',
    response_mode: 'form_post',
    scope: 'openid offline_access',
    state: 'state-1',
    nonce: 'nonce-1',
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...more,
  })
  const page = await createAgent().open(`${provider.issuer}/authorize?${query}`, { redirect: 'manual' })
  assert.ok(page.status < 400, page.text)
  const location = page.hops[0]?.location
  if (location) return new URLSearchParams(new URL(location).search || new URL(location).hash.slice(1))
  assert.equal(page.forms[0]?.action, redirectUri)
  assert.equal(page.forms[0]?.isAutomatic, true)
  return new URLSearchParams(page.forms[0]?.fields as [string, string][])
}

const basic = () => `Basic ${Buffer.from(`${provider.clientId}:${provider.clientSecret}`).toString('base64')}`

async function post(form: Record<string, string>, headers: Record<string, string> = { authorization: basic() }) {
  const response = await send({
    url: `${provider.issuer}/token`,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(form).toString(),
  })
  return { status: response.status, body: JSON.parse(response.text || '{}') }
}

const redeem = (code: string | null, more: Record<string, string> = {}) =>
  post({
    grant_type: 'authorization_code',
    code: code ?? '',
    redirect_uri: redirectUri,
    code_verifier: verifier,
    ...more,
  })

async function userInfo(token: string) {
  return send({ url: `${provider.issuer}/userinfo`, headers: { authorization: `Bearer ${token}` } })
}

function read(token: string | null | undefined) {
  const [header = '', payload = '', signature = ''] = (token ?? '').split('.')
  const parse = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString())
  return { header: parse(header), claims: parse(payload), signature, input: `${header}.${payload}` }
}

async function publishedKeys(): Promise<JWK[]> {
  return JSON.parse((await send({ url: `${provider.issuer}/jwks` })).text).keys
}

async function isSigned(token: string | null): Promise<boolean> {
  const { header, signature, input } = read(token)
  const jwk = (await publishedKeys()).find(key => key.kid === header.kid)
  if (!jwk) return false
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  return verify('sha256', Buffer.from(input), key, Buffer.from(signature, 'base64url'))
}

const halfHash = (text: string) => createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url')

describe('by default everything is right:', () => {
  const parts: Record<string, string[]> = {
    code: ['code'],
    'code id_token': ['code', 'id_token'],
    'code token': ['code', 'access_token', 'token_type', 'expires_in'],
    'code id_token token': ['code', 'access_token', 'token_type', 'expires_in', 'id_token'],
    id_token: ['id_token'],
  }
  for (const [responseType, names] of Object.entries(parts)) {
    test(`response type ${responseType} brings ${names.join(', ')}`, async () => {
      const fields = await authorize({ response_type: responseType })
      assert.deepEqual([...fields.keys()].sort(), [...names, 'state', 'iss'].sort())
      assert.equal(fields.get('state'), 'state-1')
      assert.equal(fields.get('iss'), provider.issuer)
      if (fields.has('id_token')) assert.ok(await isSigned(fields.get('id_token')), 'not signed')
    })
  }

  test('code alone comes back in the query unless asked otherwise', async () => {
    const fields = await authorize({ response_type: 'code', response_mode: 'query' })
    assert.ok(fields.get('code'), 'no code')
  })

  test('the front ID Token is bound to nonce, code and access token', async () => {
    const fields = await authorize({ max_age: '10' })
    const { claims } = read(fields.get('id_token'))
    assert.equal(claims.nonce, 'nonce-1')
    assert.equal(claims.aud, provider.clientId)
    assert.equal(claims.c_hash, halfHash(fields.get('code') ?? ''))
    assert.equal(claims.at_hash, halfHash(fields.get('access_token') ?? ''))
    assert.equal(typeof claims.auth_time, 'number')
  })

  test('a code brings tokens once, and both access tokens open userinfo', async () => {
    const fields = await authorize()
    const { status, body } = await redeem(fields.get('code'))
    assert.equal(status, 200)
    assert.ok(await isSigned(body.id_token), 'not signed')
    assert.equal(read(body.id_token).claims.at_hash, halfHash(body.access_token))
    for (const token of [body.access_token, fields.get('access_token')]) {
      assert.equal(JSON.parse((await userInfo(token)).text).sub, read(body.id_token).claims.sub)
    }
    assert.deepEqual(await redeem(fields.get('code')), { status: 400, body: { error: 'invalid_grant' } })
  })

  test('a refresh token is replaced, and the old one ends the grant', async () => {
    const { body } = await redeem((await authorize()).get('code'))
    const first = await post({ grant_type: 'refresh_token', refresh_token: body.refresh_token })
    assert.equal(first.status, 200)
    assert.notEqual(first.body.refresh_token, body.refresh_token)
    assert.deepEqual(provider.reusedRefreshTokens, [])
    const again = await post({ grant_type: 'refresh_token', refresh_token: body.refresh_token })
    assert.equal(again.body.error, 'invalid_grant')
    assert.deepEqual(provider.reusedRefreshTokens, [body.refresh_token])
    assert.equal((await userInfo(first.body.access_token)).status, 401)
  })

  test('the end-session endpoint goes back with the state', async () => {
    const query = new URLSearchParams({ post_logout_redirect_uri: 'http://localhost:9/bye', state: 'x' })
    const page = await createAgent().open(`${provider.issuer}/end_session?${query}`, { redirect: 'manual' })
    assert.equal(page.hops[0]?.location, 'http://localhost:9/bye?state=x')
  })
})

describe('it refuses', () => {
  const attempts: Record<string, () => Promise<{ status: number; body: { error: string } }>> = {
    'another secret': async () =>
      post({ grant_type: 'authorization_code' }, { authorization: `Basic ${btoa('client:no')}` }),
    'no secret': async () => post({ grant_type: 'authorization_code', client_id: 'client' }, {}),
    'another verifier': async () => redeem((await authorize()).get('code'), { code_verifier: 'x'.repeat(43) }),
    'another redirect_uri': async () => redeem((await authorize()).get('code'), { redirect_uri: 'http://localhost/' }),
    'an invented refresh token': () => post({ grant_type: 'refresh_token', refresh_token: 'x' }),
  }
  for (const [name, attempt] of Object.entries(attempts)) {
    test(name, async () => {
      const { status, body } = await attempt()
      assert.ok(status === 400 || status === 401, `status ${status}`)
      assert.ok(body.error === 'invalid_grant' || body.error === 'invalid_client', `error ${body.error}`)
    })
  }

  test('an unknown path, and remembers it', async () => {
    await send({ url: `${provider.issuer}/favicon.ico` })
    assert.equal(provider.problems.at(-1), 'GET /favicon.ico: there is no such path')
  })

  test('an authorization request without PKCE, and remembers it', async () => {
    await assert.rejects(authorize({ code_challenge: '' }))
    assert.equal(provider.problems.at(-1), 'authorization request: no PKCE')
  })
})

describe('one line breaks', () => {
  const front: Record<string, { faults: Faults; check: (fields: URLSearchParams) => unknown }> = {
    'a claim': {
      faults: { frontIdToken: claims => ({ ...claims, nonce: 'x' }) },
      check: async fields => {
        assert.equal(read(fields.get('id_token')).claims.nonce, 'x')
        assert.ok(await isSigned(fields.get('id_token')), 'not signed')
      },
    },
    'the algorithm': {
      faults: { frontIdToken: { alg: 'none' } },
      check: fields => {
        const { header, signature } = read(fields.get('id_token'))
        assert.deepEqual([header, signature], [{ alg: 'none' }, ''])
      },
    },
    'the key': {
      faults: { frontIdToken: { key: 'foreign' } },
      check: async fields => assert.equal(await isSigned(fields.get('id_token')), false),
    },
    'the signature': {
      faults: { frontIdToken: { signature: bytes => Buffer.from(bytes.map(byte => byte ^ 0x5a)) } },
      check: async fields => assert.equal(await isSigned(fields.get('id_token')), false),
    },
    'the header': {
      faults: { frontIdToken: { header: ({ alg }) => ({ alg }) } },
      check: fields => assert.deepEqual(read(fields.get('id_token')).header, { alg: 'RS256' }),
    },
    'the presence of a field': {
      faults: { response: drop('state') },
      check: fields => assert.equal(fields.has('state'), false),
    },
    'the uniqueness of a field': {
      faults: { response: duplicate('code') },
      check: fields => assert.equal(fields.getAll('code').length, 2),
    },
    'the value of a field': {
      faults: { response: replace('iss', iss => `${iss}/`) },
      check: fields => assert.equal(fields.get('iss'), `${provider.issuer}/`),
    },
    'the number of fields': {
      faults: { response: extra('admin', '1') },
      check: fields => assert.equal(fields.get('admin'), '1'),
    },
    'the success': {
      faults: { response: deny('access_denied', { error_description: '<b>"' }) },
      check: fields => assert.deepEqual([...fields.keys()], ['error', 'error_description', 'state', 'iss']),
    },
    'the response mode': {
      faults: { responseMode: 'query' },
      check: fields => assert.ok(fields.get('access_token'), 'no access token'),
    },
    'the moment of a key rotation': {
      faults: { rotateBefore: 'front' },
      check: async fields => assert.ok(await isSigned(fields.get('id_token')), 'not signed'),
    },
    'the keys': {
      faults: { keys: keys => keys.map(({ kid: _, ...key }) => key) },
      check: async fields => {
        assert.equal((await publishedKeys())[0]?.kid, undefined)
        assert.ok(read(fields.get('id_token')).header.kid, 'no kid')
      },
    },
  }
  for (const [name, { faults, check }] of Object.entries(front)) {
    test(`${name} of the authorization response`, async () => {
      provider.break(faults)
      await check(await authorize())
    })
  }

  test('the second ID Token and leaves the first alone', async () => {
    provider.break({ backIdToken: claims => ({ ...claims, sub: 'mallory' }) })
    const fields = await authorize()
    const { body } = await redeem(fields.get('code'))
    assert.equal(read(body.id_token).claims.sub, 'mallory')
    assert.notEqual(read(fields.get('id_token')).claims.sub, 'mallory')
  })

  test('the token response before the code is used up, once', async () => {
    provider.break({ token: { status: 503, times: 1 } })
    const code = (await authorize()).get('code')
    assert.equal((await redeem(code)).status, 503)
    assert.equal((await redeem(code)).status, 200)
  })

  test('the connection, before and after the code is used up, and in the middle of the response', async () => {
    const code = (await authorize()).get('code')
    provider.break({ token: { cut: 'before' } })
    await assert.rejects(redeem(code))
    provider.break({ token: { cut: 'after' } })
    await assert.rejects(redeem(code))
    provider.heal()
    assert.equal((await redeem(code)).body.error, 'invalid_grant')
    provider.break({ discovery: { cut: 'middle' } })
    await assert.rejects(send({ url: `${provider.issuer}/.well-known/openid-configuration` }))
  })

  test('userinfo: its claims, its signature, its type', async () => {
    const token = (await authorize()).get('access_token') ?? ''
    provider.break({ userInfoClaims: claims => ({ ...claims, sub: 'mallory' }) })
    assert.equal(JSON.parse((await userInfo(token)).text).sub, 'mallory')
    provider.break({ signedUserInfo: true })
    const signed = await userInfo(token)
    assert.equal(signed.headers['content-type'], 'application/jwt')
    assert.equal(read(signed.text).claims.aud, provider.clientId)
    provider.break({ userinfo: { contentType: 'text/html' } })
    assert.equal((await userInfo(token)).headers['content-type'], 'text/html')
  })

  test('where an endpoint is, and what is discovered', async () => {
    provider.break({ jwks: { redirect: 'http://127.0.0.1:9/' }, metadata: document => ({ ...document, issuer: 'x' }) })
    assert.equal((await send({ url: `${provider.issuer}/jwks` })).headers.location, 'http://127.0.0.1:9/')
    const { text } = await send({ url: `${provider.issuer}/.well-known/openid-configuration` })
    assert.equal(JSON.parse(text).issuer, 'x')
  })

  test('the order of two endpoints', async () => {
    const fields = await authorize()
    let open = () => {}
    const gate = new Promise<void>(resolve => {
      open = resolve
    })
    provider.break({ token: { until: () => gate } })
    const responses: string[] = []
    const first = redeem(fields.get('code')).then(() => responses.push('token'))
    await userInfo(fields.get('access_token') ?? '').then(() => responses.push('userinfo'))
    open()
    await first
    assert.deepEqual(responses, ['userinfo', 'token'])
  })
})

test('it goes away and comes back on the same port, and has kept count', async () => {
  const before = provider.count('jwks')
  await provider.stop()
  await assert.rejects(publishedKeys())
  await provider.start()
  await publishedKeys()
  assert.equal(provider.count('jwks'), before + 1)
})
