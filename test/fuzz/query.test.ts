import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { watchProcess } from '../faults/watch.js'
import { createAgent } from '../support/agent.js'
import { ask, assertCivil, fuzz, naughty, openFuzzFixture, sendable, text, wellFormed } from './fuzz.js'

/** A request for one of our routes. */
interface Input {
  readonly method: string
  readonly path: string
  /** As it stands behind the question mark. */
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
}

const watch = watchProcess()
const fixtures = {
  form: await openFuzzFixture(),
  query: await openFuzzFixture({ oidc: { responseType: 'code', responseMode: 'query' } }),
}
after(async () => {
  for (const fixture of Object.values(fixtures)) await fixture.close()
  watch.check()
})

const paths = [
  '/login',
  '/callback',
  '/logout',
  '/logout/callback',
  '/logout/frontchannel',
  '/logout/backchannel',
  '/claims',
  '/session',
  '/editors',
]
const names = [
  'returnTo',
  'state',
  'code',
  'error',
  'error_description',
  'iss',
  'sid',
  'local',
  'ui_locales',
  'id_token',
  'logout_token',
  'prompt',
]
const part = fc
  .tuple(
    fc.oneof(fc.constantFrom(...names, 'returnTo[]', 'state[a][b]', '__proto__[x]'), text),
    text,
    fc.constantFrom('encoded', 'raw', 'twice'),
  )
  .map(([name, value, form]) => {
    const encode = (input: string) => encodeURIComponent(wellFormed(input))
    if (form === 'raw') return `${name}=${value}`
    return form === 'twice' ? `${encode(name)}=${encode(encode(value))}` : `${encode(name)}=${encode(value)}`
  })
const header = fc.constantFrom(
  'accept',
  'origin',
  'referer',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-dest',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-original-url',
  'x-requested-with',
  'content-type',
  'host',
  'user-agent',
  'x-http-method-override',
)
const inputs: fc.Arbitrary<Input> = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'POST', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'),
  path: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...paths) },
    { weight: 1, arbitrary: naughty.map(suffix => `/login${suffix}`) },
  ),
  query: fc.array(part, { maxLength: 6 }).map(parts => parts.join('&')),
  headers: fc.dictionary(
    header,
    fc.oneof(text, fc.constantFrom('navigate', 'same-origin', 'cross-site', 'text/html', 'evil.example')),
    { maxKeys: 4 },
  ),
})

const actOn = (which: keyof typeof fixtures) =>
  async function act({ method, path, query, headers }: Input): Promise<void> {
    const { site, provider } = fixtures[which]
    const url = new URL(site.url)
    const sent = Object.entries(headers).map(([name, value]) => [name, sendable(value, 'header')])
    const target = sendable(`${path}?${query}`, 'target')
    const response = await ask(site.url, method, target, Object.fromEntries(sent))
    assertCivil(response)
    const { location } = response.headers
    if (location !== undefined) {
      const { origin } = new URL(location, url)
      assert.ok(origin === url.origin || origin === new URL(provider.issuer).origin, `sent to ${origin}`)
    }
    // The page `/session` of the tests says what it was told, in JSON.
    if (response.headers['content-type']?.includes('json') !== true)
      assert.doesNotMatch(response.text, /<script>alert|<img src=x/)
    assert.equal(response.headers['x-y'], undefined)
  }

for (const which of ['form', 'query'] as const) {
  test(`no request to our routes causes an unexpected server error, and no redirect leads to another site (${which})`, async t => {
    assert.equal((await createAgent().visit(`${fixtures[which].site.url}/claims`)).status, 200)
    await fuzz(t, { name: 'query', inputs, runs: 700, act: actOn(which), fixtures: [fixtures[which]] })
  })
}
