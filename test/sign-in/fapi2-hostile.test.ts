import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import type { OidcErrorCode } from '../../lib/index.js'
import {
  assertFinishes,
  assertStops,
  encryptionKey,
  type FapiCalls,
  type FapiModule,
  type FapiVariant,
  publicEncryptionKey,
  registerFapi,
} from '../conformance/fapi-suite.js'
import { encryptJwt } from '../support/encrypt-jwt.js'
import { demandNonce } from '../support/hostile-proofs.js'
import { deny, drop, type EndpointResponse, type Faults, type RecordedRequest } from '../support/hostile-provider.js'

/** What a provider may do to a site of the profile fapi2 that no module of the official suite does. */

const isMtls = ({ senderConstrain }: FapiVariant) => senderConstrain === 'mtls'
const isDpop = ({ senderConstrain }: FapiVariant) => senderConstrain === 'dpop'
const everyIdToken = (fault: NonNullable<Faults['backIdToken']>): Faults => ({ backIdToken: fault })

function stops(
  id: string,
  faults: Faults,
  code: OidcErrorCode,
  calls: FapiCalls,
  more: Partial<FapiModule> = {},
): FapiModule {
  return { id, faults, ...more, run: async run => void (await assertStops(run, code, calls)) }
}

/** A nonce that is good for one request, and the next one with every response: a nonce that comes again is refused. */
function nonceForEachRequest() {
  let count = 0
  return (response: EndpointResponse, { headers }: RecordedRequest): EndpointResponse => {
    const wanted = `nonce-${count}`
    count += 1
    const [, body = ''] = String(headers.dpop).split('.')
    const { nonce } = JSON.parse(Buffer.from(body, 'base64url').toString()) as { nonce?: string }
    if (nonce !== wanted) return demandNonce(`nonce-${count}`, { isApi: true })
    return { ...response, headers: { ...response.headers, 'dpop-nonce': `nonce-${count}` } }
  }
}

const forEver = (isApi: boolean) => {
  const { status, headers, body } = demandNonce('once-more', { isApi })
  return { status, headers, body }
}

const strangerKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
const decryption = { oidc: { decryption: { keys: [encryptionKey], idToken: true } } }
const encrypted = (...given: [key: typeof strangerKey, header?: object]) =>
  everyIdToken({ token: token => encryptJwt(token, given[0], 'RSA-OAEP-256', { kid: 'enc', ...given[1] }) })
const tokenCall = { authorize: 1, token: 1 } as const

