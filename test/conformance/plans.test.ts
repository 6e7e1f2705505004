import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { discoveryAndKeyModules } from './discovery-and-key-modules.js'
import { fapi1Modules } from './fapi1-modules.js'
import { fapi2Modules, jarmModules } from './fapi2-modules.js'
import { idTokenModules } from './id-token-modules.js'
import { positiveModules } from './positive-modules.js'
import { type ResponseType, responseTypes } from './suite.js'

/** The certification plans of the suite, by response type, without their common prefix. */
const always = [
  '',
  '-invalid-iss',
  '-missing-sub',
  '-invalid-aud',
  '-missing-iat',
  '-kid-absent-single-jwks',
  '-kid-absent-multiple-jwks',
]
const rest = ['-idtoken-sig-rs256', '-invalid-sig-rs256', '-nonce-invalid', '-scope-userinfo-claims']
const hybrid = [...always, ...rest, '-userinfo-invalid-sub', '-nonce-unless-code-flow', '-client-secret-basic']
const hashOfCode = ['-invalid-chash', '-missing-chash']
const hashOfToken = ['-invalid-athash', '-missing-athash']

const plans: Record<
  ResponseType,
  { readonly plan: string; readonly modules: readonly string[]; readonly count: number }
> = {
  code: {
    plan: 'oidcc-client-basic-certification-test-plan',
    modules: [...always, ...rest, '-userinfo-invalid-sub', '-client-secret-basic', '-idtoken-sig-none'],
    count: 14,
  },
  id_token: {
    plan: 'oidcc-client-implicit-certification-test-plan',
    modules: [...always, ...rest, '-nonce-unless-code-flow'],
    count: 12,
  },
  'code id_token': {
    plan: 'oidcc-client-hybrid-certification-test-plan',
    modules: [...hybrid, ...hashOfCode],
    count: 16,
  },
  'code token': { plan: 'oidcc-client-hybrid-certification-test-plan', modules: hybrid, count: 14 },
  'code id_token token': {
    plan: 'oidcc-client-hybrid-certification-test-plan',
    modules: [...hybrid, ...hashOfCode, ...hashOfToken],
    count: 18,
  },
}

const configuration = [
  ...['-idtoken-sig-none', '-discovery-openid-config', '-discovery-jwks-uri-keys', '-discovery-issuer-mismatch'],
  ...['-signing-key-rotation-just-before-signing', '-signing-key-rotation'],
]

/** What the comprehensive plan of the suite declares besides. */
const comprehensive = [
  ...['-userinfo-bearer-header', '-userinfo-bearer-body', '-userinfo-signed', '-aggregated-claims'],
  ...['-distributed-claims', '-mtls-endpoint-aliases', '-request-uri-signed-rs256', '-request-uri-signed-none'],
  ...['-form-post-error', '-missing-aud', '-invalid-sig-es256', '-invalid-sig-hs256', '-dynamic-registration'],
  ...['-discovery-webfinger-acct', '-discovery-webfinger-url'],
]

const backChannel = [
  '',
  '-alg-none',
  '-wrong-alg',
  '-wrong-iss',
  '-wrong-aud',
  '-no-event',
  '-wrong-event',
  '-with-nonce',
]
/** Modules that are tested in other folders, beside what they are about. */
const elsewhere = [
  ...['refresh-token', 'refresh-token-invalid-issuer', 'refresh-token-invalid-sub'],
  ...backChannel.map(suffix => `rp-backchannel-rpinitlogout${suffix}`),
  ...['rp-frontchannel-rpinitlogout', 'rp-frontchannel-opinitlogout', 'session-management'],
  ...['rp-init-logout', 'rp-init-logout-other-state', 'rp-init-logout-no-state'],
].map(suffix => `oidcc-client-test-${suffix}`)

