import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { send } from '../support/http-client.js'
import { fuzz, openFuzzFixture, wellFormed } from './fuzz.js'

/** Addresses that mean to lead away from the site, made from a grammar instead of a list. */

const watch = watchProcess()
const fixture = await openFuzzFixture()
const { site } = fixture
after(async () => {
  await fixture.close()
  watch.check()
})

const own = new URL(site.url).host
const prefixes = [
  '',
  '/',
  '//',
  '///',
  '/\\',
  '\\/',
  '\\\\',
  '/%09/',
  '/\t/',
  '/\n/',
  '/\v/',
  '/\f/',
  '/\u00a0/',
  '/\u0085/',
  '/\u2028/',
  '/ /',
  ' //',
  '/./',
  '/.//',
  '/../',
  '/..;/',
  '.',
  '@',
  'https:',
  'https:/',
  'https://',
  'https:///',
  'hTTps://',
  'http:',
  `http://${own}@`,
  `http://${own}\\@`,
  'javascript:',
  'data:text/html,',
  '\x01javascript:',
  'blob:',
  'ftp://',
  'about:',
]
const hosts = [
  'evil.example',
  `${own}@evil.example`,
  `${own}.evil.example`,
  'evil%E3%80%82com',
  'evil。com',
  '[::ffff:127.0.0.1]',
  '0x7f.1',
  `${own}:443@evil.example`,
  `${own}%40evil.example`,
  `evil.example#${own}`,
  `evil.example?${own}`,
  `evil.example\\@${own}`,
  `localhost:1`,
  'localhost.',
  'xn--evil-4f4a.example',
  '',
]
const suffixes = ['', '/%2f..', '/..', '//', '%00', '?', '#', '/a/../..//evil.example']
const encodings: Readonly<Record<string, (text: string) => string>> = {
  raw: text => text,
  once: encodeURIComponent,
  twice: text => encodeURIComponent(encodeURIComponent(text)),
  'mixed case': text =>
    encodeURIComponent(text)
      .replaceAll(/%2[fF]/g, '%2f')
      .replaceAll('%5C', '%5c'),
  overlong: text => text.replaceAll('/', '%c0%af'),
}

const inputs = fc
  .tuple(
    fc.constantFrom(...prefixes),
    fc.constantFrom(...hosts),
    fc.constantFrom(...suffixes),
    fc.constantFrom(...Object.keys(encodings)),
  )
  .map(([prefix, host, suffix, encoding]) => encodings[encoding]?.(prefix + host + suffix) ?? '')

/** Where a browser would go, whatever stands in Location. */
function checkStays(location: string | undefined): void {
  const target = new URL(Buffer.from(location ?? '', 'latin1').toString(), site.url)
  assert.equal(target.origin, new URL(site.url).origin)
  assert.doesNotMatch(target.pathname, /^\/\//)
}

async function act(returnTo: string): Promise<void> {
  const query = new URLSearchParams({ returnTo: wellFormed(returnTo), local: '1' })
  const response = await send({
    url: `${site.url}/logout?${query}`,
    headers: { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' },
  })
  assert.equal(response.status, 303)
  checkStays(response.headers.location)
}

test('no return URL of the grammar leads to another site after a sign-out', async t => {
  await fuzz(t, { name: 'return-to', inputs, runs: 1500, act, fixtures: [fixture] })
})

test('no return URL of the grammar leads to another site after a sign-in', async t => {
  const agent = createAgent()
  const actBySigningIn = async (returnTo: string) => {
    const query = new URLSearchParams({ returnTo: wellFormed(returnTo) })
    await agent.open(`${site.url}/login?${query}`)
    const response = await agent.submitForm({}, { redirect: 'manual' })
    assert.equal(response.status, 303, response.text)
    checkStays(response.headers.location)
  }
  await fuzz(t, { name: 'return-to', inputs, runs: 100, act: actBySigningIn, fixtures: [fixture] })
})
