import assert from 'node:assert/strict'
import { type Mock, mock, test } from 'node:test'
import type { Express } from 'express'
import type { HostFunction } from '../../lib/index.js'
import { createHostSelection } from '../../lib/middleware/hosts.js'
import type { HostAddress } from '../../lib/options/hosts.js'
import { createAgent } from '../support/agent.js'
import { send } from '../support/http-client.js'
import { withHosts } from '../support/several-hosts.js'

const html = { accept: 'text/html' }
const MINUTE = 60_000

function addPages(app: Express): void {
  app.get('/who', (req, res) => void res.json({ sub: req.oidc.user?.sub ?? null, provider: req.oidc.provider ?? null }))
}

/** The selection alone, so that it can be counted what is asked and made. */
function setUp(resolve: (host: string) => HostAddress | undefined | Promise<HostAddress | undefined>) {
  const asked: string[] = []
  const made: string[] = []
  const selection = createHostSelection(
    {
      siteName: 'several hosts',
      listed: new Map(),
      async resolve(host) {
        asked.push(host)
        return resolve(host)
      },
    },
    address => {
      made.push(address.baseUrl)
      return { address } as never
    },
  )
  const of = async (host: string) => selection.of({ headers: { host }, rawHeaders: ['Host', host], url: '/' } as never)
  return { selection, asked, made, of }
}

async function later(milliseconds: number, run: () => Promise<void>): Promise<void> {
  const real = performance.now.bind(performance)
  const clock: Mock<() => number> = mock.method(performance, 'now', () => real() + milliseconds)
  try {
    await run()
  } finally {
    clock.mock.restore()
  }
}

const addressOf = (host: string) => ({ baseUrl: `https://${host}` })

test('nothing is kept of 10,000 hosts that the site does not know', async () => {
  const { selection, asked, made, of } = setUp(() => undefined)
  for (let at = 0; at < 10_000; at += 1)
    await assert.rejects(of(`h${at}.example`), { code: 'ERR_OIDC_HOST_UNKNOWN', status: 421 })
  assert.deepEqual([selection.count(), asked.length, made.length], [0, 10_000, 0])
})

test('of 10,000 hosts that it knows, the 500 that were used last are kept', async () => {
  const { selection, asked, of } = setUp(addressOf)
  for (let at = 0; at < 10_000; at += 1) await of(`h${at}.example`)
  assert.deepEqual([selection.count(), asked.length], [500, 10_000])
  await of('h9999.example')
  assert.equal(asked.length, 10_000)
})

test('the function is asked once for all requests that come at the same time, and again after five minutes', async () => {
  const { asked, made, of } = setUp(addressOf)
  await Promise.all(['a.example', 'A.example', 'a.example:443'].map(of))
  assert.deepEqual(asked, ['a.example'])
  await later(6 * MINUTE, async () => void (await of('a.example')))
  assert.deepEqual([asked.length, made.length], [2, 1])
})

test('the function is never asked about what is no host', async () => {
  const { asked, of } = setUp(addressOf)
  for (const host of ['a.example.', 'user@a.example', 'a.example, b.example', 'b\u00fccher.example', '127.1', ' '])
    await assert.rejects(of(host), { code: 'ERR_OIDC_HOST_UNKNOWN' })
  assert.deepEqual(asked, [])
})

test('a host that is taken off the list is unknown after five minutes, and one that was known goes on while the function fails', async () => {
  let outcome: () => HostAddress | undefined = () => addressOf('a.example')
  const { of } = setUp(() => outcome())
  await of('a.example')
  outcome = () => {
    throw new Error('away')
  }
  await assert.rejects(of('b.example'), { code: 'ERR_OIDC_HOST_UNAVAILABLE', status: 503 })
  await later(6 * MINUTE, async () => {
    await of('a.example')
    outcome = () => undefined
  })
  // After a failure the function is asked again in ten seconds.
  await later(7 * MINUTE, async () => {
    await assert.rejects(of('a.example'), { code: 'ERR_OIDC_HOST_UNKNOWN' })
  })
})

test('a site whose function finds its hosts signs in at each of them', async () => {
  const known: HostFunction = async host => (/^[ab]\.localhost:\d+$/.test(host) ? `http://${host}` : undefined)
  await withHosts({ baseUrl: () => known, routes: addPages }, async ({ at, site, provider }) => {
    const agent = createAgent()
    for (const name of ['a', 'b']) {
      const page = await agent.visit(`${at(name)}/claims`)
      assert.deepEqual([page.status, page.url], [200, `${at(name)}/claims`], page.text)
      assert.equal(provider.requestsTo('authorize').at(-1)?.query.redirect_uri, `${at(name)}/callback`)
    }
    const refused = await send({ url: `${at('c')}/who`, headers: html })
    assert.deepEqual([refused.status, refused.setCookies], [421, []])
    assert.doesNotMatch(refused.text, /localhost|href/)
    assert.equal((await site.oidc.sessions.list({ sub: 'alice-0001' })).length, 2)
  })
})