const FAPI1 = 'fapi1-advanced-final-client-'
const idTokenFaults = [
  ...['invalid-iss', 'invalid-missing-iss', 'invalid-aud', 'invalid-missing-aud', 'invalid-secondary-aud'],
  ...['invalid-null-alg', 'invalid-alternate-alg', 'invalid-expired-exp', 'invalid-missing-exp'],
  ...['invalid-nonce', 'invalid-missing-nonce'],
]
/** The plans fapi2-security-profile-final and fapi2-message-signing-final, without their common prefix. */
const fapi2 = [
  ...['happy-path', 'happy-path-no-dpop-nonce', 'happy-path-no-mtls-endpoint-aliases', 'discovery-issuer-mismatch'],
  ...idTokenFaults,
  ...['valid-aud-as-array', 'invalid-authorization-response-iss', 'remove-authorization-response-iss'],
  'ensure-authorization-response-with-invalid-state-fails',
  'ensure-authorization-response-with-invalid-missing-state-fails',
  ...['token-endpoint-response-without-expires_in', 'token-type-case-insensitivity'],
  'rs-dpop-auth-scheme-case-insensitivity',
  ...['without-iss-fails', 'with-invalid-iss-fails', 'without-aud-fails', 'with-invalid-aud-fails'].map(jarm),
  ...['without-exp-fails', 'with-expired-exp-fails', 'with-invalid-sig-fails', 'signature-is-not-none'].map(jarm),
]
/** The plan fapi1-advanced-final. */
const fapi1 = [
  ...['', '-encrypted-idtoken', '-encrypted-idtoken-usingrsa15', '-discovery-issuer-mismatch'],
  ...['-invalid-shash', '-invalid-missing-shash', '-invalid-chash', '-invalid-signature', '-iat-is-week-in-past'],
  ...idTokenFaults.map(suffix => `-${suffix}`),
  ...['-valid-aud-as-array', '-missing-athash', '-no-scope-in-token-endpoint-response'],
].map(suffix => `test${suffix}`)

function jarm(suffix: string): string {
  return `ensure-jarm-${suffix}`
}

const modules = [...positiveModules, ...idTokenModules, ...discoveryAndKeyModules]

function isTested(suffix: string, type: ResponseType): boolean {
  return modules.some(({ id, appliesTo }) => id === `oidcc-client-test${suffix}` && appliesTo.includes(type))
}

describe('every module is here', () => {
  for (const type of responseTypes) {
    const { plan, modules: wanted, count } = plans[type]
    test(`of ${plan} for ${type}`, () => {
      assert.equal(new Set(wanted).size, count)
      assert.deepEqual(
        wanted.filter(suffix => !isTested(suffix, type)),
        [],
      )
    })
  }

  test('of oidcc-client-config-certification-test-plan', () => {
    assert.deepEqual(
      configuration.filter(suffix => !isTested(suffix, 'code')),
      [],
    )
  })

  test('of the comprehensive plan, and that of third-party login, but for those docs/security.md gives a reason for', () => {
    const plain = Object.values(plans).flatMap(plan => plan.modules)
    const declared = new Set([...plain, ...configuration, ...comprehensive].map(suffix => `oidcc-client-test${suffix}`))
    assert.equal(declared.size, 39)
    declared.add('oidcc-client-test-3rd-party-init-login')
    const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8')
    const leftOut = new Set(page.match(/(?<=`)oidcc-client-test[\w-]*(?=`)/g))
    const tested = new Set(modules.map(({ id }) => id))
    for (const id of declared) assert.notEqual(tested.has(id), leftOut.has(id), id)
    for (const id of [...tested, ...leftOut]) assert.ok(declared.has(id), `${id} is not a module`)
  })

  test('of the plans for refresh and logout, in the folders of those', () => {
    const root = fileURLToPath(new URL('..', import.meta.url))
    const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.test.ts') && !name.endsWith('plans.test.ts'))
      .map(name => readFileSync(root + name, 'utf8'))
    const names = new Set(files.join('\n').match(/oidcc-client-test[\w-]*/g))
    assert.deepEqual(
      elsewhere.filter(id => !names.has(id)),
      [],
    )
  })

  test('of the FAPI plans for plain_fapi clients of OpenID Connect, but for the one docs/security.md gives a reason for', () => {
    assert.equal(new Set(fapi2).size, 31)
    const page = readFileSync(new URL('../../docs/security.md', import.meta.url), 'utf8')
    const leftOut = (page.match(/(?<=`)fapi[\w-]*-client-[\w-]*(?=`)/g) ?? []).map(id => id.slice(FAPI1.length))
    const declared = [...fapi2, ...fapi1]
    const tested = [...fapi2Modules, ...jarmModules, ...fapi1Modules].map(({ id }) => id)
    assert.deepEqual([...new Set([...tested, ...leftOut])].sort(), [...new Set(declared)].sort())
    assert.deepEqual(
      leftOut.filter(id => tested.includes(id)),
      [],
    )
  })

  test('and no name is there twice', () => {
    const ids = modules.map(({ id }) => id)
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    )
  })
})