const modules: readonly FapiModule[] = [
  stops(
    'a response without iss is refused although the metadata does not promise one',
    {
      metadata: document => ({ ...document, authorization_response_iss_parameter_supported: undefined }),
      response: drop('iss'),
    },
    'ERR_OIDC_RESPONSE_ISSUER',
    { authorize: 1, token: 0 },
  ),
  ...['Bearer', 'bearer', 'N_A', 'mac', undefined].map(token_type =>
    stops(
      `a token of the type ${token_type} is refused where a proof went along`,
      { tokenResponse: body => ({ ...body, token_type }) },
      'ERR_OIDC_TOKEN_RESPONSE',
      tokenCall,
      { applies: isDpop },
    ),
  ),
  stops(
    'a DPoP token is refused where no proof went along',
    { tokenResponse: body => ({ ...body, token_type: 'DPoP' }) },
    'ERR_OIDC_TOKEN_RESPONSE',
    tokenCall,
    { applies: isMtls },
  ),
  {
    id: 'a pushed request that wants another nonce for ever is sent twice, and the browser stays',
    applies: isDpop,
    faults: { par: forEver(false) },
    async run(run) {
      const page = await run.agent.visit(`${run.site.url}/claims`)
      assert.deepEqual([page.status, run.site.lastCode()], [400, 'ERR_OIDC_AUTHORIZATION_FAILED'])
      assert.deepEqual([run.provider.count('par'), run.provider.count('authorize')], [2, 0])
    },
  },
  {
    id: 'a token endpoint that wants another nonce for ever is asked twice, and no user is signed in',
    applies: isDpop,
    faults: { token: forEver(false) },
    async run(run) {
      const page = await run.agent.visit(`${run.site.url}/claims`)
      assert.deepEqual([page.status, run.site.lastCode()], [502, 'ERR_OIDC_TOKEN_RESPONSE'])
      assert.deepEqual([run.provider.count('token'), run.provider.count('userinfo')], [2, 0])
    },
  },
  {
    id: 'an API that takes each nonce once is asked at most twice, and a nonce that has come back is not used again',
    applies: isDpop,
    demands: { proofNonces: false },
    async run(run) {
      run.provider.break({ accounts: { respond: nonceForEachRequest() } })
      await run.agent.visit(`${run.site.url}/claims`)
      for (let round = 0; round < 5; round += 1) {
        const before = run.provider.count('accounts')
        const page = await run.agent.fetch(`${run.site.url}/accounts`, { from: `${run.site.url}/` })
        assert.equal(page.text, '{"status":200}')
        assert.ok(run.provider.count('accounts') - before <= 2)
      }
    },
  },
  {
    id: 'a request_uri that has expired is pushed anew, once',
    async run(run) {
      let refusals = 1
      run.provider.break({
        response: (fields, request) => {
          refusals -= 1
          return refusals < 0 ? fields : deny('invalid_request_uri')(fields, request)
        },
      })
      const page = await run.agent.visit(`${run.site.url}/claims`)
      assert.equal(page.status, 200, page.text)
      const references = run.provider.requestsTo('authorize').map(({ query }) => query.request_uri)
      assert.equal(references.length, 2)
      assert.equal(new Set(references).size, 2, 'no reference comes twice')
    },
  },
  ...['nonsense', '', '/token', 'http://op.example/token', null, 5].map(alias =>
    stops(
      `an alias of an endpoint that is ${JSON.stringify(alias)} is an error, and never the other endpoint`,
      {
        metadata: ({ mtls_endpoint_aliases: aliases, ...document }) => ({
          ...document,
          mtls_endpoint_aliases: { ...Object(aliases), token_endpoint: alias },
        }),
      },
      'ERR_OIDC_METADATA',
      { authorize: 0, token: 0 },
      { applies: isMtls },
    ),
  ),
  stops(
    'an ID Token signed with HS256 is refused, with a public key as the secret',
    everyIdToken({ alg: 'HS256', key: publicEncryptionKey.export({ type: 'spki', format: 'pem' }) as string }),
    'ERR_OIDC_ID_TOKEN_ALGORITHM',
    tokenCall,
  ),
  stops(
    'an encrypted ID Token whose count takes hours is refused at once',
    encrypted(publicEncryptionKey, { alg: 'PBES2-HS512+A256KW', p2c: 2_147_483_647, p2s: 'AAAA' }),
    'ERR_OIDC_ID_TOKEN_ENCRYPTION',
    tokenCall,
    decryption,
  ),
  stops(
    'a compressed ID Token is refused',
    encrypted(publicEncryptionKey, { zip: 'DEF' }),
    'ERR_OIDC_ID_TOKEN_ENCRYPTION',
    tokenCall,
    decryption,
  ),
  stops(
    'an ID Token that is encrypted to another key is refused',
    encrypted(strangerKey),
    'ERR_OIDC_ID_TOKEN_DECRYPTION',
    tokenCall,
    decryption,
  ),
  stops('an ID Token that is not encrypted is refused', {}, 'ERR_OIDC_ID_TOKEN_ENCRYPTION', tokenCall, decryption),
  {
    id: 'an ID Token that is encrypted to the right key is opened',
    faults: encrypted(publicEncryptionKey),
    ...decryption,
    run: assertFinishes,
  },
]

const common = { signedRequests: false, jarm: false, pushed: true, oidc: { profile: 'fapi2' } } as const

registerFapi('', modules, [
  { ...common, name: 'DPoP', clientAuth: 'private_key_jwt', senderConstrain: 'dpop' },
  { ...common, name: 'certificate', clientAuth: 'mtls', senderConstrain: 'mtls' },
])
