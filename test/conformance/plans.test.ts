import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { discoveryAndKeyModules } from './discovery-and-key-modules.js'
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

  test('and no name is there twice', () => {
    const ids = modules.map(({ id }) => id)
    assert.deepEqual(
      ids.filter((id, index) => ids.indexOf(id) !== index),
      [],
    )
  })
})
