import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkTenant, issuerOfTenant, issuerTemplate, isTenantId, tenantOf } from '../../lib/protocol/tenants.js'

const template = 'https://login.microsoftonline.com/{tenantid}/v2.0'
const tenant = '0a1b2c3d-4e5f-6789-abcd-ef0123456789'
const issuer = `https://login.microsoftonline.com/${tenant}/v2.0`

test('the id of a tenant is a GUID in lower case, and nothing else', () => {
  assert.ok(isTenantId(tenant))
  const others = [
    undefined,
    null,
    7,
    [tenant],
    '',
    tenant.toUpperCase(),
    ` ${tenant}`,
    `${tenant}\n`,
    `${tenant}0`,
    `x${tenant}`,
    tenant.slice(1),
    tenant.replaceAll('-', ''),
    tenant.replace('a', '\u0430'),
    '{tenantid}',
  ]
  for (const other of others) assert.ok(!isTenantId(other), String(other))
})

test('the template has the placeholder in the place of the one group of tenants', () => {
  for (const group of ['common', 'organizations', 'consumers'])
    assert.equal(issuerTemplate(`https://login.microsoftonline.com/${group}/v2.0`), template)
  assert.equal(issuerTemplate('https://login.example/common'), 'https://login.example/{tenantid}')
  const others = [
    'https://login.example',
    issuer,
    'https://login.example/common/common',
    'https://login.example/commons/x',
  ]
  for (const other of others) assert.equal(issuerTemplate(other), undefined, other)
})

test('an issuer is that of a tenant only where it is made after the template, to the letter', () => {
  assert.equal(issuerOfTenant(template, tenant), issuer)
  assert.equal(tenantOf(issuer, template), tenant)
  const others = [
    undefined,
    [issuer],
    `${issuer}/`,
    issuer.slice(0, -1),
    issuer.replace('https', 'http'),
    issuer.replace('v2.0', 'v1.0'),
    template,
    issuer.replace(tenant, tenant.toUpperCase()),
    issuer.replace(tenant, `${tenant}/x`),
    issuer.replace(tenant, `x/${tenant}`),
    issuer.replace(tenant, ''),
    'https://login.microsoftonline.com/v2.0',
  ]
  for (const other of others) assert.equal(tenantOf(other, template), undefined, String(other))
  assert.equal(tenantOf('https://login.example/x', 'https://login.example/x'), undefined, 'without a placeholder')
})

test('no text but the issuer itself leads to a tenant', () => {
  fc.assert(
    fc.property(fc.string(), text => {
      assert.equal(
        tenantOf(`https://login.microsoftonline.com/${text}/v2.0`, template),
        isTenantId(text) ? text : undefined,
      )
    }),
  )
})

test('an ID Token names its tenant twice, and both have to be the same', () => {
  assert.equal(checkTenant({ iss: issuer, tid: tenant }, template), tenant)
  const other = tenant.replace('0', '1')
  const refused = [
    { iss: issuer },
    { tid: tenant },
    { iss: issuer, tid: other },
    { iss: issuer.replace(tenant, other), tid: tenant },
    { iss: template, tid: '{tenantid}' },
    { iss: issuer, tid: [tenant] },
    { iss: [issuer], tid: tenant },
  ]
  for (const claims of refused)
    assert.throws(() => checkTenant(claims, template), { code: 'ERR_OIDC_ID_TOKEN_ISSUER' }, JSON.stringify(claims))
})
