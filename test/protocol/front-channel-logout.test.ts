import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkFrontChannelIssuer, parseFrontChannelLogout } from '../../lib/protocol/front-channel-logout.js'

const iss = 'https://op.example'

test('iss and sid are read, and unknown parameters are ignored', () => {
  const request = parseFrontChannelLogout(`?iss=${encodeURIComponent(iss)}&sid=abc&x=1&x=2`)
  assert.equal(request.iss, iss)
  assert.equal(request.sids[0], 'abc')
})

test('without iss and sid no session is named', () => {
  for (const query of ['', '?', '?loaded=true']) assert.deepEqual(parseFrontChannelLogout(query), { sids: [] })
})

test('a sid alone names a session: older providers send no iss', () => {
  assert.deepEqual(parseFrontChannelLogout('?sid=abc'), { sids: ['abc'] })
})

test('a sid that was not encoded is among the ways to read it', () => {
  for (const sid of ['a+b', 'a b', 'a&b=c', '100%', 'a%20b', '$/,[+"', 'ünï', 'a=b', '+&+']) {
    for (const written of [sid, encodeURIComponent(sid), new URLSearchParams({ sid }).toString().slice(4)]) {
      const { sids } = parseFrontChannelLogout(`?iss=${iss}&sid=${written}`)
      assert.ok(sids.includes(sid), `${sid} written as ${written}: ${sids}`)
      assert.ok(sids.length <= 4, `${sids.length} readings`)
    }
  }
})

test('a sid that was not encoded ends where another parameter begins', () => {
  const { sids } = parseFrontChannelLogout(`?sid=a+b%22&iss=${iss}`)
  assert.ok(sids.includes('a+b"'), String(sids))
})

test('a request that can be read in two ways is refused', () => {
  const long = 'x'.repeat(5000)
  const queries = [
    `iss=${iss}`,
    `iss=${iss}&amp;sid=a&sid=b`,
    `iss=${iss}&amp;iss=${iss}&sid=a`,
    `sid=a&amp;sid=b`,
    `iss=${iss}&iss=${iss}&sid=a`,
    `iss=${iss}&sid=a&sid=b`,
  ]
  for (const query of [...queries, `iss=${iss}&sid=`, 'iss=&sid=a', `iss=${iss}&sid=${long}`]) {
    assert.throws(() => parseFrontChannelLogout(`?${query}`), { code: 'ERR_OIDC_REQUEST_MALFORMED' }, query)
  }
})

test('iss is compared with the issuer, byte by byte', () => {
  checkFrontChannelIssuer({ iss, sids: [] }, iss)
  checkFrontChannelIssuer({ sids: [] }, iss)
  for (const other of [`${iss}/`, 'https://evil.example', iss.toUpperCase()]) {
    assert.throws(() => checkFrontChannelIssuer({ iss: other, sids: [] }, iss), { code: 'ERR_OIDC_RESPONSE_ISSUER' })
  }
})

test('a query is read up to its full length', () => {
  const sid = 'x'.repeat(4096 - '?sid='.length)
  assert.deepEqual(parseFrontChannelLogout(`?sid=${sid}`), { sids: [sid] })
  assert.throws(() => parseFrontChannelLogout(`?sid=${sid}x`), { code: 'ERR_OIDC_REQUEST_MALFORMED' })
})