const mistakes: Readonly<
  Record<string, { readonly find: HostFunction; readonly status: number; readonly log: RegExp }>
> = {
  'that throws': {
    find: () => {
      throw new Error('away')
    },
    status: 503,
    log: /ERR_OIDC_HOST_UNAVAILABLE/,
  },
  'that never finishes': { find: () => new Promise(() => {}), status: 503, log: /ERR_OIDC_HOST_UNAVAILABLE/ },
  'that returns an address at another host': {
    find: () => 'https://evil.example',
    status: 500,
    log: /must be an address at that host/,
  },
  'that returns another port': {
    find: host => `http://${host.replace(/:\d+$/, ':1')}`,
    status: 500,
    log: /must be an address at that host/,
  },
  'that returns no address': {
    find: () => 7 as never,
    status: 500,
    log: /must be an absolute URL .* but it is the number 7/,
  },
  'that returns true': { find: () => true as never, status: 500, log: /must be an absolute URL/ },
  'that returns plain http for a name of another machine': {
    find: () => ({ url: 'http://www.example.com' }),
    status: 500,
    log: /must start with https/,
  },
  'that names a provider where there is one only': {
    find: host => ({ url: `http://${host}`, provider: 'acme' }),
    status: 500,
    log: /provider needs providers or resolveProvider/,
  },
}

for (const [name, { find, status, log }] of Object.entries(mistakes)) {
  test(`a function ${name} is a page without a link, a cookie or a redirect`, () =>
    withHosts({ baseUrl: () => find, oidc: { timeouts: { provider: 1000 } } }, async ({ at, site }) => {
      const response = await send({ url: `${at('a')}/login`, headers: html })
      assert.deepEqual([response.status, response.setCookies, response.headers.location], [status, [], undefined])
      assert.doesNotMatch(response.text, /href|evil|localhost/)
      assert.match(site.log.join('\n'), log)
    }))
}

test('a host may have one provider: it is asked there without a name, and no other is, by path, by name or by a session', async () => {
  const providers = ({
    issuer,
    clientId,
    clientSecret,
  }: {
    issuer: string
    clientId: string
    clientSecret: string
  }) => ({
    acme: { issuer, clientId, clientSecret },
    globex: { issuer, clientId, clientSecret },
  })
  await withHosts(
    {
      baseUrl: at => [{ url: at('a'), provider: 'acme' }, { url: at('b'), provider: 'globex' }, at('c')],
      providers,
      oidc: { chooseProvider: '/choose' },
      routes: app => {
        addPages(app)
        app.get('/choose', (_req, res) => void res.send('choose'))
        app.get('/other', (req, _res) => void req.oidc.login({ provider: 'globex' }))
      },
    },
    async ({ at, site, provider }) => {
      const agent = createAgent()
      const whoAt = async (url: string) =>
        (await agent.fetch(`${url}/who`, { from: `${url}/` })).json<{ provider: string | null }>().provider
      await agent.visit(`${at('a')}/claims`)
      await agent.visit(`${at('b')}/claims`)
      assert.deepEqual([await whoAt(at('a')), await whoAt(at('b'))], ['acme', 'globex'])
      assert.equal(provider.requestsTo('authorize').at(-1)?.query.redirect_uri, `${at('b')}/callback/globex`)
      for (const path of ['/login/globex', '/other']) {
        await createAgent().visit(`${at('a')}${path}`)
        assert.equal(site.lastCode(), 'ERR_OIDC_PROVIDER_UNKNOWN', path)
      }
      assert.equal((await createAgent().visit(`${at('c')}/claims`)).text, 'choose')
      await agent.visit(`${at('c')}/login/globex?returnTo=/who`)
      assert.equal(await whoAt(at('c')), 'globex')
    },
  )
})

test('a session of a provider that is not that of its host any more is none', async () => {
  let only = 'globex'
  const find: HostFunction = host => ({ url: `http://${host}`, provider: only })
  await withHosts(
    {
      baseUrl: () => find,
      providers: ({ issuer, clientId, clientSecret }) => ({
        acme: { issuer, clientId, clientSecret },
        globex: { issuer, clientId, clientSecret },
      }),
      routes: addPages,
    },
    async ({ at }) => {
      const agent = createAgent()
      const who = async () => (await agent.fetch(`${at('a')}/who`, { from: `${at('a')}/` })).text
      await agent.visit(`${at('a')}/claims`)
      assert.match(await who(), /"provider":"globex"/)
      only = 'acme'
      await later(6 * MINUTE, async () => assert.match(await who(), /"sub":null/))
    },
  )
})
